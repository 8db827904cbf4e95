// Clips that are gone over again: gaps filled from both sides, nothing seen changed.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { createEngine } from '../index.mjs'
import { humansCache, SEES } from './helpers/humans.mjs'
import { raw, rawFrames, sample } from './helpers/images.mjs'
import { measured } from './helpers/results.mjs'

const code = (name) => ({ name: 'Pose4DError', code: `ERR_POSE4D_${name}` })
const HIDDEN = new Set([4, 5, 7])
const BROKEN = 6
const COUNT = 10

/** A still scene whose frames 4, 5 and 7 show the detector nobody, and whose frame 6 is no image. */
function frames(boxes) {
  const bad = Buffer.from('not an image')
  return Array.from({ length: COUNT }, (_, frameNumber) => ({
    frameNumber,
    image: frameNumber === BROKEN ? bad : sample(),
    ...(HIDDEN.has(frameNumber) ? { boxes: [] } : boxes && { boxes }),
  }))
}

const sources = (results) =>
  results.map(({ persons }) => [...new Set(persons.map(({ source }) => source))].join())

/** What was seen is the same whatever the mode. */
function checkSeen(offline, online) {
  for (const [n, result] of offline.entries()) {
    if (HIDDEN.has(n) || n === BROKEN) continue
    assert.deepEqual(measured(result), measured(online[n]), `frame ${n}`)
  }
}

let engine
before(async () => {
  engine = await createEngine({ model: 'blazepose' })
})
after(() => engine.close())

test('hidden and broken frames are filled from both sides', async () => {
  const online = await engine.processFrames(frames())
  const offline = await engine.processFrames(frames(), { mode: 'offline' })
  assert.equal(offline.length, COUNT)
  checkSeen(offline, online)
  for (const n of [...HIDDEN, BROKEN]) {
    assert.equal(offline[n].persons.length, online[3].persons.length, `frame ${n}`)
    for (const [i, person] of offline[n].persons.entries()) {
      const [before, later] = [offline[3].persons[i], offline[8].persons[i]]
      assert.equal(person.source, 'interpolated')
      assert.equal(person.trackId, before.trackId)
      assert.ok(person.trackingConfidence > 0.7 && person.trackingConfidence < 1)
      const apart = (other) =>
        Math.max(...person.joints3d.map((value, k) => Math.abs(value - other.joints3d[k])))
      assert.ok(apart(before) < 0.06 && apart(later) < 0.06, `${apart(before)} ${apart(later)}`)
    }
  }
  assert.equal(offline[BROKEN].errorCode, online[BROKEN].errorCode)
  assert.ok(offline[BROKEN].errorCode, 'a broken frame is still told')
  assert.deepEqual(sources(online).slice(3, 8), [
    'detected',
    'predicted',
    'predicted',
    'predicted',
    'predicted',
  ])
})

test('a clip answers at once, and finish() goes over all of it', async () => {
  const whole = await engine.processFrames(frames(), { mode: 'offline' })
  const clip = engine.openClip({ mode: 'offline' })
  const all = frames()
  const answers = [
    ...(await clip.processFrames(all.slice(0, 6))),
    ...(await clip.processFrames(all.slice(6))),
  ]
  assert.ok(sources(answers).includes('predicted'))
  const finished = await clip.finish()
  assert.deepEqual(finished.map(measured), whole.map(measured))
  assert.deepEqual(await clip.finish(), [], 'the next finish() is of what comes after')
})

test('a stream comes to the same once its source has ended', async () => {
  const whole = await engine.processFrames(frames(), { mode: 'offline' })
  const log = []
  async function* source() {
    for (const frame of frames()) {
      log.push(frame.frameNumber)
      yield frame
    }
    log.push('end')
  }
  const results = []
  for await (const result of engine.stream(source(), { mode: 'offline', maxInFlight: 2 })) {
    if (results.length === 0) assert.equal(log.at(-1), 'end')
    results.push(result)
  }
  assert.deepEqual(results.map(measured), whole.map(measured))
  assert.equal(engine.health().queuedFrames, 0)
  for await (const _ of engine.stream([], { mode: 'offline' })) assert.fail('nothing was given')
})

test('an offline stream ends with its signal, its source and its consumer', async () => {
  const controller = new AbortController()
  const endless = async function* () {
    for (let frameNumber = 0; ; frameNumber++) {
      if (frameNumber === 20) controller.abort(new Error('enough'))
      yield { ...raw(frameNumber) }
    }
  }
  const options = { mode: 'offline', signal: controller.signal }
  await assert.rejects(async () => {
    for await (const _ of engine.stream(endless(), options));
  }, /enough/)
  await assert.rejects(async () => {
    const broken = async function* () {
      yield raw(0)
      throw new Error('the source broke')
    }
    for await (const _ of engine.stream(broken(), { mode: 'offline' }));
  }, /the source broke/)
  for await (const { frameNumber } of engine.stream(rawFrames(0, 9), { mode: 'offline' })) {
    if (frameNumber === 3) break
  }
  assert.equal(engine.health().queuedFrames, 0)
})

test('where there is nothing to go over, that is said', async () => {
  await assert.rejects(engine.openClip().finish(), code('INVALID_ARGUMENT'))
  assert.throws(() => engine.openClip({ mode: 'later' }), code('INVALID_ARGUMENT'))
  const clip = engine.openClip({ mode: 'offline' })
  await assert.rejects(clip.finish({ mesh: true }), code('INVALID_ARGUMENT'))
  await assert.rejects(clip.finish({ signal: AbortSignal.abort() }), { name: 'AbortError' })
})

test('a body between two sights is posed anew, mesh and all', async () => {
  const cache = humansCache()
  const humans = await createEngine({
    model: '4dhumans',
    cacheDir: cache.cacheDir,
    precision: 'fp32',
    humans: SEES,
  })
  try {
    const boxes = [
      [100, 80, 260, 420],
      [600, 60, 900, 500],
    ]
    const online = await humans.processFrames(frames(boxes))
    const offline = await humans.processFrames(frames(boxes), { mode: 'offline' })
    checkSeen(offline, online)
    for (const n of [...HIDDEN, BROKEN]) {
      assert.deepEqual(sources([offline[n]]), ['interpolated'])
      assert.equal(offline[n].persons.length, 2)
      for (const [i, person] of offline[n].persons.entries()) {
        const still = offline[3].persons[i]
        assert.equal(person.keypointSource, 'projected')
        // The scene stands still, and so does what lies between.
        for (const [ours, theirs] of [
          [person.mesh.vertices, still.mesh.vertices],
          [person.joints3d, still.joints3d],
          [person.smpl.bodyPose, still.smpl.bodyPose],
          [person.camera.translation, still.camera.translation],
        ]) {
          assert.equal(ours.length, theirs.length)
          assert.ok(ours.every((value, k) => Math.abs(value - theirs[k]) < 1e-4))
        }
      }
    }
    const streamed = []
    for await (const result of humans.stream(frames(boxes), { mode: 'offline' }))
      streamed.push(measured(result))
    // Meshes are not kept until the end but posed anew: the same to the bit.
    assert.deepEqual(streamed, offline.map(measured))
    const bare = await humans.processFrames(frames(boxes), { mode: 'offline', mesh: false })
    assert.ok(bare.every(({ persons }) => persons.every(({ mesh }) => mesh === undefined)))
  } finally {
    await humans.close()
    cache.remove()
  }
})
