// Parts of the command line that need no addon: suggestions, numbers on paper, progress.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { number, suggest, time } from '../cli/args.mjs'
import { distinctNames } from '../cli/inputs.mjs'
import { plainFrame } from '../cli/output.mjs'
import { duration, Progress } from '../cli/progress.mjs'
import { photoText, Summary } from '../cli/summary.mjs'
import ffmpeg from '../lib/video/ffmpeg.cjs'

const person = (trackId, source = 'detected') => ({
  trackId,
  box: Float32Array.of(1.23456, 2, 3, 4),
  score: 0.912345678,
  source,
  trackingConfidence: 1,
  keypoints: [{ name: 'nose', x: 1.23456, y: 2, z: 0.123456789, confidence: 0.5 }],
  joints3d: Float32Array.of(0.1, 0.2, Number.NaN),
  jointAngles3d: { left_elbow: 170.4 },
  camera: {
    translation: Float32Array.of(3, 0, 4),
    focalLength: 1000,
    center: Float32Array.of(5, 5),
  },
})

const result = (frameNumber, persons, extra) => ({
  frameNumber,
  frameWidth: 640,
  frameHeight: 360,
  persons,
  processingTimeMs: 5,
  timings: { decode: 1 },
  modelVersion: 'm',
  ...extra,
})

describe('arguments', () => {
  test('a near miss is suggested, a wild guess is not', () => {
    assert.equal(suggest('procss', ['process', 'doctor']), 'process')
    assert.equal(suggest('dcotor', ['process', 'doctor']), 'doctor')
    assert.equal(suggest('serve', ['process', 'doctor']), undefined)
  })

  test('times and numbers', () => {
    assert.equal(time({ start: '1:02:03.5' }, 'start'), 3723.5)
    assert.equal(time({ start: '12.5' }, 'start'), 12.5)
    assert.equal(time({}, 'start'), undefined)
    for (const bad of ['', '-1', '1:', 'a', '1:2:3:4', '1e3'])
      assert.throws(() => time({ start: bad }, 'start'), { exitCode: 2 })
    assert.equal(number({ n: '3' }, 'n', { min: 1, integer: true }), 3)
    for (const bad of ['', ' ', '0', '1.5', 'NaN', 'Infinity'])
      assert.throws(() => number({ n: bad }, 'n', { min: 1, integer: true }), { exitCode: 2 })
  })

  test('the flag that keeps every frame follows the version of ffmpeg', () => {
    for (const old of ['4.4.2-0ubuntu0.22.04.1', '5.0.1', 'n4.4'])
      assert.equal(ffmpeg.passthroughFlags(old)[0], '-vsync')
    for (const recent of ['5.1.9-0+deb12u1', '6.0', '7.1.1', 'n8.0', 'N-12345-gabc', undefined])
      assert.equal(ffmpeg.passthroughFlags(recent)[0], '-fps_mode')
  })

  test('overlays of namesakes do not overwrite each other', () => {
    assert.deepEqual(distinctNames(['a/x.jpg', 'b/x.png', 'c/y.jpg'], '.jpg'), [
      'x.jpg',
      'x_2.jpg',
      'y.jpg',
    ])
  })
})

describe('output', () => {
  test('a frame becomes plain, rounded data', () => {
    const frame = plainFrame(result(7, [person(1)]), { file: 'a.jpg', timestampMs: 40 })
    assert.deepEqual(JSON.parse(JSON.stringify(frame)), frame)
    assert.deepEqual(frame.persons[0].box, [1.235, 2, 3, 4])
    assert.deepEqual(frame.persons[0].joints3d, [0.1, 0.2, null])
    assert.equal(frame.persons[0].keypoints[0].z, 0.12346)
    assert.deepEqual([frame.file, frame.timestampMs, 'error' in frame], ['a.jpg', 40, false])
  })

  test('a failed frame keeps its code', () => {
    const frame = plainFrame(
      result(7, [], { error: 'broken', errorCode: 'ERR_POSE4D_IMAGE_CORRUPT' }),
    )
    assert.deepEqual([frame.errorCode, frame.error], ['ERR_POSE4D_IMAGE_CORRUPT', 'broken'])
  })
})

describe('summary', () => {
  test('a photo shows distance and angles', () => {
    const text = photoText('a.jpg', result(0, [person(1)]))
    assert.match(text, /a\.jpg {2}640×360 {2}1 person {2}5 ms/)
    assert.match(text, /0\.91 {2} +5\.0 m .*170° –/)
  })

  test('tracks are counted with their sources and gaps', () => {
    const summary = new Summary({ tracked: true })
    summary.add(result(10, [person(1), person(2)]), 'f')
    summary.add(result(11, [person(1, 'predicted')]), 'f')
    summary.add(result(12, [], { errorCode: 'ERR_POSE4D_TIMEOUT', error: 'late' }), 'f')
    summary.add(result(13, [person(1), person(2)]), 'f')
    const { tracks, errors, failed } = summary.toJSON()
    assert.deepEqual(tracks[0], {
      trackId: 1,
      frames: 3,
      first: 10,
      last: 13,
      gaps: 1,
      detected: 2,
      recovered: 0,
      predicted: 1,
      interpolated: 0,
    })
    assert.deepEqual([tracks[1].frames, tracks[1].gaps], [2, 1])
    assert.deepEqual([errors, failed], [{ ERR_POSE4D_TIMEOUT: 1 }, 1])
    assert.match(summary.text(), /ERR_POSE4D_TIMEOUT ×1, first f: late/)
  })
})

describe('progress', () => {
  const screen = (isTTY) => ({
    isTTY,
    columns: 120,
    text: '',
    write(part) {
      this.text += part
    },
  })

  test('a terminal gets a bar, without colours under NO_COLOR', () => {
    for (const [env, coloured] of [
      [{}, true],
      [{ NO_COLOR: '1' }, false],
    ]) {
      const stream = screen(true)
      const progress = new Progress({ total: 4, stream, env })
      progress.tick()
      assert.match(stream.text, /25% {2}1\/4 {2}[\d.]+ frames\/s {2}\d:\d\d left/)
      assert.equal(stream.text.includes('\x1b[36m'), coloured)
    }
  })

  test('elsewhere nothing is redrawn, and short runs print nothing', () => {
    const stream = screen(false)
    const progress = new Progress({ total: 4, stream })
    progress.tick()
    progress.clear()
    assert.equal(stream.text, '')
    assert.match(progress.text(), /^25% {2}1\/4/)
  })

  test('more frames than foretold are no percentage', () => {
    const progress = new Progress({ total: 1, stream: screen(false) })
    progress.tick()
    progress.tick({ failed: true })
    assert.match(progress.text(), /^2 frames {2}.* 1 failed$/)
  })

  test('durations', () => {
    assert.deepEqual(
      [duration(5), duration(65), duration(3725), duration(Infinity)],
      ['0:05', '1:05', '1:02:05', '?'],
    )
  })
})
