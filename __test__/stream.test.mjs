// stream(): in order, with back-pressure, ended by its consumer, its source or a signal.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEngine } from '../index.mjs'
import { raw, rawFrames } from './helpers/images.mjs'

let engine
before(async () => {
  engine = await createEngine({ modelVariant: 'fast' })
})
after(() => engine.close())

async function collect(stream) {
  const results = []
  for await (const result of stream) results.push(result)
  return results
}

async function* source(frames, log = {}) {
  log.given = 0
  try {
    for (const frame of frames) {
      log.given++
      yield frame
    }
  } finally {
    log.closed = true
  }
}

const numbers = (results) => results.map((result) => result.frameNumber)
const upTo = (count) => [...Array(count).keys()]

test('async iterables, iterables and ReadableStreams', async () => {
  const frames = rawFrames(0, 12)
  assert.deepEqual(numbers(await collect(engine.stream(source(frames)))), upTo(12))
  assert.deepEqual(numbers(await collect(engine.stream(frames))), upTo(12))
  assert.deepEqual(numbers(await collect(engine.stream(ReadableStream.from(frames)))), upTo(12))
  assert.deepEqual(await collect(engine.stream([])), [])
})

test('the same as one call', async () => {
  const frames = rawFrames(0, 9)
  const plain = ({ frameNumber, persons, errorCode }) => ({ frameNumber, persons, errorCode })
  const call = await engine.processFrames(frames)
  assert.deepEqual((await collect(engine.stream(frames))).map(plain), call.map(plain))
})

test('bad frames are results; numbers must rise', async () => {
  const frames = [raw(3), { frameNumber: 4 }, raw(4), raw(2), null, raw(5)]
  const results = await collect(engine.stream(frames))
  assert.deepEqual(
    results.map((result) => result.errorCode?.replace('ERR_POSE4D_', '')),
    [undefined, 'FRAME_SOURCE', 'FRAME_DUPLICATE', 'FRAME_ORDER', 'INVALID_ARGUMENT', undefined],
  )
})

test('the source is read only as fast as results are taken', async () => {
  const log = {}
  let taken = 0
  for await (const result of engine.stream(source(rawFrames(0, 60), log), { maxInFlight: 3 })) {
    assert.equal(result.frameNumber, taken++)
    await sleep(1)
    // Those taken, those in flight, and the one being handed over.
    assert.ok(log.given <= taken + 4, `${log.given} read, ${taken} taken`)
  }
  assert.equal(taken, 60)
})

test('a slow source does not hold results back', async () => {
  let release
  const wait = new Promise((resolve) => {
    release = resolve
  })
  async function* slow() {
    yield raw(0)
    await wait
    yield raw(1)
  }
  const stream = engine.stream(slow())
  const first = await stream.next()
  assert.equal(first.value.frameNumber, 0)
  release()
  assert.equal((await stream.next()).value.frameNumber, 1)
  assert.equal((await stream.next()).done, true)
})

test('leaving the loop ends the work and closes the source', async () => {
  const log = {}
  for await (const result of engine.stream(source(rawFrames(0, 1000), log))) {
    if (result.frameNumber === 2) break
  }
  await sleep(50)
  assert.equal(log.closed, true)
  assert.ok(log.given < 100, `${log.given} frames were read`)
  assert.equal(engine.health().queuedFrames, 0)
})

test('an error of the source rejects, and ends the work', async () => {
  async function* failing() {
    yield raw(0)
    throw new RangeError('camera unplugged')
  }
  await assert.rejects(collect(engine.stream(failing())), /camera unplugged/)
  assert.equal(await queueEmpties(), 0)
})

async function queueEmpties() {
  for (let i = 0; i < 50 && engine.health().queuedFrames > 0; i++) await sleep(10)
  return engine.health().queuedFrames
}

test('a signal ends a stream, even one whose source hangs', async () => {
  const controller = new AbortController()
  async function* hanging() {
    yield raw(0)
    await new Promise(() => {})
  }
  const stream = engine.stream(hanging(), { signal: controller.signal })
  assert.equal((await stream.next()).value.frameNumber, 0)
  const reason = new Error('enough')
  setTimeout(() => controller.abort(reason), 5)
  await assert.rejects(stream.next(), (error) => error === reason)
  assert.equal((await stream.next()).done, true)
})

test('what is no source is refused', async () => {
  for (const frames of [undefined, null, 5, {}, 'frames']) {
    await assert.rejects(engine.stream(frames).next(), { code: 'ERR_POSE4D_INVALID_ARGUMENT' })
  }
  await assert.rejects(engine.stream([], { maxInFlight: 0 }).next(), /maxInFlight/)
})
