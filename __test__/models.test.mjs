// `models` from code: the cache asked, filled, checked and tidied, against a server and folders of
// the test's own.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { models, Pose4DError } from '../index.mjs'
import { entry, safetensors, serve, sha256, world } from './helpers/models.mjs'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const code = (name) => (error) => {
  assert.ok(error instanceof Pose4DError, String(error))
  assert.equal(error.code, `ERR_POSE4D_${name}`, error.message)
  return true
}

/** Of this process, which knows no home but the test's. */
function enter(place) {
  const before = { ...process.env }
  Object.assign(process.env, place.environment)
  return () => {
    for (const name of Object.keys(place.environment)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

const small = safetensors({ 'head.weight': [4, 3], 'head.bias': [4] })
const large = safetensors({ 'net.0.w': [512, 1024], 'net.1.w': [512, 1024] }, 2)
let server
let place
let leave

before(async () => {
  const files = { 'small.safetensors': small, 'large.safetensors': large, wrong: large }
  // About 20 MB a second, so that there is something to see and to abort.
  server = await serve(files, {
    pace: (name) => name.startsWith('large') && new Promise((resolve) => setTimeout(resolve, 3)),
  })
  place = world(
    [
      entry('small', small, [`${server.url}/small.safetensors`]),
      entry('large', large, [`${server.url}/gone`, `${server.url}/large.safetensors`]),
      entry('wrong', small, [`${server.url}/wrong`], { place: 'test/wrong.safetensors' }),
      {
        ...entry('licensed', small, []),
        source: 'user',
        licence: 'SMPL',
        component: 'smpl',
        format: 'pickle',
        file: 'licensed.pkl',
        place: 'test/licensed.pkl',
        precision: undefined,
        sha256: undefined,
        exact: false,
      },
    ],
    { both: ['small', 'large'] },
  )
  leave = enter(place)
})

after(async () => {
  leave?.()
  place?.remove()
  await server?.close()
})

describe('what is there', () => {
  test('list and status answer at once, also where nothing is', () => {
    const listed = models.list()
    assert.deepEqual(
      listed.map(({ name, available, state, path }) => [name, available, state, path]),
      [
        ['small', false, 'missing', null],
        ['large', false, 'missing', null],
        ['wrong', false, 'missing', null],
        ['licensed', false, 'missing', null],
      ],
    )
    const status = models.status('small')
    assert.equal(status.expectedBytes, small.length)
    assert.equal(status.licence, 'MIT')
    assert.match(status.remedy, /warmup|download/)
    assert.throws(() => models.status('smal'), code('MODEL_UNKNOWN'))
    assert.throws(() => models.status('smal'), /small/)
  })

  test('the real manifest knows every model, and BlazePose is where npm put it', () => {
    delete process.env.POSE4D_MANIFEST
    try {
      const listed = models.list()
      const byName = Object.fromEntries(listed.map((model) => [model.name, model]))
      for (const name of ['hmr2', 'vitdet-h', 'regnety', 'smpl-neutral', 'dpt-large', 'vitpose-b'])
        assert.ok(byName[name], name)
      const full = byName['blazepose-full']
      assert.deepEqual(
        [full.available, full.bytes, full.package, full.file],
        [true, 6_440_512, '@mediapipe/pose', 'pose_landmark_full.tflite'],
      )
      assert.equal(sha256(readFileSync(full.path)), full.sha256)
      assert.equal(byName['smpl-neutral'].source, 'user')
    } finally {
      process.env.POSE4D_MANIFEST = place.manifest
    }
  })

  test('mistakes in options are told at the call', async () => {
    const mistakes = [
      [() => models.list({ cachedir: 'x' }), /no option "cachedir".*cacheDir/],
      [() => models.list([]), /options must be an object, but is an array/],
      [() => models.status(7), /name must be a string/],
      [() => models.info({ detailed: 'yes' }), /detailed must be true or false/],
      [() => models.verify({}), /names must be/],
      [() => models.inspect(''), /file must be a string that is not empty/],
      [() => models.inspect('x', { signal: 7 }), /signal must be an AbortSignal/],
      [() => models.inspect('x', { onProgress: 7 }), /onProgress must be a function/],
      [() => models.clear({ confirm: 1 }), /confirm must be true or false/],
      [() => models.convert('a', 7), /output must be a string/],
    ]
    for (const [call, message] of mistakes) {
      await assert.rejects(
        async () => call(),
        (error) => code('INVALID_ARGUMENT')(error) && message.test(error.message),
      )
    }
  })
})

describe('inspect', () => {
  const file = () => place.path('work/small.safetensors')
  before(() => writeFileSync(file(), small))

  test('names, shapes, types and a hash of each tensor', async () => {
    const seen = await models.inspect(file())
    assert.deepEqual([seen.format, seen.bytes, seen.root], ['safetensors', small.length, ''])
    const [first, second] = seen.tensors
    assert.deepEqual([first.name, first.shape, first.dtype], ['head.weight', [4, 3], 'float32'])
    const end = small.length
    assert.equal(first.sha256, sha256(small.subarray(end - 64, end - 16)))
    assert.equal(second.sha256, sha256(small.subarray(end - 16)))
    const { tensors } = await models.inspect(file(), { hashes: false })
    assert.ok(!('sha256' in tensors[0]))
  })

  test('what cannot be read says why, with a code', async () => {
    await assert.rejects(models.inspect(place.path('nowhere')), code('MODEL_UNAVAILABLE'))
    const text = place.path('work/notes.txt')
    writeFileSync(text, 'this is no model')
    await assert.rejects(models.inspect(text), code('MODEL_FILE'))
    const cut = place.path('work/cut.safetensors')
    writeFileSync(cut, small.subarray(0, small.length - 1))
    await assert.rejects(models.inspect(cut), code('MODEL_CORRUPT'))
    const evil = place.path('work/evil.pkl')
    writeFileSync(evil, "cos\nsystem\n(S'true'\ntR.")
    await assert.rejects(
      models.inspect(evil),
      (error) => code('MODEL_HOSTILE')(error) && /os\.system/.test(error.message),
    )
  })

  test('an aborted task rejects with its reason; a listener that throws ends its task', async () => {
    const reason = new Error('enough')
    await assert.rejects(models.inspect(file(), { signal: AbortSignal.abort(reason) }), reason)
    const mine = new Error('mine')
    const onProgress = () => {
      throw mine
    }
    await assert.rejects(models.inspect(file(), { onProgress }), mine)
  })
})

describe('convert', () => {
  test('a file in another precision, equal to what it was made from', async () => {
    const input = place.path('work/in.safetensors')
    const output = place.path('work/out.safetensors')
    writeFileSync(input, large)
    const seen = []
    const written = await models.convert(input, output, {
      dtype: 'bf16',
      onProgress: (event) => seen.push(event),
    })
    assert.deepEqual([written.path, written.bytes], [output, readFileSync(output).length])
    assert.equal(written.sha256, sha256(readFileSync(output)))
    const { tensors } = await models.inspect(output)
    assert.deepEqual(
      tensors.map(({ name, shape, dtype }) => [name, shape, dtype]),
      [
        ['net.0.w', [512, 1024], 'bfloat16'],
        ['net.1.w', [512, 1024], 'bfloat16'],
      ],
    )
    const last = seen.filter(({ phase }) => phase === 'convert').at(-1)
    assert.equal(last.loaded, last.total)
  })

  test('formats and types that are none', async () => {
    const input = place.path('work/in.safetensors')
    const output = place.path('work/out.xyz')
    await assert.rejects(models.convert(input, output), code('INVALID_ARGUMENT'))
    const options = { format: 'safetensors', dtype: 'fp8' }
    await assert.rejects(models.convert(input, output, options), code('INVALID_ARGUMENT'))
    assert.ok(!existsSync(output))
  })
})
