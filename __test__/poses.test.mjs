// Real poses of a real photo: a man with his arms out on a roof, a woman walking by.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createEngine, renderOverlay, toLegacyResult } from '../index.mjs'
import { png, sample } from './helpers/images.mjs'

/** Read off the photo by eye, pixels. */
const MAN = { box: [450, 30, 812, 440], nose: [632, 68] }
const WOMAN = { box: [1270, 525, 1410, 925], nose: [1302, 556] }

const frame = { frameNumber: 0, image: sample() }
let engine
let result
before(async () => {
  engine = await createEngine()
  ;[result] = await engine.processFrames([frame], { tracking: false })
})
after(() => engine.close())

const pointOf = (person, name) => person.keypoints.find((point) => point.name === name)
const distance = ({ x, y }, [u, v]) => Math.hypot(x - u, y - v)

function nearest(persons, nose) {
  const by = (person) => distance(pointOf(person, 'nose'), nose)
  return [...persons].sort((a, b) => by(a) - by(b))[0]
}

test('both people are found where they are, and nobody else', () => {
  assert.equal(result.error, undefined)
  assert.deepEqual([result.frameWidth, result.frameHeight], [1768, 994])
  assert.equal(result.persons.length, 2)
  for (const { box, nose } of [MAN, WOMAN]) {
    const person = nearest(result.persons, nose)
    assert.ok(distance(pointOf(person, 'nose'), nose) < 20, JSON.stringify(pointOf(person, 'nose')))
    const [x1, y1, x2, y2] = box
    for (const name of ['left_hip', 'right_knee', 'left_shoulder']) {
      const { x, y } = pointOf(person, name)
      assert.ok(x > x1 && x < x2 && y > y1 && y < y2, `${name} at ${x}, ${y}`)
    }
  }
  assert.equal(new Set(result.persons.map((person) => person.trackId)).size, 2)
})

test('records have the shapes and ranges that are promised', () => {
  for (const person of result.persons) {
    assert.ok(person.box instanceof Float32Array && person.box.length === 4)
    assert.ok(person.box[2] > person.box[0] && person.box[3] > person.box[1])
    assert.equal(person.keypoints.length, 33)
    assert.equal(person.source, 'detected')
    assert.equal(person.trackingConfidence, 1)
    assert.ok(person.score > 0 && person.score <= 1)
    for (const { x, y, z, confidence } of person.keypoints) {
      assert.ok([x, y, z].every(Number.isFinite))
      assert.ok(confidence >= 0 && confidence <= 1)
    }
    assert.ok(person.joints3d instanceof Float32Array && person.joints3d.length === 99)
    for (const degrees of Object.values(person.jointAngles3d)) {
      assert.ok(degrees >= 0 && degrees <= 180)
    }
    const { translation, focalLength, center } = person.camera
    assert.equal(translation.length, 3)
    assert.ok(translation[2] > 1, 'in front of the camera')
    assert.ok(focalLength > 0)
    assert.deepEqual(Array.from(center), [1768 / 2, 994 / 2])
  }
})

test('3D: y points down, x right, and the sizes are a person’s', () => {
  const man = nearest(result.persons, MAN.nose)
  const joint = (name) => {
    const i = man.keypoints.findIndex((point) => point.name === name)
    return man.joints3d.subarray(3 * i, 3 * i + 3)
  }
  assert.ok(joint('nose')[1] < joint('left_ankle')[1] - 0.8)
  const span = Math.abs(joint('left_wrist')[0] - joint('right_wrist')[0])
  assert.ok(span > 0.8 && span < 2.2, `${span} m from wrist to wrist`)
  // His arms are out, near shoulder height, elbows almost straight.
  assert.ok(man.jointAngles3d.left_elbow > 120 && man.jointAngles3d.right_elbow > 120)
})

test('people come by number, the surest of those found at once first', () => {
  const ids = result.persons.map((person) => person.trackId)
  assert.deepEqual(
    ids,
    [...ids].sort((a, b) => a - b),
  )
  const sure = ({ keypoints }) => keypoints.reduce((sum, point) => sum + point.confidence, 0)
  const [first, ...others] = result.persons
  for (const other of others) assert.ok(sure(first) > sure(other))
})

test('the first person is there again under the old names', () => {
  const [person] = result.persons
  assert.deepEqual(result.keypoints, person.keypoints)
  assert.equal(result.keypointCount, 33)
  assert.equal(result.has3d, true)
  assert.deepEqual(result.jointAngles3d, person.jointAngles3d)
  assert.deepEqual(result.cameraTranslation, Array.from(person.camera.translation))
  const legacy = toLegacyResult(result, engine)
  assert.equal(legacy.joints3dRaw.length, 33)
  assert.deepEqual(legacy.joints3dRaw[1], Array.from(person.joints3d.subarray(3, 6)))
  assert.ok(!('mesh_vertices_data' in legacy), 'what is not measured is left out')
  assert.doesNotThrow(() => JSON.stringify(legacy))
})

test('coco17 is the same points under COCO’s order', async () => {
  const coco = await createEngine({ keypoints: 'coco17' })
  try {
    const [{ persons }] = await coco.processFrames([frame], { tracking: false })
    assert.equal(persons.length, 2)
    const man = nearest(persons, MAN.nose)
    assert.equal(man.keypoints.length, 17)
    assert.equal(man.keypoints[0].name, 'nose')
    const same = nearest(result.persons, MAN.nose)
    for (const point of man.keypoints) assert.deepEqual(point, pointOf(same, point.name))
  } finally {
    await coco.close()
  }
})

test('people keep their number through a clip', async () => {
  const clip = engine.openClip()
  const ids = new Set()
  for (let frameNumber = 0; frameNumber < 4; frameNumber++) {
    const [{ persons }] = await clip.processFrames([{ ...frame, frameNumber }])
    for (const person of persons) ids.add(person.trackId)
  }
  assert.equal(ids.size, 2)
})

test('a box given by the caller is looked at', async () => {
  const boxes = [WOMAN.box]
  const [{ persons }] = await engine.processFrames([{ ...frame, boxes }], { tracking: false })
  assert.ok(distance(pointOf(nearest(persons, WOMAN.nose), 'nose'), WOMAN.nose) < 20)
})

test('a picture without people has nobody in it, be it empty or a roof', async () => {
  const image = png(320, 240)
  const imagePath = fileURLToPath(
    new URL('../tests/fixtures/goldens/blazepose/photos/nobody.png', import.meta.url),
  )
  for (const source of [{ image }, { imagePath }]) {
    const [{ error, persons, has3d, keypoints }] = await engine.processFrames(
      [{ frameNumber: 0, ...source }],
      { tracking: false },
    )
    assert.deepEqual([error, persons, has3d, keypoints], [undefined, [], false, []])
  }
})

test('the overlay is the frame with something drawn onto it', async () => {
  const drawn = await renderOverlay(frame, result, { format: 'rgb' })
  const bare = await renderOverlay(frame, { ...result, persons: [] }, { format: 'rgb' })
  assert.equal(drawn.length, 1768 * 994 * 3)
  assert.equal(bare.length, drawn.length)
  let changed = 0
  for (let i = 0; i < drawn.length; i += 3) if (drawn[i] !== bare[i]) changed++
  assert.ok(changed > 1000 && changed < drawn.length / 30, `${changed} pixels changed`)
})
