// renderOverlay: formats, and what it says of results that are none.

import assert from 'node:assert/strict'
import test from 'node:test'
import { renderOverlay } from '../index.mjs'
import { raw } from './helpers/images.mjs'

const point = (name, x, y) => ({ name, x, y, confidence: 0.9 })
const person = {
  trackId: 3,
  box: new Float32Array([10, 8, 50, 44]),
  score: 0.9,
  source: 'detected',
  trackingConfidence: 1,
  keypoints: [point('left_hip', 30, 20), point('left_knee', 30, 30), point('left_ankle', 32, 40)],
  jointAngles3d: { left_knee: 170 },
}
const result = { frameWidth: 64, frameHeight: 48, persons: [person] }
const frame = raw(0)

test('PNG, JPEG and raw RGB', async () => {
  const made = await renderOverlay(frame, result)
  assert.equal(made.subarray(1, 4).toString(), 'PNG')
  const jpeg = await renderOverlay(frame, result, { format: 'jpeg', quality: 80 })
  assert.deepEqual([...jpeg.subarray(0, 3)], [0xff, 0xd8, 0xff])
  const rgb = await renderOverlay(frame, result, { format: 'rgb' })
  assert.equal(rgb.length, 64 * 48 * 3)
  assert.ok(rgb.some((value) => value !== 90))
  const nobody = await renderOverlay(frame, { ...result, persons: [] }, { format: 'rgb' })
  assert.ok(nobody.every((value) => value === 90))
})

test('a box as a plain array, as JSON brings it back', async () => {
  const again = JSON.parse(
    JSON.stringify({ ...result, persons: [{ ...person, box: [10, 8, 50, 44] }] }),
  )
  const one = await renderOverlay(frame, again, { format: 'rgb' })
  assert.deepEqual(one, await renderOverlay(frame, result, { format: 'rgb' }))
})

const REFUSED = [
  [null, frame, {}, /result must be a PoseResult/],
  [{ ...result, persons: 'all' }, frame, {}, /result\.persons must be an array/],
  [{ ...result, persons: [{ ...person, box: [1] }] }, frame, {}, /persons\[0\]\.box/],
  [
    { ...result, persons: [{ ...person, keypoints: [point('tail', 1, 1)] }] },
    frame,
    {},
    /keypoints\[0\]\.name.*"tail"/,
  ],
  [result, { frameNumber: 0 }, {}, /exactly one of/],
  [result, { imagePath: '/no/such.jpg' }, {}, /no such/],
  [result, frame, { format: 'gif' }, /options\.format must be one of 'png'/],
  [result, frame, { colour: 'red' }, /no option "colour"/],
]

for (const [given, onto, options, message] of REFUSED) {
  test(`refused: ${message.source}`, async () => {
    await assert.rejects(renderOverlay(onto, given, options), { name: 'Pose4DError', message })
  })
}
