// The engine as callers see it: order, limits, aborting, clips, closing.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test, { after, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as pose4d from '../index.mjs'
import { raw, rawFrames, sample } from './helpers/images.mjs'

const { createEngine, Pose4DError } = pose4d
const code = (name) => ({ name: 'Pose4DError', code: `ERR_POSE4D_${name}` })
const numbers = (results) => results.map((result) => result.frameNumber)
const codes = (results) => results.map((result) => result.errorCode?.replace('ERR_POSE4D_', ''))
const FAST = { modelVariant: 'fast' }

let engine
before(async () => {
  engine = await createEngine(FAST)
})
after(() => engine.close())

/** Large enough to take a while. */
const slowFrames = (count) => rawFrames(0, count, { width: 1600, height: 1200 })

test('N frames in, N results out, in the order given', async () => {
  const order = [5, 3, 9, 0, 4, 1, 8]
  const results = await engine.processFrames(order.map((number) => raw(number)))
  assert.deepEqual(numbers(results), order)
  for (const result of results) {
    assert.equal(result.error, undefined)
    assert.ok(Array.isArray(result.persons) && Array.isArray(result.keypoints))
    assert.equal(result.keypointCount, result.keypoints.length)
    assert.deepEqual(Object.keys(result.timings), ['decode', 'look', 'follow'])
    assert.ok(result.processingTimeMs >= 0)
    assert.equal(typeof result.modelVersion, 'string')
  }
})

test('no frames, no results', async () => {
  assert.deepEqual(await engine.processFrames([]), [])
})

test('what is not an array of frames rejects', async () => {
  for (const frames of [undefined, null, 7, 'frames', {}, raw(0)]) {
    await assert.rejects(engine.processFrames(frames), code('INVALID_ARGUMENT'))
  }
})

test('duplicates and late frames of a clip', async () => {
  const clip = engine.openClip()
  const first = await clip.processFrames([raw(2), raw(1), raw(2)])
  assert.deepEqual(codes(first), [undefined, undefined, 'FRAME_DUPLICATE'])
  const second = await clip.processFrames([raw(2), raw(3), raw(0)])
  assert.deepEqual(codes(second), ['FRAME_ORDER', undefined, 'FRAME_ORDER'])
  assert.match(second[0].error, /frameNumber 2 comes after 2/)
  const other = await engine.openClip().processFrames([raw(0)])
  assert.deepEqual(codes(other), [undefined])
})

test('calls on a clip are served in the order made', async () => {
  const clip = engine.openClip()
  const calls = [0, 4, 8, 12].map((from) => clip.processFrames(rawFrames(from, from + 4)))
  const results = (await Promise.all(calls)).flat()
  assert.deepEqual(numbers(results), [...Array(16).keys()])
  assert.ok(results.every((result) => !result.error))
})

test('untracked frames may share a number', async () => {
  const results = await engine.processFrames([raw(1), raw(1), raw(0)], { tracking: false })
  assert.deepEqual(codes(results), [undefined, undefined, undefined])
})

test('aborted before: nothing is begun, and the reason is the signal’s own', async () => {
  const reason = new Error('changed my mind')
  const signal = AbortSignal.abort(reason)
  await assert.rejects(engine.processFrames(slowFrames(5), { signal }), (error) => error === reason)
  await assert.rejects(engine.processFrames([raw(0)], { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
})

test('aborted during: stops soon, and the clip is as it was', async () => {
  const clip = engine.openClip()
  await clip.processFrames([raw(0)])
  const controller = new AbortController()
  const image = sample()
  const frames = [...Array(40).keys()].map((i) => ({ frameNumber: i + 1, image }))
  const call = clip.processFrames(frames, { signal: controller.signal })
  // A turn of the loop only: 40 photos take longer than that on any machine.
  setImmediate(() => controller.abort())
  await assert.rejects(call, { name: 'AbortError' })
  assert.equal(engine.health().queuedFrames, 0)
  const results = await clip.processFrames([raw(1)])
  assert.deepEqual(codes(results), [undefined])
})

test('aborted after: nothing happens', async () => {
  const controller = new AbortController()
  const results = await engine.processFrames([raw(0)], { signal: controller.signal })
  controller.abort()
  assert.equal(results.length, 1)
  await sleep(5)
})

test('a call out of time rejects', async () => {
  const call = engine.processFrames(slowFrames(30), { timeoutMs: 1 })
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof Pose4DError)
    assert.equal(error.code, 'ERR_POSE4D_TIMEOUT')
    assert.equal(error.retryable, true)
    assert.match(error.message, /timeoutMs = 1/)
    return true
  })
  assert.equal(engine.health().queuedFrames, 0)
})

test('a full queue rejects the call with the numbers', async () => {
  const image = sample()
  const photos = [...Array(5).keys()].map((frameNumber) => ({ frameNumber, image }))
  await using(await createEngine({ ...FAST, threads: 1, maxQueuedFrames: 6 }), async (small) => {
    const first = small.processFrames(photos)
    assert.equal(small.health().queuedFrames, 5)
    await assert.rejects(small.processFrames(rawFrames(0, 2)), (error) => {
      assert.equal(error.code, 'ERR_POSE4D_QUEUE_FULL')
      assert.match(error.message, /2 frames, 5 are waiting and maxQueuedFrames is 6/)
      return true
    })
    assert.equal((await first).length, 5)
    assert.equal((await small.processFrames(rawFrames(0, 6))).length, 6)
  })
})

/** `await using`, which Node 20 does not know. */
async function using(resource, work) {
  try {
    return await work(resource)
  } finally {
    await resource[Symbol.asyncDispose]()
  }
}

test('after close: a clear error; closing again is fine', async () => {
  const closing = await createEngine(FAST)
  const clip = closing.openClip()
  const running = closing.processFrames(slowFrames(30)).then(
    () => 'done',
    (error) => error.code,
  )
  await Promise.all([closing.close(), closing.close()])
  assert.equal(await running, 'ERR_POSE4D_CLOSED')
  await assert.rejects(closing.processFrames([raw(0)]), code('CLOSED'))
  await assert.rejects(clip.processFrames([raw(0)]), code('CLOSED'))
  await assert.rejects(closing.warmup(), code('CLOSED'))
  await assert.rejects(closing.stream([raw(0)]).next(), code('CLOSED'))
  assert.equal(closing.health().status, 'closed')
  await closing.close()
})

test('warm-up and health', async () => {
  await using(await createEngine({ ...FAST, threads: 2 }), async (fresh) => {
    assert.equal(fresh.health().status, 'idle')
    assert.ok(!('executor' in fresh.health()))
    const report = await fresh.warmup()
    assert.equal(report.status, 'ready')
    assert.equal(report.models.blazepose.status, 'loaded')
    assert.ok(report.models.blazepose.loadTimeSeconds > 0)
    await fresh.processFrames([raw(0), { frameNumber: 1 }])
    const health = fresh.health()
    assert.equal(health.status, 'ready')
    assert.equal(health.model, 'blazepose')
    assert.equal(health.threads, 2)
    assert.equal(health.device, 'cpu')
    assert.match(health.executor, /^(xnnpack|tensors)$/)
    assert.deepEqual([health.framesDone, health.framesFailed, health.queuedFrames], [1, 1, 0])
    assert.ok(health.memory.rss === undefined || health.memory.rss > 1e7)
    assert.equal(fresh.meshFaces, null)
  })
})

const REFUSED = [
  [7, 'INVALID_ARGUMENT', /config must be an object/],
  [[], 'INVALID_ARGUMENT', /an array/],
  [{ threads: 'two' }, 'INVALID_ARGUMENT', /config\.threads must be a whole number.*"two"/],
  [{ threads: -1 }, 'INVALID_ARGUMENT', /threads/],
  [{ thread: 1 }, 'INVALID_ARGUMENT', /no option "thread".*threads/],
  [{ maxQueuedFrames: 0 }, 'INVALID_ARGUMENT', /maxQueuedFrames/],
  [{ maxPersons: 1.5 }, 'INVALID_ARGUMENT', /maxPersons/],
  [{ focalLength: Number.NaN }, 'INVALID_ARGUMENT', /focalLength.*NaN/],
  [{ model: 'yolo' }, 'INVALID_ARGUMENT', /'blazepose'/],
  [{ model: '4dhumans' }, 'MODEL_UNAVAILABLE', /4dhumans/],
  [{ detector: 'vitdet' }, 'MODEL_UNAVAILABLE', /vitdet/],
  [{ precision: 'fp16' }, 'MODEL_UNAVAILABLE', /fp32/],
  [{ keypoints: 'smpl24' }, 'KEYPOINT_SET', /smpl24.*coco17/],
  [{ keypoints: 'openpose25' }, 'KEYPOINT_SET', /openpose25/],
  [{ keypoints: 'coco18' }, 'INVALID_ARGUMENT', /coco17/],
  [{ device: 'gpu' }, 'DEVICE', /cuda/],
  [{ modelVariant: 'tiny' }, 'INVALID_ARGUMENT', /'fast'/],
  [{ blazepose: { nmsIou: 2 } }, 'INVALID_ARGUMENT', /config\.blazepose\.nmsIou.*is 2/],
  [{ blazepose: { heatmapKernel: 4 } }, 'INVALID_ARGUMENT', /odd/],
  [{ blazepose: { tileScales: [0.5, 'x'] } }, 'INVALID_ARGUMENT', /tileScales/],
]

for (const [config, name, message] of REFUSED) {
  test(`createEngine(${JSON.stringify(config)}): ${name}`, async () => {
    await assert.rejects(createEngine(config), { ...code(name), message })
  })
}

/** Names of the fields of an interface in index.d.ts. */
function declared(name) {
  const text = readFileSync(new URL('../index.d.ts', import.meta.url), 'utf8')
  const body = new RegExp(`^export interface ${name} {\\n([\\s\\S]*?)\\n}`, 'm').exec(text)[1]
  return Array.from(body.matchAll(/^ {2}(\w+)\?:/gm), ([, field]) => field)
}

test('every declared option is read: what cannot be right is refused by name', async () => {
  const options = declared('BlazePoseConfig').map((name) => [{ blazepose: { [name]: {} } }, name])
  for (const name of declared('HumansConfig')) options.push([{ humans: { [name]: -1 } }, name])
  for (const name of declared('EngineConfig')) options.push([{ [name]: 'x'.repeat(3) }, name])
  assert.ok(options.length > 40)
  // Of a path, any string will do.
  const free = ['cacheDir', 'smplPath']
  for (const [config, name] of options.filter(([, name]) => !free.includes(name))) {
    await assert.rejects(createEngine(config), (error) => {
      assert.match(error.code, /INVALID_ARGUMENT|DEVICE/)
      return error.message.includes(name)
    })
  }
})

test('wrong options of a call reject and name themselves', async () => {
  for (const [options, message] of [
    [5, /options must be an object/],
    [{ signal: {} }, /signal/],
    [{ timeoutMs: 'soon' }, /options\.timeoutMs.*"soon"/],
    [{ timeoutMs: -1 }, /timeoutMs/],
    [{ tracking: 1 }, /options\.tracking must be true or false/],
    [{ fps: 0 }, /fps/],
    [{ timeout: 5 }, /no option "timeout"/],
  ]) {
    await assert.rejects(engine.processFrames([raw(0)], options), {
      ...code('INVALID_ARGUMENT'),
      message,
    })
  }
})

test('what was settled with the clip is not an option of its calls', async () => {
  const clip = engine.openClip({ fps: 25 })
  await assert.rejects(clip.processFrames([raw(0)], { fps: 30 }), /no option "fps"/)
  assert.throws(() => engine.openClip({ timeoutMs: 5 }), /no option "timeoutMs"/)
})

test('engines and clips are not made with new', () => {
  assert.throws(() => new pose4d.PoseEngine(), /createEngine/)
  assert.throws(() => new pose4d.PoseClip(), /openClip/)
})

test('the module-level functions share one engine', async () => {
  assert.equal(pose4d.health().status, 'idle')
  const warmup = pose4d.warmup(FAST)
  const image = new Uint8Array(sample())
  const call = pose4d.processFrames([{ frameNumber: 0, image }])
  image.fill(0)
  const results = await call
  assert.equal(results[0].error, undefined)
  await warmup
  assert.equal(pose4d.health().status, 'ready')
  await pose4d.warmup()
  await assert.rejects(pose4d.warmup({ threads: 1 }), code('INVALID_ARGUMENT'))
})

test('the same frames give the same results, alone or four clips at once, whole or in pieces', async () => {
  const image = sample()
  const frames = [...Array(6).keys()].map((frameNumber) => ({ frameNumber, image }))
  const shown = (results) => results.map(({ persons, keypoints }) => ({ persons, keypoints }))
  const alone = shown(await engine.processFrames(frames))
  const together = await Promise.all([1, 2, 3, 4].map(() => engine.processFrames(frames)))
  for (const results of together) assert.deepEqual(shown(results), alone)
  const clip = engine.openClip()
  const pieces = [
    ...(await clip.processFrames(frames.slice(0, 1))),
    ...(await clip.processFrames(frames.slice(1, 4))),
    ...(await clip.processFrames(frames.slice(4))),
  ]
  assert.deepEqual(shown(pieces), alone)
})

test('model files are listed', () => {
  const names = pose4d.models.list().map(({ name }) => name)
  assert.ok(names.includes('blazepose-full') && names.includes('blazepose-detector'))
  const full = pose4d.models.status('blazepose-full')
  assert.equal(full.available, true)
  assert.equal(full.bytes, 6_440_512)
  assert.throws(() => pose4d.models.status('hmr3'), code('MODEL_UNKNOWN'))
})
