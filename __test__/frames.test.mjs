// Every bad frame is an error with a stable code and its own number; the others are unharmed.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { createEngine } from '../index.mjs'
import { png, raw, SAMPLE, sample } from './helpers/images.mjs'

let engine
let folder
before(async () => {
  // The whole frame alone: what is looked for in it is not the point here.
  const blazepose = { variant: 'fast', tileScales: [] }
  engine = await createEngine({ blazepose, maxPixels: 50_000_000 })
  folder = mkdtempSync(path.join(os.tmpdir(), 'pose4d-frames-'))
})
after(async () => {
  await engine.close()
  rmSync(folder, { recursive: true })
})

const code = (name) => `ERR_POSE4D_${name}`

function detached() {
  const bytes = new Uint8Array(png(4, 4))
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

/** Between good frames, so that harm to them would show. */
async function codeOf(frame) {
  const results = await engine.processFrames([raw(0), frame, raw(1_000_000)])
  assert.equal(results.length, 3)
  for (const good of [results[0], results[2]]) assert.equal(good.error, undefined)
  const [, bad] = results
  assert.deepEqual(bad.persons, [])
  assert.equal(bad.keypointCount, 0)
  if (bad.errorCode) assert.ok(bad.error.length > 10, bad.error)
  return { code: bad.errorCode, number: bad.frameNumber, message: bad.error, result: bad }
}

const jpeg = sample()
const BAD = {
  'a missing file': [{ imagePath: '/no/such/file.jpg' }, 'IMAGE_NOT_FOUND', /file\.jpg/],
  'a folder': [{ imagePath: os.tmpdir() }, 'IMAGE_NOT_FOUND'],
  'no bytes': [{ image: new Uint8Array(0) }, 'IMAGE_EMPTY'],
  'a truncated image': [{ image: jpeg.subarray(0, 4000) }, 'IMAGE_CORRUPT'],
  'a truncated header': [{ image: jpeg.subarray(0, 20) }, 'IMAGE_CORRUPT'],
  'a corrupt PNG': [{ image: png(8, 8).fill(7, 45, 55) }, 'IMAGE_CORRUPT'],
  'no image': [{ image: Buffer.from('<html>not found</html>') }, 'IMAGE_FORMAT'],
  'a bomb': [
    { image: png(1, 1, { claimed: { width: 60_000, height: 60_000 } }) },
    'IMAGE_TOO_LARGE',
    /60000/,
  ],
  'invalid base64': [{ imageBase64: '!!!' }, 'IMAGE_BASE64'],
  'a data URL without base64': [{ imageBase64: 'data:text/plain,hello' }, 'IMAGE_BASE64'],
  'two sources': [{ image: jpeg, imagePath: 'a.jpg' }, 'FRAME_SOURCE', /image and imagePath/],
  'no source': [{}, 'FRAME_SOURCE', /none/],
  'pixels of another size': [
    { pixels: new Uint8Array(10), width: 2, height: 2 },
    'FRAME_SOURCE',
    /12/,
  ],
  'pixels without a size': [{ pixels: new Uint8Array(12) }, 'INVALID_ARGUMENT', /width/],
  'pixels of no height': [
    { pixels: new Uint8Array(12), width: 4, height: 0 },
    'INVALID_ARGUMENT',
    /height/,
  ],
  'a number as image': [{ image: 5 }, 'INVALID_ARGUMENT', /image must be .* is 5/],
  'an ArrayBuffer as image': [{ image: new ArrayBuffer(8) }, 'INVALID_ARGUMENT', /ArrayBuffer/],
  'floats as image': [{ image: new Float32Array(8) }, 'INVALID_ARGUMENT', /Float32Array/],
  'a detached buffer': [{ image: detached() }, 'INVALID_ARGUMENT', /detached/],
  'an object as base64': [{ imageBase64: {} }, 'INVALID_ARGUMENT', /imageBase64/],
  'a number as path': [{ imagePath: 7 }, 'INVALID_ARGUMENT', /imagePath/],
  'a timestamp as text': [{ image: jpeg, timestampMs: 'now' }, 'INVALID_ARGUMENT', /timestampMs/],
  'a timestamp of NaN': [{ image: jpeg, timestampMs: Number.NaN }, 'INVALID_ARGUMENT'],
  'boxes as text': [{ image: jpeg, boxes: 'all' }, 'INVALID_ARGUMENT', /boxes/],
  'a box of three': [{ image: jpeg, boxes: [[1, 2, 3]] }, 'INVALID_ARGUMENT', /x2 > x1/],
  'a box inside out': [{ image: jpeg, boxes: [[9, 9, 3, 3]] }, 'INVALID_ARGUMENT'],
  'a getter that throws': [
    {
      get image() {
        throw new Error('boo')
      },
    },
    'INVALID_ARGUMENT',
    /image/,
  ],
}

for (const [what, [frame, name, message]] of Object.entries(BAD)) {
  test(`${what}: ${name}`, async () => {
    Object.defineProperty(frame, 'frameNumber', { value: 7, enumerable: true })
    const found = await codeOf(frame)
    assert.equal(found.code, code(name), found.message)
    assert.equal(found.number, 7)
    if (message) assert.match(found.message, message)
  })
}

const NUMBERS = {
  NaN: Number.NaN,
  'a negative number': -1,
  'a fraction': 1.5,
  infinity: Number.POSITIVE_INFINITY,
  'beyond whole numbers': 2 ** 60,
  'a string': '3',
  'a bigint': 3n,
  nothing: undefined,
  null: null,
}

for (const [what, frameNumber] of Object.entries(NUMBERS)) {
  test(`frameNumber ${what}: FRAME_NUMBER`, async () => {
    const found = await codeOf({ ...raw(0), frameNumber })
    assert.equal(found.code, code('FRAME_NUMBER'))
    assert.deepEqual(found.number, typeof frameNumber === 'number' ? frameNumber : Number.NaN)
  })
}

for (const frame of [null, undefined, 5, 'frame', () => {}]) {
  test(`${typeof frame} as a frame: INVALID_ARGUMENT`, async () => {
    const found = await codeOf(frame)
    assert.equal(found.code, code('INVALID_ARGUMENT'))
    assert.ok(Number.isNaN(found.number))
  })
}

test('an array with holes', async () => {
  const frames = [raw(0)]
  frames[2] = raw(2)
  const results = await engine.processFrames(frames)
  assert.deepEqual(
    results.map((result) => result.errorCode),
    [undefined, code('INVALID_ARGUMENT'), undefined],
  )
})

const GOOD = {
  '1×1': [png(1, 1), 1, 1],
  grey: [png(5, 4, { color: 0 }), 5, 4],
  'grey with alpha': [png(5, 4, { color: 4 }), 5, 4],
  RGBA: [png(5, 4, { color: 6 }), 5, 4],
  '16-bit': [png(5, 4, { depth: 16 }), 5, 4],
  '16-bit grey': [png(5, 4, { color: 0, depth: 16 }), 5, 4],
}

for (const [what, [image, width, height]] of Object.entries(GOOD)) {
  test(`${what} is a picture`, async () => {
    const { result } = await codeOf({ frameNumber: 3, image })
    assert.equal(result.error, undefined)
    assert.deepEqual([result.frameWidth, result.frameHeight], [width, height])
  })
}

test('bytes, base64, data URL and path give the same', async () => {
  const text = jpeg.toString('base64')
  const file = path.join(folder, 'a file with spaces é.jpg')
  writeFileSync(file, jpeg)
  const frames = [
    { image: jpeg },
    { image: new Uint8Array(jpeg) },
    { imageBase64: text },
    { imageBase64: `data:image/jpeg;base64,${text}` },
    { imagePath: file },
    { imagePath: SAMPLE.pathname },
  ].map((frame, frameNumber) => ({ frameNumber, ...frame }))
  const results = await engine.processFrames(frames, { tracking: false })
  const shown = results.map(({ persons, frameWidth, frameHeight, error }) => ({
    persons,
    frameWidth,
    frameHeight,
    error,
  }))
  for (const one of shown) assert.deepEqual(one, shown[0])
  assert.equal(shown[0].error, undefined)
  assert.ok(shown[0].frameWidth > 100)
})

test('shared memory is taken as it is', async () => {
  const bytes = png(6, 5)
  const image = new Uint8Array(new SharedArrayBuffer(bytes.length))
  image.set(bytes)
  const [result] = await engine.processFrames([{ frameNumber: 0, image }])
  assert.equal(result.error, undefined)
  assert.equal(result.frameWidth, 6)
})

test('what happens to the bytes after the call changes nothing', async () => {
  const image = new Uint8Array(png(6, 5))
  const frames = [...Array(20).keys()].map((frameNumber) => ({ frameNumber, image }))
  const call = engine.processFrames(frames)
  image.fill(0)
  for (const result of await call) assert.equal(result.error, undefined)
})
