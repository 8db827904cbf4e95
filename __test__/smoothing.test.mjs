// Smoothing: steadier over time, the same people, and what was measured stays beside it to the bit.

import assert from 'node:assert/strict'
import test from 'node:test'
import { createEngine } from '../index.mjs'
import { clipFrames, hide, isSeen } from './helpers/clips.mjs'
import { humansCache, SEES, VITPOSE } from './helpers/humans.mjs'
import { sample } from './helpers/images.mjs'
import { needsFfmpeg } from './helpers/videos.mjs'

const RAW = ['keypoints', 'joints3d', 'jointAngles3d', 'camera', 'smpl']

/** The same clip with and without. */
async function both(config, frames, mode) {
  const found = []
  for (const smoothing of [false, true]) {
    const engine = await createEngine({ ...config, smoothing })
    try {
      found.push(await engine.processFrames(frames, { mode }))
    } finally {
      await engine.close()
    }
  }
  return found
}

/** Everybody's records, which must be those of the run without but for the numbers that are smoothed. */
function judge(plain, smooth) {
  let seen = 0
  for (const [n, { persons }] of smooth.entries()) {
    const theirs = plain[n].persons
    assert.deepEqual(
      persons.map(({ trackId, source, box, score }) => ({ trackId, source, box, score })),
      theirs.map(({ trackId, source, box, score }) => ({ trackId, source, box, score })),
    )
    for (const [at, person] of persons.entries()) {
      assert.equal(theirs[at].raw, undefined)
      if (!isSeen(person)) {
        assert.equal(person.raw, undefined, person.source)
        continue
      }
      seen++
      const measured = Object.fromEntries(
        RAW.filter((key) => theirs[at][key] !== undefined).map((key) => [key, theirs[at][key]]),
      )
      assert.deepEqual(structuredClone(person.raw), structuredClone(measured))
    }
  }
  return seen
}

/** How much the joints jerk: second differences of those seen in three frames in a row, metres. */
function jerk(results) {
  const values = []
  for (let n = 1; n + 1 < results.length; n++) {
    for (const { trackId, joints3d } of results[n].persons.filter(isSeen)) {
      const [a, b] = [-1, 1].map((step) =>
        results[n + step].persons.find((p) => p.trackId === trackId && isSeen(p)),
      )
      if (!a || !b) continue
      for (let i = 0; i < joints3d.length; i++)
        values.push(Math.abs(a.joints3d[i] - 2 * joints3d[i] + b.joints3d[i]))
    }
  }
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

for (const mode of ['online', 'offline']) {
  test(`blazepose, ${mode}`, needsFfmpeg, async () => {
    const frames = hide(clipFrames(), (n) => n >= 20 && n < 24)
    const [plain, smooth] = await both({ model: 'blazepose' }, frames, mode)
    assert.ok(judge(plain, smooth) > 30)
    assert.ok(
      jerk(smooth) < (mode === 'online' ? 0.9 : 0.6) * jerk(plain),
      `${jerk(smooth)} of ${jerk(plain)}`,
    )
  })

  test(`4dhumans, ${mode}: bodies are posed anew`, async () => {
    const cache = humansCache()
    const config = {
      model: '4dhumans',
      cacheDir: cache.cacheDir,
      keypoints: 'coco17',
      humans: { ...SEES, files: VITPOSE },
    }
    const frames = Array.from({ length: 6 }, (_, frameNumber) => ({
      frameNumber,
      image: sample(),
      boxes: [[40 + 25 * (frameNumber % 3), 30, 300 + 10 * frameNumber, 420]],
    }))
    try {
      const [plain, smooth] = await both(config, frames, mode)
      assert.equal(judge(plain, smooth), frames.length)
      const [before, person] = [plain, smooth].map((results) => results[3].persons[0])
      assert.notDeepEqual(person.smpl.bodyPose, before.smpl.bodyPose)
      assert.notDeepEqual(person.mesh.vertices, before.mesh.vertices)
      assert.notDeepEqual(person.joints3d, before.joints3d)
      assert.equal(person.keypointSource, 'measured')
      // The first frame has no past: online it is told as measured, by a body posed anew.
      if (mode === 'offline') return
      const [first, own] = [plain, smooth].map((results) => results[0].persons[0])
      assert.deepEqual(own.smpl, first.smpl)
      for (const [i, value] of own.mesh.vertices.entries())
        assert.ok(Math.abs(value - first.mesh.vertices[i]) < 1e-5)
    } finally {
      cache.remove()
    }
  })
}

test('a photo has no time to be smoothed over', async () => {
  const engine = await createEngine({ model: 'blazepose', smoothing: true })
  try {
    const [{ persons }] = await engine.processFrames([{ frameNumber: 0, image: sample() }], {
      tracking: false,
    })
    assert.ok(persons.length > 0)
    assert.ok(persons.every(({ raw }) => raw === undefined))
  } finally {
    await engine.close()
  }
})
