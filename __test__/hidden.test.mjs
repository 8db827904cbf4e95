// Frames in which a real clip's people are hidden from the engine: every one is covered, nobody becomes
// somebody else, and what is filled in is nearer to the truth than the last pose held.
//
// The truth is the same clip with nothing hidden. Larger figures: scripts/eval_gaps.mjs.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { createEngine } from '../index.mjs'
import { apart, clipFrames, crossing, hide, isSeen, overlap, WIDTH } from './helpers/clips.mjs'
import { measured } from './helpers/results.mjs'
import { needsFfmpeg } from './helpers/videos.mjs'

let engine
let frames
let truth
/** There and back, for longer runs. */
let long
before(async () => {
  if (needsFfmpeg.skip) return
  engine = await createEngine({ model: 'blazepose' })
  frames = clipFrames()
  truth = await engine.processFrames(frames)
  const back = frames.slice(0, -1).reverse()
  const there = [...frames, ...back].map((frame, frameNumber) => ({ ...frame, frameNumber }))
  long = { frames: there, truth: await engine.processFrames(there) }
})
after(() => engine?.close())

const CASES = {
  'every third frame': (n) => n % 3 === 2 && n < 44,
  'a run of 10': (n) => n >= 15 && n < 25,
  'two runs of 5': (n) => (n >= 10 && n < 15) || (n >= 30 && n < 35),
  'a run of 30': (n) => n >= 28 && n < 58,
}

/** Who is who in the other run: by where they were last seen before frame `n`. */
function counterpart(truth, results, person, n) {
  for (let at = n - 1; at >= 0; at--) {
    const there = truth[at].persons.find(({ trackId }) => trackId === person.trackId)
    if (!there || !isSeen(there)) return undefined
    const same = results[at].persons.find((p) => isSeen(p) && overlap(p.box, there.box) > 0.5)
    if (same) return { last: same, trackId: same.trackId }
  }
}

/** Of people hidden: how many had a record, and how far off it and the last pose were, mm. */
function judge(truth, results, hidden) {
  const found = { people: 0, covered: 0, error: 0, held: 0 }
  for (const [n, { persons }] of truth.entries()) {
    if (!hidden(n)) continue
    for (const person of persons.filter(isSeen)) {
      const known = counterpart(truth, results, person, n)
      if (!known) continue
      found.people++
      const record = results[n].persons.find(({ trackId }) => trackId === known.trackId)
      if (!record) continue
      assert.ok(!isSeen(record), 'nobody is seen in a hidden frame')
      assert.ok(record.trackingConfidence > 0 && record.trackingConfidence < 1)
      found.covered++
      found.error += apart(record, person)
      found.held += apart(known.last, person)
    }
  }
  return found
}

/** Identities of the run, by those of the undropped one, over all frames in which both see somebody. */
function identities(truth, results) {
  const pairs = new Map()
  for (const [n, { persons }] of truth.entries()) {
    for (const person of persons.filter(isSeen)) {
      const same = results[n].persons.find((p) => isSeen(p) && overlap(p.box, person.box) > 0.6)
      if (!same) continue
      const known = pairs.get(person.trackId) ?? new Set()
      pairs.set(person.trackId, known.add(same.trackId))
    }
  }
  return pairs
}

for (const [name, hidden] of Object.entries(CASES)) {
  test(`${name}: every frame covered, identities kept`, needsFfmpeg, async () => {
    const clip = name === 'a run of 30' ? long : { frames, truth }
    const dropped = hide(clip.frames, hidden)
    const online = await engine.processFrames(dropped)
    const offline = await engine.processFrames(dropped, { mode: 'offline' })
    for (const results of [online, offline]) {
      assert.deepEqual(
        results.map(({ frameNumber }) => frameNumber),
        clip.frames.map(({ frameNumber }) => frameNumber),
      )
      for (const [id, known] of identities(clip.truth, results))
        assert.equal(known.size, 1, `person ${id} became ${[...known].join(' and ')}`)
    }
    const [guessed, filled] = [
      judge(clip.truth, online, hidden),
      judge(clip.truth, offline, hidden),
    ]
    assert.ok(
      filled.people >= clip.frames.filter(({ frameNumber }) => hidden(frameNumber)).length / 2,
    )
    assert.equal(guessed.covered, guessed.people, 'online')
    assert.equal(filled.covered, filled.people, 'offline')
    assert.ok(
      filled.error < filled.held,
      `${filled.error / filled.covered} mm filled in, ${filled.held / filled.covered} mm held`,
    )
    for (const [n, { persons }] of offline.entries())
      for (const person of persons.filter(isSeen)) {
        const before = online[n].persons.find(({ trackId }) => trackId === person.trackId)
        if (before && isSeen(before)) assert.deepEqual(person, before, 'what was seen stays')
      }
  })
}

test('two people who cross, one behind the other, stay who they are', needsFfmpeg, async () => {
  // Who goes to and fro across the picture; the other one hardly moves.
  const middle = ({ box }) => (box[0] + box[2]) / 2
  const walk = long.truth.map(({ persons }) => persons.at(-1))
  assert.ok(walk.every(({ trackId }) => trackId === walk[0].trackId))
  const wider = ([x1, y1, x2, y2]) => {
    const [w, h] = [0.25 * (x2 - x1), 0.12 * (y2 - y1)]
    return [x1 - w, y1 - h, x2 + w, y2 + h]
  }
  const crossed = crossing(
    long.frames,
    walk.map(({ box }) => wider(box)),
  )
  const [own, double] = [(n) => middle(walk[n]), (n) => WIDTH - middle(walk[n])]
  const side = (n) => Math.sign(own(n) - double(n))
  const apartBy = (n) => Math.abs(own(n) - double(n))
  assert.ok(walk.filter((_, n) => n > 0 && side(n) !== side(n - 1)).length >= 2, 'they cross twice')
  const met = walk.findIndex((_, n) => n > 0 && side(n) !== side(n - 1))
  for (const hidden of [() => false, (n) => n >= met - 2 && n < met + 3]) {
    for (const mode of ['online', 'offline']) {
      const results = await engine.processFrames(hide(crossed, hidden), { mode })
      assert.equal(results.length, crossed.length)
      const ids = [new Set(), new Set()]
      for (const [n, { persons }] of results.entries()) {
        if (apartBy(n) < 90) continue
        for (const [who, place] of [own(n), double(n)].entries()) {
          const there = persons.filter(
            (person) =>
              isSeen(person) &&
              overlap(
                person.box,
                walk[n].box.map((v, k) => v + (k % 2 ? 0 : place - own(n))),
              ) > 0.4,
          )
          for (const { trackId } of there) ids[who].add(trackId)
        }
      }
      assert.deepEqual(
        ids.map(({ size }) => size),
        [1, 1],
        `${mode}: ${ids.map((set) => [...set])}`,
      )
      assert.notDeepEqual(ids[0], ids[1])
    }
  }
})

test('a broken frame is told and covered, online too', needsFfmpeg, async () => {
  const broken = [12, 13, 30]
  const given = frames.map((frame) =>
    broken.includes(frame.frameNumber)
      ? { frameNumber: frame.frameNumber, image: Buffer.from('not an image') }
      : frame,
  )
  const results = await engine.processFrames(given)
  for (const n of broken) {
    assert.equal(results[n].errorCode, 'ERR_POSE4D_IMAGE_FORMAT')
    const before = results[n - 1].persons.map(({ trackId }) => trackId)
    assert.ok(before.length > 0)
    assert.deepEqual(
      results[n].persons.map(({ trackId }) => trackId),
      before,
    )
    for (const person of results[n].persons) {
      assert.equal(person.source, 'predicted')
      assert.ok(person.trackingConfidence < 1)
    }
  }
  const photos = await engine.processFrames(given.slice(12, 15), { tracking: false })
  assert.deepEqual(photos[0].persons, [], 'of a photo nothing is known')
})

test('looked for backward from where they were first seen', needsFfmpeg, async () => {
  // Nobody looks for those far away, until the caller points at them in frame 10.
  const near = await createEngine({
    model: 'blazepose',
    blazepose: { searchEvery: 0, tileScales: [], watch: false },
  })
  try {
    const pointed = truth[10].persons.map(({ box }) => [...box])
    const given = frames.map((frame) => {
      if (frame.frameNumber === 4) return { ...frame, boxes: [] }
      return frame.frameNumber === 10 ? { ...frame, boxes: pointed } : frame
    })
    const online = await near.processFrames(given)
    const offline = await near.processFrames(given, { mode: 'offline' })
    const first = (results, id) =>
      results.findIndex(({ persons }) => persons.some((p) => p.trackId === id && isSeen(p)))
    const ids = new Set(online.flatMap(({ persons }) => persons.map(({ trackId }) => trackId)))
    const gained = [...ids].filter((id) => first(online, id) === 10 && first(offline, id) < 10)
    assert.ok(gained.length > 0, 'somebody was found earlier than they were seen')
    for (const id of gained) {
      for (let n = first(offline, id); n < 10; n++) {
        const record = offline[n].persons.find(({ trackId }) => trackId === id)
        assert.ok(record, `frame ${n}`)
        const real = truth[n].persons.filter(isSeen)
        assert.ok(
          real.some((person) => overlap(person.box, record.box) > 0.5),
          `frame ${n}: who was found is really there`,
        )
        if (n === 4) assert.equal(record.source, 'interpolated', 'the caller says that nobody is')
      }
    }
    const sources = offline.flatMap(({ persons }) => persons.map(({ source }) => source))
    assert.ok(sources.includes('recovered'))
    // In parts, the same: pictures are kept from call to call.
    const clip = near.openClip({ mode: 'offline' })
    for (let n = 0; n < given.length; n += 4) await clip.processFrames(given.slice(n, n + 4))
    assert.deepEqual((await clip.finish()).map(measured), offline.map(measured))
  } finally {
    await near.close()
  }
})

test('nobody is filled in across a cut', needsFfmpeg, async () => {
  // The other shot: the same size, other people's absence.
  const other = Buffer.alloc(frames[0].pixels.length)
  for (let i = 0; i < other.length; i++)
    other[i] = ((((i / 3) % 640) >> 5) * 37 + (i % 3) * 60) & 255
  const shot = frames.map((frame) =>
    frame.frameNumber >= 20 && frame.frameNumber < 26 ? { ...frame, pixels: other } : frame,
  )
  const offline = await engine.processFrames(shot, { mode: 'offline' })
  for (let n = 20; n < 26; n++) assert.deepEqual(offline[n].persons, [], `frame ${n}`)
  assert.ok(offline[19].persons.length > 0 && offline[30].persons.length > 0)
  const call = await engine.processFrames(shot, { mode: 'offline' })
  assert.deepEqual(call.map(measured), offline.map(measured))
})
