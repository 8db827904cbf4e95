// Depth maps as callers see them: order, limits, aborting, sharing, and people ordered by them. The networks
// are tiny and their weights random: what they say is not depth, but how it is handled is the product's.

import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import * as pose4d from '../index.mjs'
import { depthConfig, FILES, pattern } from './helpers/depth.mjs'
import { png, sample } from './helpers/images.mjs'

const { createEngine, models } = pose4d
const code = (name) => ({ name: 'Pose4DError', code: `ERR_POSE4D_${name}` })
const codes = (results) => results.map((result) => result.errorCode?.replace('ERR_POSE4D_', ''))
const scratch = mkdtempSync(join(tmpdir(), 'pose4d-depth-'))

let engine
before(async () => {
  engine = await createEngine(depthConfig())
})
after(async () => {
  await engine.close()
  rmSync(scratch, { recursive: true, force: true })
})

const same = (a, b) => Buffer.from(a.depth.buffer).equals(Buffer.from(b.depth.buffer))

test('N frames in, N maps out, each of its frame’s size, in the order given', async () => {
  const frames = [
    pattern(5),
    pattern(3, { width: 97, height: 211 }),
    { frameNumber: 9, image: png(64, 40) },
    { frameNumber: 0, image: sample() },
  ]
  const results = await engine.estimateDepth(frames)
  assert.deepEqual(codes(results), [undefined, undefined, undefined, undefined])
  assert.deepEqual(
    results.map(({ frameNumber }) => frameNumber),
    [5, 3, 9, 0],
  )
  for (const { depth, width, height, range, model, timings, processingTimeMs } of results) {
    assert.ok(depth instanceof Float32Array)
    assert.equal(depth.length, width * height)
    assert.ok(depth.every(Number.isFinite))
    assert.equal(
      range.min,
      depth.reduce((a, b) => Math.min(a, b)),
    )
    assert.equal(
      range.max,
      depth.reduce((a, b) => Math.max(a, b)),
    )
    assert.ok(range.max > range.min)
    assert.equal(model, 'MiDaS_small')
    assert.deepEqual(Object.keys(timings), ['decode', 'depth'])
    assert.ok(processingTimeMs > 0)
  }
  assert.deepEqual([results[1].width, results[1].height], [97, 211])
  assert.deepEqual(await engine.estimateDepth([]), [])
})

test('a frame’s map is the same alone, among others, and from call to call', async () => {
  const frames = [0, 1, 2, 3, 4].map((seed) => pattern(seed))
  const together = await engine.estimateDepth(frames)
  const alone = []
  for (const frame of frames) alone.push(...(await engine.estimateDepth([frame])))
  const atOnce = await Promise.all(frames.map((frame) => engine.estimateDepth([frame])))
  for (const at of frames.keys()) {
    assert.ok(same(together[at], alone[at]))
    assert.ok(same(together[at], atOnce[at][0]))
  }
  assert.ok(!same(together[0], together[1]))
})

test('a bad frame is its own error and costs no other', async () => {
  const results = await engine.estimateDepth([
    pattern(0),
    { frameNumber: 1, image: new Uint8Array([1, 2, 3]) },
    { frameNumber: 2, imagePath: join(scratch, 'nothing.jpg') },
    { frameNumber: 3 },
    { ...pattern(0), frameNumber: 4.5 },
    { frameNumber: 5, image: png(3000, 2) },
    'no frame',
    pattern(7),
  ])
  assert.deepEqual(codes(results), [
    undefined,
    'IMAGE_FORMAT',
    'IMAGE_NOT_FOUND',
    'FRAME_SOURCE',
    'FRAME_NUMBER',
    'IMAGE_SHAPE',
    'INVALID_ARGUMENT',
    undefined,
  ])
  for (const result of results.filter(({ errorCode }) => errorCode)) {
    assert.equal(result.depth, undefined)
    assert.ok(result.error.length > 20)
  }
  assert.match(results[5].error, /3000 x 2/)
  assert.equal(results[7].depth.length, 160 * 120)
})

test('a frame of one pixel has a map of one value', async () => {
  const [result] = await engine.estimateDepth([{ frameNumber: 0, image: png(1, 1) }])
  assert.equal(result.errorCode, undefined)
  assert.equal(result.depth.length, 1)
  assert.ok(Number.isFinite(result.depth[0]))
})

test('what is wrong with a call rejects it', async () => {
  await assert.rejects(engine.estimateDepth('frames'), code('INVALID_ARGUMENT'))
  await assert.rejects(engine.estimateDepth([], { model: 'DPT_Huge' }), (error) => {
    assert.equal(error.code, 'ERR_POSE4D_INVALID_ARGUMENT')
    assert.match(error.message, /'DPT_Large', 'DPT_Hybrid', 'MiDaS', 'MiDaS_small'/)
    return true
  })
  await assert.rejects(engine.estimateDepth([], { models: 'MiDaS' }), code('INVALID_ARGUMENT'))
  const few = await createEngine({ ...depthConfig(), maxQueuedFrames: 2 })
  await assert.rejects(few.estimateDepth([0, 1, 2].map((n) => pattern(n))), code('QUEUE_FULL'))
  await few.close()
  await assert.rejects(few.estimateDepth([pattern(0)]), code('CLOSED'))
})

test('a network whose file is not there is told with what to do, and the next call tries again', async () => {
  const own = join(scratch, 'later.pt')
  const config = depthConfig({ files: { MiDaS_small: own } })
  const other = await createEngine({ ...config, cacheDir: join(scratch, 'empty') })
  await assert.rejects(other.estimateDepth([pattern(0)]), (error) => {
    assert.equal(error.code, 'ERR_POSE4D_MODEL_UNAVAILABLE')
    assert.match(error.message, /later\.pt is not there/)
    return true
  })
  copyFileSync(FILES.MiDaS, own)
  await assert.rejects(other.estimateDepth([pattern(0)]), (error) => {
    assert.equal(error.code, 'ERR_POSE4D_MODEL_FILE')
    assert.match(error.message, /of MiDaS, not of MiDaS_small/)
    return true
  })
  copyFileSync(FILES.MiDaS_small, own)
  const [result] = await other.estimateDepth([pattern(0)])
  const [expected] = await engine.estimateDepth([pattern(0)])
  assert.ok(same(result, expected))
  await other.close()
  await assert.rejects(
    (await createEngine(depthConfig({ files: { hmr2: own } }))).estimateDepth([]),
    code('INVALID_ARGUMENT'),
  )
})

test('all four networks, each loaded once, side by side with poses', async () => {
  const many = await createEngine(depthConfig({ heads: 2 }))
  assert.equal(many.health().models, undefined)
  const frames = [pattern(0), pattern(1)]
  const poses = many.processFrames([{ frameNumber: 0, image: sample() }])
  const names = Object.keys(FILES)
  const [first, second] = await Promise.all(
    [0, 1].map(() =>
      Promise.all(names.map((model) => many.estimateDepth(frames, { model }).catch((e) => e))),
    ),
  )
  for (const [at, model] of names.entries()) {
    if (first[at] instanceof Error) throw first[at]
    assert.equal(first[at][0].model, model)
    assert.ok(first[at].every((result, i) => same(result, second[at][i])))
  }
  assert.equal((await poses)[0].errorCode, undefined)
  const { models: loaded } = many.health()
  assert.deepEqual(Object.keys(loaded).sort(), [
    'dpt-hybrid',
    'dpt-large',
    'midas-v21',
    'midas-v21-small',
  ])
  for (const { status, precision, bytes } of Object.values(loaded)) {
    assert.deepEqual([status, precision], ['loaded', 'fp32'])
    assert.ok(bytes > 10_000)
  }
  await many.close()
})

test('aborted and timed out calls end, others do not', async () => {
  const frames = Array.from({ length: 40 }, (_, n) => pattern(n, { width: 640, height: 480 }))
  const controller = new AbortController()
  const reason = new Error('enough')
  const aborted = engine.estimateDepth(frames, { signal: controller.signal })
  const other = engine.estimateDepth(frames.slice(0, 3))
  setTimeout(() => controller.abort(reason), 30)
  await assert.rejects(aborted, (error) => error === reason)
  assert.equal((await other).length, 3)
  await assert.rejects(engine.estimateDepth(frames, { timeoutMs: 5 }), code('TIMEOUT'))
  await assert.rejects(engine.estimateDepth(frames, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  assert.equal(engine.health().queuedFrames, 0)
})

test('closing ends what waits', async () => {
  const closing = await createEngine(depthConfig())
  await closing.estimateDepth([pattern(0)])
  const call = closing.estimateDepth(Array.from({ length: 60 }, (_, n) => pattern(n)))
  const ended = assert.rejects(call, code('CLOSED'))
  await closing.close()
  await ended
  // While the network is being loaded, too.
  const early = await createEngine(depthConfig())
  // It may just have been in time.
  const first = early.estimateDepth([pattern(0)]).then(
    ([result]) => assert.ok(result.depth),
    (error) => assert.equal(error.code, 'ERR_POSE4D_CLOSED'),
  )
  await early.close()
  await first
})

test('streamDepth gives the same maps in order and takes frames only as they are wanted', async () => {
  const frames = [0, 1, 2, 3, 4, 5, 6].map((seed) => pattern(seed))
  const expected = await engine.estimateDepth(frames)
  let taken = 0
  async function* source() {
    for (const frame of frames) {
      taken += 1
      yield frame
    }
  }
  let at = 0
  for await (const result of engine.streamDepth(source(), { maxInFlight: 2 })) {
    assert.ok(same(result, expected[at]))
    at += 1
    assert.ok(taken <= at + 1)
  }
  assert.equal(at, frames.length)
  for await (const _ of engine.streamDepth(source())) break
  assert.ok(taken < 2 * frames.length)
  await assert.rejects(engine.streamDepth(5).next(), code('INVALID_ARGUMENT'))
  async function* broken() {
    yield frames[0]
    yield frames[1]
    throw new Error('torn')
  }
  const told = []
  await assert.rejects(
    async () => {
      for await (const result of engine.streamDepth(broken())) told.push(result.frameNumber)
    },
    { message: 'torn' },
  )
  assert.deepEqual(told, [0, 1], 'what came before is answered')
  // A source that never comes again does not keep anybody who gives up.
  async function* hanging() {
    yield frames[0]
    await new Promise(() => {})
  }
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 200)
  const { signal } = controller
  await assert.rejects(
    async () => {
      for await (const _ of engine.streamDepth(hanging(), { signal, maxInFlight: 1 }));
    },
    { name: 'AbortError' },
  )
})

test('models.export to another format and back gives the same depth to the bit', async () => {
  const cacheDir = join(scratch, 'cache')
  mkdirSync(cacheDir)
  const name = 'midas-v21-small'
  await models.import(FILES.MiDaS_small, 'MiDaS_small', { cacheDir, force: true })
  assert.equal(models.status(name, { cacheDir }).available, true)
  const [own] = await engine.estimateDepth([pattern(3)])
  for (const format of ['h5', 'pkl', 'safetensors', 'pt']) {
    const file = join(scratch, `out.${format}`)
    const written = await models.export('MiDaS_small', file, format, { cacheDir })
    assert.equal(written.converted, format !== 'pt')
    const back = join(scratch, `back-${format}`)
    mkdirSync(back)
    await models.import(file, 'MiDaS_small', { cacheDir: back, force: true })
    for (const place of [{ files: { MiDaS_small: file } }, { files: {} }]) {
      const again = await createEngine({ ...depthConfig(place), cacheDir: back })
      const [result] = await again.estimateDepth([pattern(3)])
      await again.close()
      assert.ok(same(result, own), format)
    }
  }
  const info = await models.info({ cacheDir })
  assert.deepEqual(Object.keys(info.models), [name])
  assert.deepEqual(info.formats, { pt: 1, h5: 0, pkl: 0, onnx: 0 })
})

test('the old manager’s files are found: .pt before .h5', async () => {
  const home = join(scratch, 'home')
  const folder = join(home, '.cache/depthmap/models')
  mkdirSync(folder, { recursive: true })
  const cacheDir = join(scratch, 'of-home')
  const own = process.env.HOME
  process.env.HOME = home
  try {
    const h5 = join(folder, 'midas_MiDaS_small.h5')
    await models.convert(FILES.MiDaS_small, h5)
    assert.equal(models.status('MiDaS_small', { cacheDir }).path, h5)
    const finds = await createEngine({ ...depthConfig({ files: {} }), cacheDir })
    const [found] = await finds.estimateDepth([pattern(2)])
    await finds.close()
    const [expected] = await engine.estimateDepth([pattern(2)])
    assert.ok(same(found, expected))
    const pt = join(folder, 'midas_MiDaS_small.pt')
    copyFileSync(FILES.MiDaS_small, pt)
    assert.equal(models.status('MiDaS_small', { cacheDir }).path, pt)
    assert.ok(readFileSync(h5).length > 0, 'nothing of another tool is touched')
  } finally {
    process.env.HOME = own
  }
})

test('depth: true orders people and says what the map comes to', async () => {
  const frames = [{ frameNumber: 0, image: sample() }]
  const [plain] = await engine.processFrames(frames)
  const [result] = await engine.processFrames(frames, { depth: true })
  assert.equal(plain.depth, undefined)
  assert.equal(plain.persons[0].depth, undefined)
  const { model, range, fit } = result.depth
  assert.equal(model, 'MiDaS_small')
  const [map] = await engine.estimateDepth(frames)
  assert.deepEqual(range, map.range)
  assert.ok(result.persons.length > 0)
  assert.deepEqual(
    result.persons.map(({ depthOrder }) => depthOrder).sort(),
    result.persons.map((_, at) => at),
  )
  const byOrder = result.persons.toSorted((a, b) => a.depthOrder - b.depthOrder)
  byOrder.reduce((before, person) => {
    assert.ok(before.depth.value >= person.depth.value)
    return person
  })
  for (const { depth, keypoints } of result.persons) {
    assert.ok(depth.value >= range.min && depth.value <= range.max)
    assert.ok(depth.places > 8 && keypoints.length === 33)
  }
  if (fit) {
    assert.ok(fit.scale > 0 && fit.people <= result.persons.length)
    assert.ok(['scale', 'scale-and-shift'].includes(fit.method))
    const { value, metres } = result.persons[0].depth
    if (metres !== undefined)
      assert.ok(Math.abs(1 / metres - (fit.scale * value + fit.shift)) < 1e-3 / metres)
  }
  assert.ok('depth' in result.timings && 'order' in result.timings)
  const [other] = await engine.processFrames(frames, { depth: true, depthModel: 'MiDaS' })
  assert.equal(other.depth.model, 'MiDaS')
  // The rest of the result is as it is without.
  assert.deepEqual(
    result.persons.map(({ box }) => box),
    plain.persons.map(({ box }) => box),
  )
})

test('depth: true in clips, streams and snapshots; a frame too narrow for it keeps its poses', async () => {
  const options = { depth: true, depthModel: 'MiDaS_small' }
  const frames = [0, 1, 2, 3].map((frameNumber) => ({ frameNumber, image: sample() }))
  const clip = engine.openClip(options)
  const results = await clip.processFrames(frames.slice(0, 2))
  const snapshot = await clip.snapshot()
  const resumed = engine.openClip({ snapshot })
  const rest = [
    await clip.processFrames(frames.slice(2)),
    await resumed.processFrames(frames.slice(2)),
  ]
  assert.deepEqual(rest[0][0].depth, rest[1][0].depth)
  const streamed = []
  for await (const result of engine.stream(frames, options)) streamed.push(result)
  assert.equal(streamed.length, 4)
  for (const { depth, persons } of [...results, ...rest[0], ...streamed]) {
    assert.equal(depth.model, 'MiDaS_small')
    assert.ok(persons.some(({ depthOrder }) => depthOrder === 0))
  }
  const [narrow] = await engine.processFrames([{ frameNumber: 0, image: png(3000, 2) }], options)
  assert.equal(narrow.errorCode, undefined)
  assert.equal(narrow.depth, undefined)
  assert.equal(narrow.depthErrorCode, 'ERR_POSE4D_IMAGE_SHAPE')
  await assert.rejects(
    engine.processFrames(frames, { depthModel: 'MiDaS' }),
    code('INVALID_ARGUMENT'),
  )
})

test('too little memory is refused in numbers', async () => {
  const tight = await createEngine({ ...depthConfig(), memoryBudgetMb: 40 })
  await assert.rejects(tight.estimateDepth([pattern(0)]), (error) => {
    assert.equal(error.code, 'ERR_POSE4D_MEMORY')
    assert.match(error.message, /MiDaS_small does not fit on cpu: it needs fp32: \d+ MB/)
    return true
  })
  await tight.close()
})
