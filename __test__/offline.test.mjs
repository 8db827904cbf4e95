// Clips that are gone over again: gaps filled from both sides, nothing seen changed.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { createEngine } from '../index.mjs'
import { humansCache, SEES } from './helpers/humans.mjs'
import { sample } from './helpers/images.mjs'
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
    '',
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

test('where there is nothing to go over, that is said', async () => {
  await assert.rejects(engine.openClip().finish(), code('INVALID_ARGUMENT'))
  assert.throws(() => engine.openClip({ mode: 'later' }), code('INVALID_ARGUMENT'))
  const stream = engine.stream([], { mode: 'offline' })
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, code('INVALID_ARGUMENT'))
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
    const bare = await humans.processFrames(frames(boxes), { mode: 'offline', mesh: false })
    assert.ok(bare.every(({ persons }) => persons.every(({ mesh }) => mesh === undefined)))
  } finally {
    await humans.close()
    cache.remove()
  }
})
