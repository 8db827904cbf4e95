// The coverage certificate: what it counts, what it suspects, what it holds a clip to.

import assert from 'node:assert/strict'
import test, { after, before, describe } from 'node:test'
import { createEngine } from '../index.mjs'
import summaries from '../lib/summary.cjs'
import { humansCache, SEES } from './helpers/humans.mjs'
import { raw, rawFrames, sample } from './helpers/images.mjs'

const { Summary } = summaries
const BOX = [100, 100, 140, 200]
const moved = (box, right, down = 0) => [
  box[0] + right,
  box[1] + down,
  box[2] + right,
  box[3] + down,
]
const person = (trackId, source = 'detected', box = BOX, more) => ({
  trackId,
  source,
  box: Float32Array.from(box),
  ...more,
})
const result = (frameNumber, persons = [], more) => ({ frameNumber, persons, ...more })
const failed = (frameNumber, errorCode) => result(frameNumber, [], { errorCode, error: 'broken' })

/** A summary of these results, one after another. */
function summed(results, options) {
  const summary = new Summary(options)
  for (const one of results) {
    summary.take()
    summary.add(one)
  }
  return summary.report()
}
/** Frames from 0 with what `who(i)` gives. */
const clip = (count, who) => Array.from({ length: count }, (_, i) => result(i, who(i)))

describe('tracks', () => {
  test('records by source, first and last frame', () => {
    const sources = ['predicted', 'detected', 'recovered', 'detected', 'interpolated', 'predicted']
    const report = summed(sources.map((source, i) => result(10 + 2 * i, [person(7, source)])))
    assert.equal(report.records, 6)
    const [track] = report.tracks
    assert.deepEqual(track.sources, { detected: 2, recovered: 1, predicted: 2, interpolated: 1 })
    const { trackId, firstFrame, lastFrame, frames, records, seen } = track
    assert.deepEqual([trackId, firstFrame, lastFrame, frames, records, seen], [7, 10, 20, 6, 6, 3])
  })

  test('gaps: runs in which somebody was not seen, with records or without', () => {
    const at = {
      1: 'predicted',
      2: 'detected',
      3: 'detected',
      4: 'predicted',
      8: 'recovered',
      9: 'detected',
      11: 'detected',
      12: 'predicted',
      13: 'predicted',
    }
    const report = summed(clip(16, (i) => (at[i] ? [person(1, at[i])] : [])))
    const [track] = report.tracks
    assert.deepEqual(track.gaps, [
      { after: null, before: 2, frames: 1, records: 1 },
      { after: 3, before: 8, frames: 4, records: 1 },
      { after: 9, before: 11, frames: 1, records: 0 },
      { after: 11, before: null, frames: 2, records: 2 },
    ])
    const { gapCount, gapFrames, longestGap, frames, records, seen } = track
    assert.deepEqual([gapCount, gapFrames, longestGap], [4, 8, 4])
    assert.deepEqual([frames, records, seen], [13, 9, 5])
    assert.equal(gapFrames + seen, frames)
  })

  test('a failed frame is a frame in which nobody was seen; a refused one is none', () => {
    const report = summed([
      result(0, [person(1)]),
      failed(1, 'ERR_POSE4D_IMAGE_CORRUPT'),
      failed(1, 'ERR_POSE4D_FRAME_DUPLICATE'),
      failed(0, 'ERR_POSE4D_FRAME_ORDER'),
      result(2, [person(1)]),
    ])
    assert.deepEqual(report.tracks[0].gaps, [{ after: 0, before: 2, frames: 1, records: 0 }])
    assert.deepEqual(report.errors, {
      ERR_POSE4D_IMAGE_CORRUPT: 1,
      ERR_POSE4D_FRAME_DUPLICATE: 1,
      ERR_POSE4D_FRAME_ORDER: 1,
    })
    const { framesIn, framesOut, framesFailed, framesRefused, holds } = report
    assert.deepEqual([framesIn, framesOut, framesFailed, framesRefused], [5, 5, 3, 2])
    assert.equal(holds, true)
  })

  test('memory does not grow with frames: a track lists a hundred gaps and counts them all', () => {
    const report = summed(clip(1001, (i) => (i % 2 ? [] : [person(1)])))
    const [track] = report.tracks
    assert.deepEqual([track.gaps.length, track.gapCount, track.gapFrames], [100, 500, 500])
  })
})

describe('suspected switches', () => {
  test('a track ends, another begins at nearly the same place', () => {
    const who = (i) =>
      i < 10 ? [person(1)] : i < 15 ? [] : [person(2, 'detected', moved(BOX, 20))]
    const report = summed(clip(30, who))
    assert.deepEqual(report.suspectedSwitches, [
      { kind: 'replaced', from: 1, to: 2, frameNumber: 15, frames: 5 },
    ])
    assert.equal(report.suspectedSwitchCount, 1)
  })

  test('also while the old one is still being predicted', () => {
    const who = (i) => [
      ...(i < 20 ? [person(1, i < 10 ? 'detected' : 'predicted')] : []),
      ...(i >= 12 ? [person(2)] : []),
    ]
    assert.deepEqual(
      summed(clip(30, who)).suspectedSwitches.map(({ from, to, frames }) => [from, to, frames]),
      [[1, 2, 2]],
    )
  })

  const innocent = {
    'somebody else, elsewhere': (i) =>
      i < 10 ? [person(1)] : [person(2, 'detected', moved(BOX, 90))],
    'too late': (i) => (i < 10 ? [person(1)] : i < 41 ? [] : [person(2)]),
    'of another size': (i) =>
      i < 10 ? [person(1)] : [person(2, 'detected', [110, 130, 130, 170])],
    'the first one comes back': (i) =>
      i < 10
        ? [person(1)]
        : i < 15
          ? [person(2)]
          : [person(1), person(2, 'detected', moved(BOX, 9))],
    'both were there': () => [person(1), person(2, 'detected', moved(BOX, 10))],
  }
  for (const [name, who] of Object.entries(innocent)) {
    test(`none: ${name}`, () => {
      assert.deepEqual(summed(clip(60, who)).suspectedSwitches, [])
    })
  }

  test('two people jump onto each other’s place', () => {
    const right = moved(BOX, 200)
    const who = (i) =>
      i < 5
        ? [person(1), person(2, 'detected', right)]
        : [person(1, 'detected', right), person(2, 'detected', BOX)]
    assert.deepEqual(summed(clip(10, who)).suspectedSwitches, [
      { kind: 'exchanged', from: 1, to: 2, frameNumber: 5, frames: 0 },
    ])
    // Passing one another is no jump.
    const passing = (i) => [
      person(1, 'detected', moved(BOX, 8 * i)),
      person(2, 'detected', moved(right, -8 * i)),
    ]
    assert.equal(summed(clip(26, passing)).suspectedSwitchCount, 0)
  })
})

describe('invariants', () => {
  const only = (report, name) => {
    const broken = Object.entries(report.invariants).filter(([, { holds }]) => !holds)
    assert.deepEqual([broken.map(([key]) => key), report.holds], [[name], false])
    return report.invariants[name]
  }

  test('order and count', () => {
    const order = only(summed([result(3), result(3), result(2)]), 'order')
    assert.deepEqual([order.violations, order.broken], [2, 'frame 3 came after frame 3'])
    const summary = new Summary()
    summary.take(3)
    summary.add(result(0))
    assert.equal(summary.report({ complete: false }).holds, true)
    assert.equal(only(summary.report(), 'count').broken, '3 frames in, 1 out')
  })

  test('time', () => {
    const times = [0, 40, 40, 30, undefined, 80]
    const report = summed(times.map((timestampMs, i) => result(i, [], { timestampMs })))
    const { violations, broken } = only(report, 'monotoneTime')
    assert.deepEqual([violations, broken], [2, 'frame 2 is of 40 ms, the one before of 40 ms'])
  })

  test('a call: each result is of its own frame, whatever their order', () => {
    const given = [4, 2, 3].map((frameNumber) => ({ frameNumber, timestampMs: 40 * frameNumber }))
    const good = new Summary()
    good.addCall(given, [result(4, [person(1)]), result(2), result(3, [person(1)])])
    assert.equal(good.report().holds, true)
    assert.deepEqual([good.report().firstFrame, good.report().tracks[0].firstFrame], [2, 3])
    const bad = new Summary()
    const timeless = given.map(({ frameNumber }) => ({ frameNumber }))
    bad.addCall(timeless, [result(4), result(3), result(2)])
    assert.match(only(bad.report(), 'order').broken, /result 1 is of frame 3, not 2/)
    const short = new Summary()
    short.addCall(given, [result(4), result(2)])
    assert.match(only(short.report(), 'count').broken, /3 frames in a call had 2 results/)
  })

  test('meshes: of everybody seen, whole, finite', () => {
    const mesh = (length, at) => {
      const vertices = new Float32Array(length)
      if (at !== undefined) vertices[at] = Number.NaN
      return { mesh: { vertices } }
    }
    const of = (more, source) => [result(0, [person(1, source, BOX, more)])]
    const options = { vertices: () => 4 }
    const good = summed(of(mesh(12)), options)
    assert.deepEqual([good.holds, good.invariants.completeMesh.checked], [true, 1])
    assert.equal(summed(of({}, 'predicted'), options).holds, true)
    const cases = [
      [mesh(12, 11), 'person 1 of frame 0 has a vertex that is not finite'],
      [mesh(9), 'person 1 of frame 0 has 3 of 4 vertices'],
      [{}, 'person 1 of frame 0 has no mesh'],
    ]
    for (const [more, broken] of cases)
      assert.equal(only(summed(of(more), options), 'completeMesh').broken, broken)
    assert.equal(summed(of({})).holds, true)
  })

  test('independent frames have neither order nor tracks', () => {
    const report = summed([result(5, [person(1)]), result(5, [person(1)])], { tracking: false })
    assert.deepEqual([report.holds, report.tracks, report.records], [true, [], 2])
  })
})

describe('of a clip', () => {
  let engine
  before(async () => {
    engine = await createEngine({ blazepose: { variant: 'fast', tileScales: [] } })
  })
  after(() => engine.close())

  test('frames out of order and doubled are refused one by one; the clip goes on', async () => {
    const clip = engine.openClip()
    assert.deepEqual([clip.summary().framesIn, clip.summary().holds], [0, true])
    await clip.processFrames(rawFrames(5, 8))
    const again = await clip.processFrames([raw(9), raw(7), raw(8), raw(9), raw(-1), raw(2)])
    assert.deepEqual(
      again.map((one) => one.errorCode?.replace('ERR_POSE4D_', '')),
      [undefined, 'FRAME_ORDER', undefined, 'FRAME_DUPLICATE', 'FRAME_NUMBER', 'FRAME_ORDER'],
    )
    const [last] = await clip.processFrames([raw(10)])
    assert.equal(last.errorCode, undefined)
    const { framesIn, framesOut, framesRefused, firstFrame, lastFrame, holds } = clip.summary()
    assert.deepEqual([framesIn, framesOut, framesRefused], [10, 10, 4])
    assert.deepEqual([firstFrame, lastFrame, holds], [5, 10, true])
  })

  test('what is no frame is counted, a call that rejects leaves no trace', async () => {
    const clip = engine.openClip()
    const odd = await clip.processFrames([...rawFrames(0, 3), null, {}, { frameNumber: 'one' }])
    assert.equal(odd.filter(({ errorCode }) => errorCode).length, 3)
    assert.equal(clip.summary().holds, true)
    const signal = AbortSignal.abort()
    await assert.rejects(clip.processFrames(rawFrames(3, 6), { signal }))
    await assert.rejects(clip.processFrames('frames'))
    assert.deepEqual([clip.summary().framesIn, clip.summary().lastFrame], [6, 2])
  })

  test('time that goes back is seen, though frame numbers rise', async () => {
    const clip = engine.openClip()
    await clip.processFrames([
      { ...raw(0), timestampMs: 100 },
      { ...raw(1), timestampMs: 50 },
    ])
    assert.equal(clip.summary().invariants.monotoneTime.violations, 1)
  })
})

test('an offline clip: what finish() revised counts, and the clip goes on', async () => {
  const engine = await createEngine({ model: 'blazepose' })
  const frame = (frameNumber) => ({
    frameNumber,
    image: frameNumber === 5 ? Buffer.from('not an image') : sample(),
    // Nobody is shown to it there.
    ...([4, 6, 13].includes(frameNumber) && { boxes: [] }),
  })
  const call = (from, to) => Array.from({ length: to - from }, (_, i) => frame(from + i))
  const of = (summary, source) =>
    summary.tracks.reduce((sum, { sources }) => sum + sources[source], 0)
  try {
    const clip = engine.openClip({ mode: 'offline' })
    await clip.processFrames(call(0, 6))
    await clip.processFrames(call(6, 10))
    const before = clip.summary()
    assert.ok(before.tracks.length > 0 && before.framesOut === 10)
    assert.equal(of(before, 'interpolated'), 0)
    const revised = await clip.finish()
    const after = clip.summary()
    const records = revised.reduce((sum, { persons }) => sum + persons.length, 0)
    assert.deepEqual([after.framesIn, after.framesOut, after.records], [10, 10, records])
    assert.ok(of(after, 'interpolated') >= 3 * before.tracks.length)
    assert.equal(of(after, 'predicted'), 0)
    const [gap] = after.tracks[0].gaps
    assert.deepEqual(gap, { after: 3, before: 7, frames: 3, records: 3 })
    await clip.processFrames(call(10, 16))
    assert.deepEqual([clip.summary().framesOut, of(clip.summary(), 'predicted') > 0], [16, true])
    const next = await clip.finish()
    const last = clip.summary()
    const more = next.reduce((sum, { persons }) => sum + persons.length, 0)
    assert.deepEqual([last.framesOut, last.records, last.holds], [16, records + more, true])
    assert.equal(of(last, 'predicted'), 0)
    await assert.rejects(engine.openClip().finish(), { code: 'ERR_POSE4D_INVALID_ARGUMENT' })
  } finally {
    await engine.close()
  }
})

test('meshes of a model that has them are checked', async () => {
  const cache = humansCache()
  const engine = await createEngine({
    model: '4dhumans',
    detector: 'regnety',
    cacheDir: cache.cacheDir,
    humans: { ...SEES, vitpose: 'off' },
  })
  try {
    const clip = engine.openClip()
    const frame = { ...raw(0, { width: 320, height: 240 }), boxes: [[20, 20, 120, 220]] }
    const [{ persons }] = await clip.processFrames([frame])
    const { checked, holds } = clip.summary().invariants.completeMesh
    assert.deepEqual([checked, holds], [persons.length, true])
    assert.ok(checked > 0)
    await clip.processFrames([{ ...frame, frameNumber: 1 }], { mesh: false })
    assert.equal(clip.summary().invariants.completeMesh.checked, checked)
    assert.equal(clip.summary().holds, true)
  } finally {
    await engine.close()
    cache.remove()
  }
})
