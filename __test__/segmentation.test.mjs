// Outlines of people: there when asked for, and nothing else changes by them.

import assert from 'node:assert/strict'
import test, { before } from 'node:test'
import { createEngine } from '../index.mjs'
import { sample } from './helpers/images.mjs'
import { measured } from './helpers/results.mjs'

const frame = { frameNumber: 0, image: sample() }
const SIDE = 256
/** Of the man and the woman, read off the photo by eye, pixels. */
const NOSES = [
  [632, 68],
  [1302, 556],
]
let plain
let outlined
before(async () => {
  for (const segmentation of [false, true]) {
    const engine = await createEngine({ blazepose: { segmentation } })
    const [result] = await engine.processFrames([frame], { tracking: false })
    await engine.close()
    if (segmentation) outlined = result
    else plain = result
  }
})

test('without being asked for there is none', () => {
  assert.ok(plain.persons.length > 0)
  for (const person of plain.persons) assert.ok(!('segmentation' in person))
})

test('everything else stays the same, bit for bit', () => {
  const [bare, masked] = [measured(plain), measured(outlined)]
  for (const person of masked.persons) delete person.segmentation
  assert.deepEqual(masked, bare)
})

/** The mask's value where a pixel of the picture lies. */
function at({ mask, region }, x, y) {
  const { cx, cy, size, rotation } = region
  const [sin, cos] = [Math.sin(rotation), Math.cos(rotation)]
  const u = (cos * (x - cx) + sin * (y - cy)) / size + 0.5
  const v = (cos * (y - cy) - sin * (x - cx)) / size + 0.5
  return mask[Math.round(v * SIDE) * SIDE + Math.round(u * SIDE)]
}

test('a mask covers its person and not the surroundings', () => {
  const people = outlined.persons.filter(({ keypoints: [nose] }) =>
    NOSES.some(([x, y]) => Math.hypot(nose.x - x, nose.y - y) < 30),
  )
  assert.equal(people.length, NOSES.length)
  for (const { segmentation, keypoints, box } of people) {
    const { mask, region } = segmentation
    assert.ok(mask instanceof Float32Array && mask.length === SIDE * SIDE)
    assert.ok(mask.every((value) => value >= 0 && value <= 1))
    for (const name of ['left_shoulder', 'right_shoulder', 'left_hip', 'right_hip']) {
      const { x, y } = keypoints.find((point) => point.name === name)
      assert.ok(at(segmentation, x, y) > 0.5, `${name}: ${at(segmentation, x, y)}`)
    }
    const covered = mask.filter((value) => value > 0.5).length / mask.length
    assert.ok(covered > 0.02 && covered < 0.6, `${covered} of the region`)
    // Corners of the region lie beyond head and feet, to the sides.
    for (const corner of [0, SIDE - 1, SIDE * (SIDE - 1), SIDE * SIDE - 1]) {
      assert.ok(mask[corner] < 0.5)
    }
    const [x1, y1, x2, y2] = box
    assert.ok(region.cx > x1 && region.cx < x2 && region.cy > y1 && region.cy < y2)
    assert.ok(region.size > 0.8 * Math.max(x2 - x1, y2 - y1))
  }
})
