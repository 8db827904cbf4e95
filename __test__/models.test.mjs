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
/** Milliseconds after each 64 KiB of `large`. */
let pause = 3
let place
let leave

before(async () => {
  const files = { 'small.safetensors': small, 'large.safetensors': large, wrong: large }
  // About 20 MB a second, so that there is something to see and to abort.
  server = await serve(files, {
    pace: (name) =>
      name.startsWith('large') && new Promise((resolve) => setTimeout(resolve, pause)),
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

describe('download', () => {
  const there = () => place.path('cache/test/large.safetensors')
  const leftovers = () => {
    const names = existsSync(place.path('cache/test')) ? readdirSync(place.path('cache/test')) : []
    return names.filter((name) => name.includes('.part'))
  }

  test('offline, nothing is fetched, and it says what is missing', async () => {
    const before = server.requests.length
    await assert.rejects(
      models.download('small', { offline: true }),
      (error) => code('OFFLINE')(error) && /small/.test(error.message),
    )
    process.env.POSE4D_OFFLINE = '1'
    try {
      await assert.rejects(models.download('small'), code('OFFLINE'))
    } finally {
      process.env.POSE4D_OFFLINE = ''
    }
    assert.equal(server.requests.length, before)
  })

  test('an aborted one rejects with the reason, keeps what came, and goes on from there', async () => {
    const controller = new AbortController()
    const reason = new Error('changed my mind')
    const seen = []
    const download = models.download('large', {
      signal: controller.signal,
      onProgress: (event) => {
        seen.push(event)
        if (event.phase === 'download' && event.loaded > 1 << 20) controller.abort(reason)
      },
    })
    await assert.rejects(download, (error) => error === reason)
    assert.ok(!existsSync(there()))
    assert.equal(leftovers().length, 1, 'what came is kept')
    assert.ok(seen.every(({ model, file }) => model === 'large' && file === 'large.safetensors'))

    const [model] = await models.download('large')
    assert.deepEqual([model.name, model.available, model.state], ['large', true, 'verified'])
    assert.equal(model.path, there())
    assert.equal(sha256(readFileSync(there())), sha256(large))
    const ranges = server.requests.filter(({ range }) => range && range !== 'bytes=0-')
    assert.ok(ranges.length > 0, 'it went on where it was')
    assert.deepEqual(leftovers(), [])
  })

  test('progress rises to the end at a bounded rate, with rate and time left', async () => {
    await models.clear({ model: 'large' })
    const seen = []
    const start = performance.now()
    // A second and more: enough for many reports on a busy machine, too.
    pause = 16
    await models.download('large', { onProgress: (event) => seen.push(event) })
    pause = 3
    const seconds = (performance.now() - start) / 1000
    const downloads = seen.filter(({ phase }) => phase === 'download')
    const loaded = downloads.map((event) => event.loaded)
    assert.deepEqual(
      loaded,
      [...loaded].sort((a, b) => a - b),
    )
    assert.equal(loaded.at(-1), large.length)
    assert.ok(downloads.every(({ total }) => total === large.length))
    assert.ok(downloads.length <= 12 * seconds + 3, `${downloads.length} in ${seconds} s`)
    const middle = downloads.filter(({ etaSeconds }) => etaSeconds > 0)
    assert.ok(middle.length > 0 && middle.every(({ bytesPerSecond }) => bytesPerSecond > 0))
  })

  test('what is there is not fetched again; sets and several at once', async () => {
    const before = server.requests.length
    await models.download('large')
    assert.equal(server.requests.length, before)
    const both = await models.download(['both', 'small'])
    assert.deepEqual(
      both.map(({ name, available }) => [name, available]),
      [
        ['small', true],
        ['large', true],
      ],
    )
  })

  test('wrong bytes never get the name', async () => {
    await assert.rejects(models.download('wrong'), code('DOWNLOAD'))
    assert.equal(models.status('wrong').available, false)
    assert.ok(!existsSync(place.path('cache/test/wrong.safetensors')))
  })

  test('what is under a licence is never fetched', async () => {
    await assert.rejects(
      models.download('licensed'),
      (error) => code('LICENCE')(error) && /import/.test(error.message),
    )
  })

  test('the event loop turns while the work goes on', async () => {
    await models.clear({ model: 'large' })
    let turns = 0
    const timer = setInterval(() => turns++, 5)
    await models.download('large')
    clearInterval(timer)
    assert.ok(turns > 5, `${turns} turns`)
  })
})

describe('keeping order', () => {
  before(() => models.download('both'))

  test('verify reads every byte, and finds one that flipped', async () => {
    const sound = await models.verify()
    assert.equal(sound.ok, true)
    assert.deepEqual(sound.files.map(({ name, ok, trust }) => [name, ok, trust]).sort(), [
      ['large', true, 'published'],
      ['small', true, 'published'],
    ])
    const path = place.path('cache/test/small.safetensors')
    const bytes = readFileSync(path)
    bytes[bytes.length - 1] ^= 1
    writeFileSync(path, bytes)
    const { ok, files } = await models.verify('small')
    assert.equal(ok, false)
    assert.deepEqual([files[0].name, files[0].ok, files[0].wrong], ['small', false, 'corrupt'])
    assert.match(files[0].problem, /SHA-256/i)
    assert.equal(models.status('small').state, 'corrupt')
  })

  test('optimize says what it would do, does it, and writes fast forms', async () => {
    const path = place.path('cache/test/small.safetensors')
    const dry = await models.optimize({ dryRun: true })
    assert.deepEqual(
      dry.removed.map((file) => file.path),
      [path],
    )
    assert.ok(existsSync(path) && dry.dryRun)
    const done = await models.optimize()
    assert.deepEqual([done.filesRemoved, done.errors], [1, []])
    assert.ok(!existsSync(path))
    await models.download('small')
    assert.equal(models.status('small').available, true)
  })

  test('info counts files, sizes and health', async () => {
    const info = await models.info()
    assert.equal(info.cacheDir, place.cacheDir)
    assert.equal(info.cacheHealth, 'good')
    assert.ok(info.totalFiles >= 2)
    const file = info.models.small.formats.safetensors
    assert.equal(file.bytes, small.length)
    assert.ok(Math.abs(file.sizeMb - small.length / 2 ** 20) < 1e-9)
    assert.ok(!Number.isNaN(Date.parse(file.lastModified)))
    assert.equal(info.stats, undefined)
    const { stats, found } = await models.info({ detailed: true })
    assert.equal(stats.largestModel.name, 'large')
    assert.equal(stats.smallestModel.name, 'small')
    assert.ok(stats.totalModels >= 2 && found)
  })

  test('export as it is or in another format, and import again', async () => {
    const out = place.path('work/exported.safetensors')
    const { converted, sha256: hash } = await models.export('small', out)
    assert.deepEqual([converted, hash], [false, sha256(small)])
    const pt = place.path('work/exported.pt')
    const written = await models.export('small', pt, 'pt')
    assert.deepEqual([written.name, written.converted, written.path], ['small', true, pt])
    const [a, b] = [await models.inspect(out), await models.inspect(pt)]
    assert.equal(b.format, 'torch-zip')
    assert.deepEqual(b.tensors, a.tensors)

    await models.clear({ model: 'small' })
    const taken = await models.import(out, 'small')
    assert.deepEqual([taken.name, taken.sha256], ['small', sha256(small)])
    assert.equal(models.status('small').state, 'verified')
    const other = place.path('work/other.safetensors')
    writeFileSync(other, safetensors({ 'head.weight': [4, 3], 'head.bias': [4] }, 9))
    await assert.rejects(models.import(other, 'small'), code('MODEL_CORRUPT'))
    await assert.rejects(models.import(place.path('work/gone'), 'small'), code('MODEL_UNAVAILABLE'))
    await assert.rejects(models.import(out, 'smoll'), code('MODEL_UNKNOWN'))
  })

  test('clear takes one, and all only when it is confirmed', async () => {
    await assert.rejects(models.clear({}), code('INVALID_ARGUMENT'))
    await assert.rejects(models.clear(), code('INVALID_ARGUMENT'))
    assert.equal(models.status('large').available, true)
    const one = await models.clear({ model: 'small' })
    assert.ok(one.filesRemoved >= 1 && one.spaceFreedMb > 0)
    assert.equal(models.status('large').available, true)
    await models.clear({ confirm: true })
    assert.equal(models.status('large').available, false)
    assert.ok(existsSync(place.path('work/exported.safetensors')))
  })

  test('files of other tools are found, used in place, and never removed', async () => {
    const folder = place.path('work/.models')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'small.safetensors'), small)
    const code = `const { models } = require(${JSON.stringify(root)})
      models.clear({ confirm: true }).then(() => models.verify('small')).then(({ files }) =>
        console.log(JSON.stringify([models.status('small'), files])))`
    const { stdout } = await run(process.execPath, ['-e', code], { cwd: place.path('work') })
    const [status, files] = JSON.parse(stdout)
    assert.deepEqual([status.available, status.origin], [true, '.models'])
    assert.equal(files[0].ok, true)
    assert.ok(existsSync(join(folder, 'small.safetensors')))
  })
})

describe('prepare', () => {
  test('fetches, converts to the fast form, loads, and reports', async () => {
    const phases = new Set()
    const report = await models.prepare('both', {
      precision: 'bf16',
      device: 'cpu',
      onProgress: ({ phase }) => phases.add(phase),
    })
    assert.equal(report.status, 'ready')
    assert.match(report.message, /2 of 2 models are loaded.*No frame was run/)
    for (const name of ['small', 'large']) {
      const model = report.models[name]
      assert.equal(model.status, 'loaded')
      assert.ok(model.loadTimeSeconds > 0)
      const [file] = model.files
      assert.deepEqual([file.name, file.precision, file.downloaded], [name, 'bf16', true])
      const { tensors } = await models.inspect(file.path, { hashes: false })
      assert.ok(tensors.every(({ dtype }) => dtype === 'bfloat16'))
    }
    for (const phase of ['download', 'convert', 'load']) assert.ok(phases.has(phase), phase)
    const before = server.requests.length
    const again = await models.prepare('both', { precision: 'bf16', offline: true })
    assert.equal(again.status, 'ready')
    assert.ok(!again.models.large.files[0].converted)
    assert.equal(server.requests.length, before)
  })

  test('what is missing is in the report, with what to do', async () => {
    const report = await models.prepare(['small', 'licensed'])
    assert.equal(report.status, 'partial')
    assert.deepEqual([report.models.small.status, report.models.smpl.status], ['loaded', 'missing'])
    assert.match(report.models.smpl.message, /import/)
    const nothing = await models.prepare('licensed')
    assert.equal(nothing.status, 'error')
    await models.clear({ confirm: true })
    const offline = await models.prepare('both', { offline: true })
    assert.equal(offline.status, 'error')
    assert.equal(offline.models.small.files[0].code, 'ERR_POSE4D_OFFLINE')
    await assert.rejects(models.prepare('bath'), code('MODEL_UNKNOWN'))
    await assert.rejects(models.prepare('both', { device: 'tpu' }), code('DEVICE'))
    await assert.rejects(models.prepare('both', { precision: 'fp8' }), code('INVALID_ARGUMENT'))
  })
})

describe('leaving in the middle', () => {
  const script = (end) => `
    const { models } = require(${JSON.stringify(root)})
    let left = false
    models.download('large', {
      onProgress: ({ phase, loaded }) => {
        if (left || phase !== 'download' || loaded < 1 << 19) return
        left = true
        ${end}
      },
    }).then(() => console.log('done'), (error) => console.log(error.code))`

  test('process.exit in the middle of a download ends at once and cleanly', async () => {
    await models.clear({ confirm: true })
    pause = 50
    const { stdout } = await run(process.execPath, ['-e', script('process.exit(0)')])
    pause = 3
    assert.equal(stdout, '')
    assert.equal(models.status('large').available, false)
  })

  test('a worker that is terminated takes its tasks along', async () => {
    const code = `
      const { Worker, isMainThread, parentPort } = require('node:worker_threads')
      const worker = new Worker(${JSON.stringify(script("require('node:worker_threads').parentPort.postMessage('on my way')"))}, { eval: true })
      worker.once('message', async () => {
        await worker.terminate()
        console.log('terminated')
      })`
    pause = 50
    const { stdout } = await run(process.execPath, ['-e', code])
    pause = 3
    assert.equal(stdout.trim(), 'terminated')
    assert.equal(models.status('large').available, false)
    await models.download('large')
    assert.equal(models.status('large').state, 'verified')
  })

  test('many tasks at once, also in several threads', async () => {
    const file = place.path('work/in.safetensors')
    const seen = await Promise.all(Array.from({ length: 24 }, () => models.inspect(file)))
    assert.ok(seen.every(({ tensors }) => tensors[1].sha256 === seen[0].tensors[1].sha256))
    const code = `
      const { Worker } = require('node:worker_threads')
      const work = ${JSON.stringify(`
        const { models } = require(${JSON.stringify(root)})
        models.prepare('both', { device: 'cpu' }).then(({ status }) => console.log(status))`)}
      for (let i = 0; i < 4; i++) new Worker(work, { eval: true })`
    await models.clear({ confirm: true })
    const { stdout } = await run(process.execPath, ['-e', code])
    assert.deepEqual(stdout.trim().split('\n'), Array(4).fill('ready'))
  })
})
