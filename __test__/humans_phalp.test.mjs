// People followed by PHALP's networks (small ones of random weights): identities, predictions, what is
// missing.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { createEngine } from '../index.mjs'
import { humansCache, phalpFiles, SEES } from './helpers/humans.mjs'
import { sample } from './helpers/images.mjs'
import { measured } from './helpers/results.mjs'

let cache
let files
let engine
const make = (more = {}) =>
  createEngine({
    model: '4dhumans',
    cacheDir: cache.cacheDir,
    precision: 'fp32',
    ...more,
    humans: { ...SEES, files, ...more.humans },
  })
before(async () => {
  cache = humansCache()
  files = phalpFiles(cache)
  engine = await make()
})
after(async () => {
  await engine.close()
  cache.remove()
})

/** Two people who come nearer; the second is hidden from `hidden` on. */
const frame = (number, { hidden = Number.POSITIVE_INFINITY } = {}) => {
  const left = [100 + 3 * number, 80, 260 + 3 * number, 420]
  const right = [600 - 3 * number, 60, 900 - 3 * number, 500]
  return { frameNumber: number, image: sample(), boxes: number < hidden ? [right, left] : [left] }
}
const clip = (length, options) => Array.from({ length }, (_, number) => frame(number, options))
const middle = ({ box }) => (box[0] + box[2]) / 2

test('two people keep their numbers, whatever runs together', async () => {
  const whole = await engine.processFrames(clip(8))
  assert.match(whole[0].modelVersion, /-phalp$/)
  for (const { persons } of whole) {
    assert.deepEqual(
      persons.map(({ trackId }) => trackId),
      [1, 2],
    )
    assert.ok(middle(persons[0]) > middle(persons[1]))
    assert.ok(persons.every(({ source, mesh }) => source === 'detected' && mesh))
  }
  const piecewise = engine.openClip()
  const parts = []
  for (const one of clip(8)) parts.push(...(await piecewise.processFrames([one])))
  assert.deepEqual(parts.map(measured), whole.map(measured))
  const bare = await engine.processFrames(clip(8), { mesh: false })
  assert.ok(bare.every(({ persons }) => persons.every(({ mesh }) => mesh === undefined)))
  assert.deepEqual(
    bare.map(({ persons }) => persons.map(({ trackId }) => trackId)),
    whole.map(({ persons }) => persons.map(({ trackId }) => trackId)),
  )
})

test('who is missed has a predicted body, mesh and camera', async () => {
  const results = await engine.processFrames(clip(12, { hidden: 8 }))
  for (const { frameNumber, persons } of results.slice(8)) {
    assert.deepEqual(
      persons.map(({ trackId, source }) => [trackId, source]),
      [
        [1, 'predicted'],
        [2, 'detected'],
      ],
    )
    const [missed] = persons
    const expected = Math.exp(-(frameNumber - 7) / 10)
    assert.ok(Math.abs(missed.trackingConfidence - expected) < 1e-6)
    assert.equal(missed.mesh.vertices.length, 6890 * 3)
    assert.ok(missed.mesh.vertices.every(Number.isFinite))
    assert.equal(missed.smpl.bodyPose.length, 207)
    assert.equal(missed.keypoints.length, 44)
    // Every keypoint is its joint before the predicted camera.
    const { translation, focalLength, center } = missed.camera
    missed.keypoints.forEach(({ x, y }, i) => {
      const [X, Y, Z] = [0, 1, 2].map((k) => missed.joints3d[3 * i + k] + translation[k])
      assert.ok(Math.abs((focalLength * X) / Z + center[0] - x) < 0.05)
      assert.ok(Math.abs((focalLength * Y) / Z + center[1] - y) < 0.05)
    })
  }
  // Half a second on, the box has gone on in the direction it had.
  const [before, later] = [results[7], results[10]].map(({ persons }) => middle(persons[0]))
  assert.ok(later < before, `${before} → ${later}`)
})

test('who was seen fewer than five times is not guessed', async () => {
  const results = await engine.processFrames(clip(6, { hidden: 3 }))
  assert.deepEqual(
    results.slice(3).map(({ persons }) => persons.length),
    [1, 1, 1],
  )
})

test('a clip taken up from a snapshot goes on as if it had never been cut', async () => {
  const frames = clip(12, { hidden: 9 })
  const whole = await engine.processFrames(frames)
  const other = await make({ threads: 1 })
  try {
    for (const at of [1, 6, 10]) {
      const first = engine.openClip()
      const head = await first.processFrames(frames.slice(0, at))
      const second = other.openClip({ snapshot: await first.snapshot() })
      const tail = await second.processFrames(frames.slice(at))
      assert.deepEqual([...head, ...tail].map(measured), whole.map(measured))
    }
  } finally {
    await other.close()
  }
})

test('a frame that cannot be read is covered from memory', async () => {
  const frames = clip(9)
  frames[7] = { frameNumber: 7, image: Buffer.from('no picture') }
  const results = await engine.processFrames(frames)
  assert.equal(results[7].errorCode, 'ERR_POSE4D_IMAGE_FORMAT')
  assert.deepEqual(
    results[7].persons.map(({ trackId, source }) => [trackId, source]),
    [
      [1, 'predicted'],
      [2, 'predicted'],
    ],
  )
  for (const { keypoints, joints3d, mesh } of results[7].persons) {
    assert.equal(keypoints.length, 44)
    assert.equal(joints3d.length, 44 * 3)
    assert.equal(mesh, undefined)
  }
  assert.deepEqual(
    results[8].persons.map(({ trackId, source }) => [trackId, source]),
    [
      [1, 'detected'],
      [2, 'detected'],
    ],
  )
})

test('without PHALP’s files people are followed by joints, and a wish for PHALP names them', async () => {
  const joints = await make({ humans: { files: {} } })
  assert.doesNotMatch(joints.health().modelVersion ?? '', /phalp/)
  const [first] = await joints.processFrames([frame(0)])
  assert.doesNotMatch(first.modelVersion, /phalp/)
  await joints.close()
  const unwanted = await make({ humans: { tracker: 'joints' } })
  const [second] = await unwanted.processFrames([frame(0)])
  assert.doesNotMatch(second.modelVersion, /phalp/)
  await unwanted.close()
  await assert.rejects(make({ humans: { files: {}, tracker: 'phalp' } }), (error) => {
    assert.equal(error.code, 'ERR_POSE4D_MODEL_UNAVAILABLE')
    for (const name of ['phalp-hmar', 'phalp-pose-predictor', 'phalp-bmap', 'phalp-fmap'])
      assert.match(error.message, new RegExp(`- ${name} `))
    return true
  })
})

test('an atlas of another body is refused by its name', async () => {
  const other = phalpFiles(cache, { triangles: 20000 })
  await assert.rejects(make({ humans: { files: other } }), {
    code: 'ERR_POSE4D_MODEL_FILE',
    message: /fmap_256\.npy: triangle \d+ at texel \d+, of 13776 that the body has/,
  })
  phalpFiles(cache)
})

test('PHALP’s networks are among the models of health and plan', async () => {
  const health = engine.health()
  assert.ok(JSON.stringify(health).includes('phalp'))
  const report = await engine.warmup()
  assert.equal(report.models.phalp.status, 'loaded')
})
