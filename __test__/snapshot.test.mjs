// A clip's memory saved and taken up again: the same results to the bit, and nothing believed unchecked.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { createEngine } from '../index.mjs'
import { clipFrames, hide } from './helpers/clips.mjs'
import { humansCache, SEES } from './helpers/humans.mjs'
import { raw, sample } from './helpers/images.mjs'
import { measured } from './helpers/results.mjs'
import { needsFfmpeg } from './helpers/videos.mjs'

const code = (name) => ({ name: 'Pose4DError', code: `ERR_POSE4D_${name}` })
const MODES = ['online', 'offline']

let engine
before(async () => {
  engine = await createEngine({ model: 'blazepose', smoothing: true })
})
after(() => engine.close())

/** All frames in one call after the other, up to each of `ends`; `between` may replace the clip. */
async function run(clip, frames, ends, between = (same) => same) {
  let current = clip
  const answers = []
  let from = 0
  for (const end of [...ends, frames.length]) {
    answers.push(...(await current.processFrames(frames.slice(from, end))))
    from = end
    if (end < frames.length) current = await between(current)
  }
  const finished = await current.finish().catch((error) => error.code)
  return { answers, finished, summary: current.summary() }
}

/** The same, saved and taken up by `other` at each end. */
const interrupted = (clip, frames, ends, other) =>
  run(clip, frames, ends, async (old) => {
    const snapshot = await old.snapshot()
    assert.ok(snapshot instanceof Uint8Array)
    const next = other.openClip({ snapshot })
    assert.deepEqual(next.summary(), old.summary())
    return next
  })

const plain = ({ answers, finished, summary }) => ({
  answers: answers.map(measured),
  finished: Array.isArray(finished) ? finished.map(measured) : finished,
  summary,
})

for (const mode of MODES) {
  test(`blazepose, ${mode}: cut at several places, as if never cut`, needsFfmpeg, async () => {
    const frames = hide(clipFrames(), (n) => [7, 8, 9, 21].includes(n))
    frames[15] = { frameNumber: 15, image: Buffer.from('not an image') }
    const ends = [1, 9, 16, 30]
    const whole = await run(engine.openClip({ mode, fps: 25 }), frames, ends)
    // In another engine, as in another process; results do not depend on its threads.
    const other = await createEngine({ model: 'blazepose', smoothing: true, threads: 1 })
    try {
      const cut = await interrupted(engine.openClip({ mode, fps: 25 }), frames, ends, other)
      assert.deepEqual(plain(cut), plain(whole))
      assert.equal(whole.answers.length, frames.length)
      assert.ok(whole.answers[20].persons.length > 0, 'there is somebody to follow')
    } finally {
      await other.close()
    }
  })
}

test('4dhumans: bodies, guesses and the record of an offline clip', async () => {
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
    const frames = Array.from({ length: 9 }, (_, frameNumber) => ({
      frameNumber,
      image: sample(),
      boxes: [3, 4].includes(frameNumber)
        ? []
        : boxes.map((b) => b.map((v, k) => v + (k % 2 === 0 ? 3 * frameNumber : 0))),
    }))
    for (const mode of MODES) {
      const ends = [2, 4, 6]
      const whole = await run(humans.openClip({ mode }), frames, ends)
      const cut = await interrupted(humans.openClip({ mode }), frames, ends, humans)
      assert.deepEqual(plain(cut), plain(whole), mode)
      assert.ok(whole.answers[3].persons.every(({ source }) => source === 'predicted'))
      assert.ok(whole.answers[8].persons[0].mesh.vertices.length > 0)
    }
    // The meshes of an offline clip are not kept but posed anew: the same to the bit.
    const clip = humans.openClip({ mode: 'offline' })
    const answers = await clip.processFrames(frames)
    const finished = await clip.finish()
    for (const [n, { persons }] of answers.entries())
      for (const [i, person] of persons.entries())
        if (person.mesh) assert.deepEqual(measured(finished[n]).persons[i], person, `frame ${n}`)
  } finally {
    await humans.close()
    cache.remove()
  }
})

test('a snapshot is of the calls before it, and changes nothing', async () => {
  const clip = engine.openClip({ mode: 'offline' })
  const first = clip.processFrames([raw(0), raw(1)])
  const snapshot = clip.snapshot()
  const second = clip.processFrames([raw(2)])
  await Promise.all([first, second])
  const resumed = engine.openClip({ snapshot: await snapshot })
  assert.equal(resumed.summary().framesOut, 2)
  assert.equal(clip.summary().framesOut, 3)
  const [again] = await resumed.processFrames([raw(1)])
  assert.equal(again.errorCode, 'ERR_POSE4D_FRAME_ORDER', 'it knows how far it was')
  assert.deepEqual(
    (await resumed.processFrames([raw(2)])).map(measured),
    (await second).map(measured),
  )
  assert.equal((await clip.finish()).length, 3)
})

test('what is no snapshot, or of another clip’s model, is refused', async () => {
  const clip = engine.openClip()
  await clip.processFrames([raw(0)])
  const good = await clip.snapshot()
  const open = (snapshot, rest) => () => engine.openClip({ snapshot, ...rest })
  assert.throws(open(new Uint8Array(0)), code('SNAPSHOT'))
  assert.throws(open(new Uint8Array(1000)), code('SNAPSHOT'))
  for (let end = 0; end < good.length; end += 7)
    assert.throws(open(good.subarray(0, end)), code('SNAPSHOT'))
  for (let at = 0; at < good.length; at += 3) {
    const wrong = good.slice()
    wrong[at] ^= 0x55
    assert.throws(open(wrong), code('SNAPSHOT'), `byte ${at}`)
  }
  for (const wrong of ['text', 7, {}, [1, 2], new Uint16Array(4)])
    assert.throws(open(wrong), code('INVALID_ARGUMENT'))
  assert.throws(open(good, { mode: 'offline' }), code('INVALID_ARGUMENT'))
  assert.throws(open(good, { typo: 1 }), code('INVALID_ARGUMENT'))
  assert.doesNotThrow(open(good, { fps: undefined }))
  await assert.rejects(clip.snapshot({ mesh: true }), code('INVALID_ARGUMENT'))
  await assert.rejects(clip.snapshot({ signal: AbortSignal.abort() }), { name: 'AbortError' })

  for (const config of [{ keypoints: 'coco17' }, { modelVariant: 'fast' }]) {
    const other = await createEngine({ model: 'blazepose', ...config })
    assert.throws(() => other.openClip({ snapshot: good }), {
      ...code('SNAPSHOT'),
      message: /blazepose33|blazepose-full/,
    })
    await other.close()
    assert.throws(() => other.openClip({ snapshot: good }), code('CLOSED'))
  }
})
