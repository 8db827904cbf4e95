// Frames looked at by one engine and followed by another: the same results to the bit, and nothing of a look
// believed unchecked.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import zlib from 'node:zlib'
import { createEngine } from '../index.mjs'
import { clipFrames, hide } from './helpers/clips.mjs'
import { humansCache, phalpFiles, SEES } from './helpers/humans.mjs'
import { raw, sample } from './helpers/images.mjs'
import { measured } from './helpers/results.mjs'
import { needsFfmpeg } from './helpers/videos.mjs'

const code = (name) => ({ name: 'Pose4DError', code: `ERR_POSE4D_${name}` })
const BLAZEPOSE = { model: 'blazepose', modelVariant: 'fast' }

let engine
before(async () => {
  engine = await createEngine(BLAZEPOSE)
})
after(() => engine.close())

/** The frames with looks at them, found in shards from the last to the first. */
async function found(finder, frames, size, options = {}) {
  const seen = []
  for (let from = Math.floor((frames.length - 1) / size) * size; from >= 0; from -= size) {
    const shard = frames.slice(from, from + size)
    const looks = await finder.lookAtFrames(shard, { startIndex: from, ...options })
    looks.forEach((look, i) => {
      assert.equal(look.frameNumber, shard[i].frameNumber)
      assert.equal(look.look === undefined, look.errorCode !== undefined)
      seen[from + i] = { ...shard[i], look: look.look }
    })
  }
  return seen
}

const follow = async (clip, frames) => {
  const results = [
    ...(await clip.processFrames(frames.slice(0, 11))),
    ...(await clip.processFrames(frames.slice(11))),
  ]
  return { results: results.map(measured), end: await clip.finish().catch((error) => error.code) }
}

for (const mode of ['online', 'offline']) {
  test(`blazepose, ${mode}: as if one engine had done it all`, needsFfmpeg, async () => {
    const frames = hide(clipFrames(), (n) => [7, 8, 9, 21].includes(n))
    frames[15] = { frameNumber: 15, image: Buffer.from('not an image') }
    const finder = await createEngine({ ...BLAZEPOSE, threads: 1 })
    try {
      assert.equal(finder.lookKey, engine.lookKey)
      const given = await found(finder, frames, 16)
      assert.deepEqual(
        given.filter(({ look }) => !look).map(({ frameNumber }) => frameNumber),
        [15],
      )
      const timed = ({ end, results }) => ({
        results,
        end: Array.isArray(end) ? end.map(measured) : end,
      })
      const whole = timed(await follow(engine.openClip({ mode, fps: 25 }), frames))
      assert.deepEqual(timed(await follow(engine.openClip({ mode, fps: 25 }), given)), whole)
      assert.equal(whole.results[15].errorCode, 'ERR_POSE4D_IMAGE_FORMAT')
      assert.ok(whole.results[20].persons.length > 0)
    } finally {
      await finder.close()
    }
  })
}

/** 4D-Humans in small; `more`: of its configuration. */
async function withHumans(work, { phalp = false, ...more } = {}) {
  const cache = humansCache()
  const files = phalp ? phalpFiles(cache) : undefined
  const humans = { ...SEES, ...(files && { files }), ...more.humans }
  const config = {
    ...{ model: '4dhumans', cacheDir: cache.cacheDir, precision: 'fp32', ...more },
    humans,
  }
  const engines = [await createEngine(config), await createEngine(config)]
  try {
    await work(...engines)
  } finally {
    await Promise.all(engines.map((one) => one.close()))
    cache.remove()
  }
}

/** Two people who come nearer, one of them hidden for a while; some frames leave it to the detector. */
const walk = (detected) =>
  Array.from({ length: 12 }, (_, n) => {
    const left = [100 + 3 * n, 80, 260 + 3 * n, 420]
    const right = [600 - 3 * n, 60, 900 - 3 * n, 500]
    const boxes = n >= 8 && n < 11 ? [left] : [right, left]
    return { frameNumber: n, image: sample(), ...(!detected(n) && { boxes }) }
  })

for (const phalp of [false, true])
  test(`4dhumans, followed by ${phalp ? 'PHALP' : 'joints'}: bodies, meshes and weak boxes`, () =>
    withHumans(
      async (finder, follower) => {
        // One with a random detector sees twenty people, of whom PHALP keeps a megabyte each.
        const frames = walk((n) => (phalp ? n === 11 : n % 3 === 2))
        for (const mesh of phalp ? [true] : [true, false]) {
          const whole = await follow(follower.openClip({ mesh }), frames)
          const given = await found(finder, frames, 5, { mesh })
          assert.ok(given.every(({ look }) => look instanceof Uint8Array))
          assert.deepEqual(await follow(follower.openClip({ mesh }), given), whole)
          const [{ persons }] = whole.results
          assert.equal(persons.length, 2)
          assert.equal(Boolean(persons[0].mesh), mesh)
          assert.ok(whole.results[9].persons.some(({ source }) => source === 'predicted'))
        }
        const [{ look }] = await finder.lookAtFrames(frames.slice(0, 1), { mesh: false })
        const wrong = await follower.openClip().processFrames([{ ...frames[0], look }])
        assert.equal(wrong[0].errorCode, 'ERR_POSE4D_LOOK')
        assert.match(wrong[0].error, /without meshes/)
      },
      { phalp },
    ))

test('a look at another frame, or of another engine, is that frame’s error and no other’s', async () => {
  const frames = [raw(0), raw(1), raw(2)]
  const looks = await engine.lookAtFrames(frames)
  const timings = (await engine.openClip().processFrames([{ ...raw(0), look: looks[0].look }]))[0]
  assert.ok(timings.timings.look > 0, 'what it cost where it was made')
  const swapped = frames.map((frame, i) => ({ ...frame, look: looks[(i + 1) % 3].look }))
  swapped[0] = { ...frames[0], look: looks[0].look }
  const results = await engine.openClip().processFrames(swapped)
  assert.deepEqual(
    results.map(({ errorCode }) => errorCode),
    [undefined, 'ERR_POSE4D_LOOK', 'ERR_POSE4D_LOOK'],
  )
  assert.match(results[1].error, /of frame 2, not of frame 1/)

  const one = async (look, frame = raw(0)) =>
    (await engine.openClip().processFrames([{ ...frame, look }]))[0]
  const [later] = await engine.lookAtFrames([raw(0)], { startIndex: 8 })
  assert.match((await one(later.look)).error, /8 before it/)
  const [alone] = await engine.lookAtFrames([raw(0)], { tracking: false })
  assert.match((await one(alone.look)).error, /tracking/)
  assert.match((await one(looks[0].look, { ...raw(0), boxes: [] })).error, /other boxes/)
  const boxes = [[1, 1, 9, 9]]
  assert.match((await one(looks[0].look, { ...raw(0), boxes })).error, /other boxes/)
  assert.match(
    (await one(looks[0].look, { ...raw(0), pixels: undefined, image: sample() })).error,
    /pixels/,
  )
  for (const config of [
    { maxPersons: 3 },
    { blazepose: { searchEvery: 4 } },
    { modelVariant: 'full' },
  ]) {
    const other = await createEngine({ ...BLAZEPOSE, ...config })
    assert.notEqual(other.lookKey, engine.lookKey)
    const [{ look }] = await other.lookAtFrames([raw(0)])
    assert.match((await one(look)).error, /settings|model/)
    await other.close()
  }
  assert.equal((await one('text')).errorCode, 'ERR_POSE4D_INVALID_ARGUMENT')
})

test('bytes that are cut or changed are noticed; whoever forges them gets a result or an error', async () => {
  const [{ look }] = await engine.lookAtFrames([raw(0)])
  const one = async (bytes) =>
    (await engine.openClip().processFrames([{ ...raw(0), look: bytes }]))[0]
  for (let end = 0; end < look.length; end += 97)
    assert.equal((await one(look.subarray(0, end))).errorCode, 'ERR_POSE4D_LOOK')
  for (let at = 0; at < look.length; at += 61) {
    const wrong = look.slice()
    wrong[at] ^= 0x55
    assert.equal((await one(wrong)).errorCode, 'ERR_POSE4D_LOOK', `byte ${at}`)
    // The same with a check sum that agrees.
    new DataView(wrong.buffer).setUint32(28, zlib.crc32(wrong.subarray(32)), true)
    const { errorCode } = await one(wrong)
    assert.ok(
      errorCode === undefined || errorCode === 'ERR_POSE4D_LOOK',
      `byte ${at}: ${errorCode}`,
    )
  }
})

test('what is no frame, no option or too much is refused', async () => {
  await assert.rejects(engine.lookAtFrames('frames'), code('INVALID_ARGUMENT'))
  await assert.rejects(engine.lookAtFrames([], { fps: 3 }), code('INVALID_ARGUMENT'))
  await assert.rejects(engine.lookAtFrames([], { startIndex: -1 }), code('INVALID_ARGUMENT'))
  await assert.rejects(engine.lookAtFrames([raw(0)], { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  const many = Array.from({ length: 1025 }, (_, n) => raw(n))
  await assert.rejects(engine.lookAtFrames(many), code('QUEUE_FULL'))
  assert.deepEqual(await engine.lookAtFrames([]), [])
  const looks = await engine.lookAtFrames([raw(0), { frameNumber: 1 }, raw(0)])
  assert.deepEqual(
    looks.map(({ errorCode }) => errorCode),
    [undefined, 'ERR_POSE4D_FRAME_SOURCE', 'ERR_POSE4D_FRAME_DUPLICATE'],
  )
  const other = await createEngine(BLAZEPOSE)
  await other.close()
  await assert.rejects(other.lookAtFrames([raw(0)]), code('CLOSED'))
})
