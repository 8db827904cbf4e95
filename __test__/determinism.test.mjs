// The same frames give the same poses, bit for bit, however they are handed over.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import test, { after, before } from 'node:test'
import { createEngine } from '../index.mjs'
import { sample } from './helpers/images.mjs'
import { measured } from './helpers/results.mjs'

const CASE = new URL('../tests/fixtures/goldens/blazepose/', import.meta.url)
const pictures = (folder) =>
  readdirSync(new URL(folder, CASE))
    .sort()
    .map((name) => readFileSync(new URL(folder + name, CASE)))
const numbered = (images) => images.map((image, frameNumber) => ({ frameNumber, image }))

/** A man who jumps, more than two rounds of searching. */
const clip = numbered(pictures('clip/')).slice(0, 20)
const photos = numbered([...pictures('photos/'), sample()])
const ONE_THREAD = { threads: 1 }

let engine
let wholeClip
let eachPhoto
before(async () => {
  engine = await createEngine({ threads: 2 })
  wholeClip = (await engine.processFrames(clip)).map(measured)
  eachPhoto = (await engine.processFrames(photos, { tracking: false })).map(measured)
})
after(() => engine.close())

test('there is something to compare', () => {
  const seen = ({ persons }) => persons.some((person) => person.source === 'detected')
  assert.ok(wholeClip.every(seen))
  assert.ok(eachPhoto.filter(({ persons }) => persons.length > 0).length >= 4)
})

for (const count of [1, 3, 7]) {
  test(`a clip in calls of ${count} frames`, async () => {
    const open = engine.openClip()
    const results = []
    for (let from = 0; from < clip.length; from += count) {
      results.push(...(await open.processFrames(clip.slice(from, from + count))))
    }
    assert.deepEqual(results.map(measured), wholeClip)
  })
}

test('a clip as a stream', async () => {
  const results = []
  for await (const result of engine.stream(clip)) results.push(measured(result))
  assert.deepEqual(results, wholeClip)
})

test('one thread or two', async () => {
  const single = await createEngine(ONE_THREAD)
  try {
    assert.deepEqual((await single.processFrames(clip)).map(measured), wholeClip)
    const alone = await single.processFrames(photos, { tracking: false })
    assert.deepEqual(alone.map(measured), eachPhoto)
  } finally {
    await single.close()
  }
})

test('photos in one call or each in its own, in any order', async () => {
  for (const [index, photo] of [...photos.entries()].reverse()) {
    const [result] = await engine.processFrames([photo], { tracking: false })
    assert.deepEqual(measured(result), eachPhoto[index])
  }
})

test('four clips at once or one alone', async () => {
  const piecewise = async () => {
    const open = engine.openClip()
    const first = open.processFrames(clip.slice(0, 9))
    const second = open.processFrames(clip.slice(9))
    return [...(await first), ...(await second)]
  }
  const all = await Promise.all([
    engine.processFrames(clip),
    piecewise(),
    engine.processFrames(clip),
    engine.processFrames(photos, { tracking: false }),
    piecewise(),
  ])
  for (const results of [all[0], all[1], all[2], all[4]]) {
    assert.deepEqual(results.map(measured), wholeClip)
  }
  assert.deepEqual(all[3].map(measured), eachPhoto)
})
