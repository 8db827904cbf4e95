// 4D-Humans looking back: whom the detector is only half sure of at first, and sure of later, an offline
// clip tells from the beginning.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test, { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createEngine } from '../index.mjs'
import { overlap } from './helpers/clips.mjs'
import { humansCache } from './helpers/humans.mjs'
import { SAMPLE } from './helpers/images.mjs'
import { measured } from './helpers/results.mjs'
import { needsFfmpeg } from './helpers/videos.mjs'

const [WIDTH, HEIGHT] = [320, 180]
const UNSURE = 2
const FRAMES = 5

let cache
let pictures
before(() => {
  cache = humansCache()
  if (needsFfmpeg.skip) return
  const scaled = [
    '-vf',
    `scale=${WIDTH}:${HEIGHT}`,
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgb24',
    'pipe:1',
  ]
  const photo = execFileSync('ffmpeg', ['-v', 'error', '-i', fileURLToPath(SAMPLE), ...scaled])
  // The same scene, brighter and darker: the same boxes with other scores.
  const lit = (light) => Buffer.from(photo.map((value) => Math.min(255, Math.round(light * value))))
  pictures = [1, 0.99, 1.02].map(lit)
})
after(() => cache.remove())

const frame = (pixels, frameNumber) => ({ frameNumber, pixels, width: WIDTH, height: HEIGHT })

const engineWith = (scoreThreshold) =>
  createEngine({
    model: '4dhumans',
    cacheDir: cache.cacheDir,
    maxPersons: 2 * PEOPLE,
    humans: { scoreThreshold, tracker: 'joints' },
  })

/** So many boxes of a frame are somebody: random detectors find many. */
const PEOPLE = 12

/** A place, apart from all others, that the first picture shows more surely than another one, by the most. */
async function unsure() {
  const engine = await engineWith(0.02)
  try {
    const shown = await engine.processFrames(pictures.map(frame), { tracking: false, mesh: false })
    const [sure, ...others] = shown.map(({ persons }) => persons)
    const near = (persons, { box }) => persons.filter((other) => overlap(other.box, box) > 0.1)
    const alone = sure.slice(0, PEOPLE).filter((person) => near(sure, person).length === 1)
    const pairs = alone.flatMap(({ box, score }) =>
      others.flatMap((persons, at) => {
        const [same, another] = near(persons, { box })
        const steady = same && !another && overlap(same.box, box) > 0.7
        return steady ? [{ box, scores: [score, same.score], dim: pictures[at + 1] }] : []
      }),
    )
    const gap = ({ scores: [more, less] }) => more - less
    return pairs.sort((a, b) => gap(b) - gap(a))[0]
  } finally {
    await engine.close()
  }
}

test('somebody half seen before they are surely seen', needsFfmpeg, async () => {
  const { box, scores, dim } = await unsure()
  const threshold = (scores[0] + scores[1]) / 2
  assert.ok(scores[0] > threshold && scores[1] < threshold, `${scores}`)
  const engine = await engineWith(threshold)
  try {
    const frames = Array.from({ length: FRAMES }, (_, n) =>
      frame(n < UNSURE ? dim : pictures[0], n),
    )
    const online = await engine.processFrames(frames, { mesh: false })
    const offline = await engine.processFrames(frames, { mode: 'offline' })
    const there = (result) => result.persons.find((person) => overlap(person.box, box) > 0.6)
    const known = there(offline[UNSURE])
    assert.equal(known.source, 'detected')
    for (let n = 0; n < UNSURE; n++) {
      assert.equal(there(online[n]), undefined)
      const person = there(offline[n])
      assert.equal(person?.source, 'recovered', `frame ${n}`)
      assert.equal(person.trackId, known.trackId)
      assert.ok(person.score < threshold && person.score >= threshold / 2)
      assert.equal(person.mesh.vertices.length, 3 * 6890)
      assert.ok(person.mesh.vertices.every(Number.isFinite))
      assert.equal(person.smpl.bodyPose.length, 23 * 9)
    }
    // However the clip is cut into calls, and saved in between.
    const clip = engine.openClip({ mode: 'offline', mesh: false })
    await clip.processFrames(frames.slice(0, 1))
    await clip.processFrames(frames.slice(1, 3))
    const later = engine.openClip({ snapshot: await clip.snapshot() })
    await later.processFrames(frames.slice(3))
    for (const { persons } of offline) for (const person of persons) delete person.mesh
    assert.deepEqual((await later.finish()).map(measured), offline.map(measured))
  } finally {
    await engine.close()
  }
})
