// Times this project through its JS API, encoded bytes to typed results, for `npm run bench`.
//
// Arguments: FRAME_FOLDER (JPEGs) THREADS. Requests and answers as in benches/networks.rs; tasks are
// `single` and `track` at MediaPipe's own settings (one person, whole frame), one frame at a time,
// `photos` at the same settings but all in one call (one figure: milliseconds per photo), and `clip`:
// all frames in one call at the defaults, one figure: milliseconds per frame.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

/** What mp.solutions.pose does: the best detection of the whole frame, then follow it. */
const AS_MEDIAPIPE = {
  maxPersons: 1,
  blazepose: {
    tileScales: [],
    detectionThreshold: 0.5,
    nmsIou: 0.3,
    refine: false,
    searchEvery: 0,
    watch: false,
  },
}

async function main([folder, threads]) {
  const { createEngine } = await import('../../index.mjs')
  const images = readdirSync(folder)
    .filter((name) => name.endsWith('.jpg'))
    .sort()
    .map((name) => readFileSync(join(folder, name)))
  const likeness = await createEngine({ ...AS_MEDIAPIPE, threads: Number(threads) })
  const usual = await createEngine({ threads: Number(threads) })
  say({ ready: `pose4d on ${threads} thread${threads === '1' ? '' : 's'}` })
  for await (const line of createInterface({ input: process.stdin })) {
    const { task, repeat } = JSON.parse(line)
    say(await TASKS[task](task === 'clip' ? usual : likeness, images, repeat))
  }
  await likeness.close()
  await usual.close()
}

const TASKS = {
  async single(engine, images, repeat) {
    const frames = Array.from({ length: repeat }, () => images[0])
    return oneByOne(frames, (frame) => engine.processFrames([frame]))
  },
  async track(engine, images, repeat) {
    const frames = Array.from({ length: repeat }, () => images).flat()
    const clip = engine.openClip()
    const answer = await oneByOne(frames, (frame) => clip.processFrames([frame]))
    await clip.close?.()
    return answer
  },
  async photos(engine, images, repeat) {
    const frames = Array.from({ length: repeat }, (_, frameNumber) => ({
      frameNumber,
      image: images[0],
    }))
    const start = performance.now()
    const results = checked(await engine.processFrames(frames, { tracking: false }))
    const ms = (performance.now() - start) / repeat
    return { ms: [ms], seen: results.filter((result) => result.persons.length > 0).length }
  },
  async clip(engine, images, repeat) {
    const ms = []
    for (let round = 0; round < repeat; round++) {
      const clip = engine.openClip()
      const start = performance.now()
      checked(
        await clip.processFrames(images.map((image, frameNumber) => ({ frameNumber, image }))),
      )
      ms.push((performance.now() - start) / images.length)
      await clip.close?.()
    }
    return { ms }
  },
}

async function oneByOne(images, process) {
  const ms = []
  let seen = 0
  for (const [frameNumber, image] of images.entries()) {
    const start = performance.now()
    const results = await process({ frameNumber, image })
    ms.push(performance.now() - start)
    seen += checked(results)[0].persons.length > 0
  }
  return { ms, seen }
}

function checked(results) {
  const bad = results.find((result) => result.error)
  if (bad) throw new Error(`frame ${bad.frameNumber}: ${bad.error}`)
  return results
}

main(process.argv.slice(2)).catch((error) => {
  say({ missing: error.message })
  process.exitCode = 1
})
