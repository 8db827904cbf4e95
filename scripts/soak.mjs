#!/usr/bin/env node
// `npm run soak`: frames of changing sizes through one engine; the memory must stay where it was.
//
// The resident size is taken after the first tenth (the first thousand of ten thousand frames),
// when every pool has reached its size, and at the end; it may not differ by more than 5%.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const HELP = `usage: npm run soak -- [options]
  --frames n    how many (default 10000)
  --photos d    folder of JPEG and PNG files (default: the project's fixtures)
  --threads n   worker threads (default: all cores)
  --json        print JSON`

const { values: options } = parseArgs({
  options: {
    frames: { type: 'string', default: '10000' },
    photos: { type: 'string' },
    threads: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const ALLOWED = 0.05
const BATCH = 8
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

/** Small, so that the same seed gives the same sizes on every machine. */
function random(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/**
 * Frames without end: encoded photos, and raw pixels of sizes that hardly ever repeat, cut from
 * noise (large and small, wide and tall).
 */
function* frames(images, count) {
  const next = random(20)
  const noise = new Uint8Array(1280 * 1280 * 3)
  for (let at = 0; at < noise.length; at++) noise[at] = next() * 256
  for (let frameNumber = 0; frameNumber < count; frameNumber++) {
    if (frameNumber % 2 === 0) {
      yield { frameNumber, image: images[Math.floor(next() * images.length)] }
    } else {
      const width = 16 + Math.floor(next() * 1264)
      const height = 16 + Math.floor(next() * 1264)
      yield { frameNumber, pixels: noise.subarray(0, width * height * 3), width, height }
    }
  }
}

function readPhotos() {
  const folder = options.photos ?? join(root, 'tests/fixtures/goldens/blazepose/photos')
  const names = readdirSync(folder).filter((name) => /\.(jpe?g|png)$/i.test(name))
  if (names.length === 0) throw new Error(`no JPEG or PNG in ${folder}`)
  return names.map((name) => readFileSync(join(folder, name)))
}

/** After a collection if Node lets us (`--expose-gc`): the heap's slack is not the engine's. */
function resident() {
  globalThis.gc?.()
  return process.memoryUsage.rss()
}

async function main() {
  if (options.help) return console.log(HELP)
  const count = Number(options.frames)
  if (!Number.isInteger(count) || count < 100) throw new Error('--frames: expected 100 or more')
  const settled = Math.ceil(count / 10)
  const { createEngine } = await import('../index.mjs')
  const engine = await createEngine({ threads: Number(options.threads) })
  const samples = []
  let done = 0
  let people = 0
  let first
  let batch = []
  const flush = async () => {
    const results = await engine.processFrames(batch)
    const bad = results.find((result) => result.error)
    if (bad) throw new Error(`frame ${bad.frameNumber}: ${bad.error}`)
    for (const result of results) people += result.persons.length
    done += batch.length
    batch = []
    if (first === undefined && done >= settled) first = resident()
    if (Math.floor(done / settled) > samples.length) {
      samples.push({ frames: done, rssMb: Math.round(resident() / 2 ** 20) })
      process.stderr.write(`${done} frames: ${samples.at(-1).rssMb} MiB\n`)
    }
  }
  const start = performance.now()
  for (const frame of frames(readPhotos(), count)) {
    batch.push(frame)
    if (batch.length === BATCH) await flush()
  }
  if (batch.length > 0) await flush()
  const seconds = (performance.now() - start) / 1000
  const last = resident()
  await engine.close()
  const change = last / first - 1
  const passed = Math.abs(change) <= ALLOWED
  const mb = (bytes) => Math.round(bytes / 2 ** 20)
  const result = {
    frames: done,
    people,
    seconds,
    settledMb: mb(first),
    endMb: mb(last),
    change,
    passed,
    samples,
  }
  if (options.json) console.log(JSON.stringify(result, null, 2))
  else
    console.log(
      `${done} frames, ${people} people, ${seconds.toFixed(0)} s: ${mb(first)} MiB after ${settled}, ` +
        `${mb(last)} MiB at the end (${(change * 100).toFixed(1)}%, allowed ±${ALLOWED * 100}%): ` +
        `${passed ? 'passed' : 'FAILED'}`,
    )
  if (people === 0) throw new Error('nobody was found in any frame: the networks did not run')
  if (!passed) process.exitCode = 1
}

await main().catch((error) => {
  process.stderr.write(`soak: ${error.message}\n`)
  process.exitCode = 1
})
