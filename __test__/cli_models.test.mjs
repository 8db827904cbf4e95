// `pose4d models …` and `pose4d warmup` as a user meets them: child processes, their streams and
// exit codes, against a server and folders of the test's own.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { entry, safetensors, serve, sha256, world } from './helpers/models.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'bin', 'pose4d.mjs')

const small = safetensors({ 'head.weight': [4, 3], 'head.bias': [4] })
const shapes = Object.fromEntries(
  Array.from({ length: 12 }, (_, i) => [`net.blocks.${i}.w`, [256, 512]]),
)
const large = safetensors(shapes, 2)
let server
let place
/** Milliseconds after each 64 KiB of `large`. */
let pause = 1

before(async () => {
  server = await serve(
    { 'small.safetensors': small, 'large.safetensors': large },
    {
      pace: (name) =>
        name.startsWith('large') && new Promise((resolve) => setTimeout(resolve, pause)),
    },
  )
  const licensed = {
    ...entry('licensed', small, []),
    source: 'user',
    licence: 'SMPL',
    licenceNote: 'register first',
    component: 'smpl',
    format: 'pickle',
    file: 'licensed.pkl',
    place: 'test/licensed.pkl',
    exact: false,
  }
  delete licensed.sha256
  delete licensed.precision
  place = world(
    [
      entry('small', small, [`${server.url}/small.safetensors`]),
      entry('large', large, [`${server.url}/large.safetensors`]),
      entry('gone', small, [`${server.url}/gone`]),
      licensed,
    ],
    { both: ['small', 'large'], midas: ['small'], all: ['small', 'large', 'licensed'] },
  )
})

after(async () => {
  place?.remove()
  await server?.close()
})

/** A running `pose4d`; `done` is its exit code and what it wrote. */
function start(args, env = {}) {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: place.path('work'),
    env: { ...process.env, ...place.environment, ...env },
  })
  const seen = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].on('data', (text) => (seen[name] += text))
  const done = new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...seen }))
  })
  return { child, seen, done }
}

const pose4d = (args, env) => start(args, env).done

/** The answer of a command that must succeed (or end with `expected`). */
async function json(args, expected = 0) {
  const { code, stdout, stderr } = await pose4d([...args, '--json'])
  assert.equal(code, expected, stderr)
  return JSON.parse(stdout)
}

describe('help and mistakes', () => {
  test('every command of the group has help with an example', async () => {
    const { code, stdout } = await pose4d(['models'])
    assert.equal(code, 0)
    const names = [...stdout.matchAll(/^ {2}([a-z]+) {2}/gm)].map(([, name]) => name)
    for (const name of 'list status info inspect download verify optimize clear export import convert'.split(
      ' ',
    ))
      assert.ok(names.includes(name), name)
    for (const name of names) {
      const help = await pose4d(['models', name, '--help'])
      assert.equal(help.code, 0)
      assert.match(help.stdout, new RegExp(`^Usage: pose4d models ${name}`))
      assert.match(help.stdout, new RegExp(`Examples:[\\s\\S]*pose4d models ${name}`))
      assert.match(help.stdout, /--json/)
    }
    assert.equal((await pose4d(['help', 'models', 'list'])).code, 0)
  })

  const mistakes = [
    [['models', 'lst'], /Unknown command `models lst`\. Did you mean `models list`\?/],
    [['models', 'list', 'x'], /takes no arguments, found `x`/],
    [['models', 'status'], /needs <name…>/],
    [['models', 'status', 'smal'], /no model file "smal".*did you mean "small"/],
    [['models', 'download'], /at least one name/],
    [['models', 'download', 'bath'], /did you mean "both"/],
    [['models', 'clear'], /`--confirm`/],
    [['models', 'export', '--model', 'small'], /`--output` is needed/],
    [['models', 'import', '--name', 'small'], /`--input` is needed/],
    [['models', 'inspect'], /needs <file>/],
    [['models', 'convert', 'a'], /needs <in> <out>/],
    [['models', 'convert', 'a', 'b', '--dtype', 'fp8'], /`--dtype` must be one of fp32/],
    [['models', 'info', '--detailled'], /Did you mean `--detailed`/],
    [['warmup', 'now'], /takes no arguments/],
    [['warmup', '--model', 'nope'], /no model file "nope"/],
    [['warmup', '--precision', 'fp8'], /`--precision` must be one of/],
  ]
  for (const [args, message] of mistakes) {
    test(`exit code 2: ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await pose4d(args)
      assert.match(stderr, message)
      assert.equal(code, 2)
      assert.equal(stdout, '')
    })
  }
})

describe('looking', () => {
  test('list, as a table and as JSON', async () => {
    const { code, stdout, stderr } = await pose4d(['models', 'list'])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /name +family +size +state +where +licence/)
    assert.match(stdout, /small +test +\d+ B +– +– +MIT/)
    assert.match(stdout, /licensed .*yours to supply/)
    assert.match(stdout, /0 of 4 files here/)
    const listed = await json(['models', 'list'])
    assert.deepEqual(
      listed.map(({ name }) => name),
      ['small', 'large', 'gone', 'licensed'],
    )
  })

  test('status: all that is known, and by its exit code whether it is here', async () => {
    const { code, stdout } = await pose4d(['models', 'status', 'small', 'licensed'])
    assert.equal(code, 1)
    assert.match(stdout, /^small {2}–$/m)
    assert.match(stdout, /from +http:\/\/127\.0\.0\.1/)
    assert.match(stdout, /licence +SMPL: register first/)
    const [status] = await json(['models', 'status', 'small'], 1)
    assert.equal(status.available, false)
  })

  test('inspect: a tree of tensors, and everything as JSON', async () => {
    const file = place.path('work/large.safetensors')
    writeFileSync(file, large)
    const { code, stdout, stderr } = await pose4d(['models', 'inspect', file])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /large\.safetensors {2}safetensors {2}6\.29 MB/)
    assert.match(stdout, /12 tensors, 1 572 864 numbers, 6\.29 MB/)
    assert.match(stdout, /net\.blocks\.0–11\.w +\[256, 512\] float32/)
    const seen = await json(['models', 'inspect', file])
    assert.equal(seen.tensors.length, 12)
    assert.match(seen.tensors[0].sha256, /^[0-9a-f]{64}$/)
    const bare = await json(['models', 'inspect', file, '--no-hashes'])
    assert.ok(!('sha256' in bare.tensors[0]))
  })

  test('inspect of a file that would run code: refused, exit code 3', async () => {
    const evil = place.path('work/evil.pkl')
    writeFileSync(evil, "cos\nsystem\n(S'true'\ntR.")
    const { code, stdout, stderr } = await pose4d(['models', 'inspect', evil, '--json'])
    assert.deepEqual([code, stdout], [3, ''])
    assert.match(stderr, /os\.system.*ERR_POSE4D_MODEL_HOSTILE/)
  })
})

describe('changing', () => {
  test('download: what was fetched on stdout, progress on stderr, exit codes', async () => {
    pause = 60
    const { code, stdout, stderr } = await pose4d(['models', 'download', 'both'])
    pause = 1
    assert.equal(code, 0, stderr)
    assert.match(stdout, /small {2}\d+ B {2}.*small\.safetensors/)
    assert.match(
      stderr,
      /large\.safetensors: downloading {2}\d+% {2}.* of 6\.29 MB {2}.*\/s {2}\d+:\d\d left/,
    )
    assert.match(stderr, /large\.safetensors: downloaded 6\.29 MB in 0:0\d \(/)
    assert.ok(!stderr.includes('\r') && !stderr.includes('\x1b'))
    const gone = await pose4d(['models', 'download', 'gone'])
    assert.equal(gone.code, 3)
    assert.match(gone.stderr, /404.*ERR_POSE4D_DOWNLOAD/s)
    const licensed = await pose4d(['models', 'download', 'licensed'])
    assert.equal(licensed.code, 3)
    assert.match(licensed.stderr, /import.*ERR_POSE4D_LICENCE/s)
    const offline = await pose4d(['models', 'download', 'gone', '--offline'])
    assert.equal(offline.code, 3)
    assert.match(offline.stderr, /ERR_POSE4D_OFFLINE/)
    const quiet = await pose4d(['models', 'download', 'both', '-q', '--cache-dir', 'elsewhere'])
    assert.deepEqual([quiet.code, quiet.stderr], [0, ''])
    assert.ok(existsSync(place.path('work/elsewhere/test/small.safetensors')))
  })

  test('verify, info, optimize', async () => {
    const sound = await pose4d(['models', 'verify'])
    assert.equal(sound.code, 0, sound.stderr)
    assert.match(sound.stdout, /small +ok +as published/)
    const path = place.path('cache/test/small.safetensors')
    const bytes = Buffer.from(small)
    bytes[bytes.length - 1] ^= 1
    writeFileSync(path, bytes)
    const { ok, files } = await json(['models', 'verify', 'small'], 1)
    assert.deepEqual([ok, files[0].wrong], [false, 'corrupt'])

    const info = await pose4d(['models', 'info', '--detailed'])
    assert.equal(info.code, 0, info.stderr)
    assert.match(info.stdout, /Health: good/)
    assert.match(info.stdout, /large +safetensors +6\.29 MB/)
    assert.equal((await json(['models', 'info'])).cacheHealth, 'good')

    const dry = await pose4d(['models', 'optimize', '--dry-run'])
    assert.equal(dry.code, 0, dry.stderr)
    assert.match(dry.stdout, /would remove {2}.*small\.safetensors/)
    assert.ok(existsSync(path))
    const done = await json(['models', 'optimize'])
    assert.equal(done.filesRemoved, 1)
    assert.ok(!existsSync(path))
  })

  test('export, import, convert, clear', async () => {
    const pkl = place.path('work/large.pkl')
    const exported = await pose4d(['models', 'export', '--model', 'large', '--output', pkl])
    assert.equal(exported.code, 0, exported.stderr)
    const half = place.path('work/half.safetensors')
    const converted = await json(['models', 'convert', pkl, half, '--dtype', 'fp16'])
    assert.equal(converted.sha256, sha256(readFileSync(half)))
    const { tensors } = await json(['models', 'inspect', half, '--no-hashes'])
    assert.ok(tensors.every(({ dtype }) => dtype === 'float16'))

    const file = place.path('work/small.safetensors')
    writeFileSync(file, small)
    const taken = await json(['models', 'import', '--input', file, '--name', 'small'])
    assert.equal(taken.sha256, sha256(small))
    assert.equal((await pose4d(['models', 'import', file, 'small'])).code, 0)
    const cleared = await json(['models', 'clear', '--model', 'small'])
    assert.ok(cleared.filesRemoved >= 1)
    const all = await pose4d(['models', 'clear', '--confirm'])
    assert.equal(all.code, 0, all.stderr)
    assert.match(all.stdout, /removed {2}.*large/)
    assert.ok(!existsSync(place.path('cache/test/large.safetensors')))
    assert.ok(existsSync(file))
  })
})

describe('warmup', () => {
  test('of a family: fetched, converted, loaded; the report as the old service gave it', async () => {
    const report = await json([
      'warmup',
      '--model',
      'both',
      '--device',
      'cpu',
      '--precision',
      'bf16',
    ])
    assert.equal(report.status, 'ready')
    assert.equal(typeof report.message, 'string')
    for (const name of ['small', 'large']) {
      assert.equal(report.models[name].status, 'loaded')
      assert.ok(report.models[name].loadTimeSeconds > 0)
    }
    const again = await pose4d(['warmup', '--model', 'both', '--offline'])
    assert.equal(again.code, 0, again.stderr)
    assert.match(again.stdout, /^ready: both: 2 of 2 models are loaded/)
    assert.match(again.stdout, /large +loaded +\d+\.\d\d s/)
    assert.equal((await json(['warmup', '--model', 'depth'])).status, 'ready')
  })

  test('something missing: partial, exit code 1, and how to get it', async () => {
    const { code, stdout } = await pose4d(['warmup', '--model', 'all'])
    assert.equal(code, 1)
    assert.match(stdout, /^partial: /)
    assert.match(stdout, /smpl +missing/)
    assert.match(stdout, /models import/)
    const nothing = await pose4d(['warmup', '--model', 'licensed', '--json'])
    assert.equal(nothing.code, 3)
    assert.equal(JSON.parse(nothing.stdout).status, 'error')
  })

  const signals = { skip: process.platform === 'win32' && 'no signals on Windows' }
  for (const [signal, codes] of [
    ['SIGINT', [130]],
    ['SIGTERM', [143]],
    ['SIGKILL', [null]],
  ]) {
    test(`${signal} in the middle, and on from there`, signals, async () => {
      await pose4d(['models', 'clear', '--confirm'])
      server.requests.length = 0
      pause = 40
      const { child, done } = start(['warmup', '--model', 'large', '--device', 'cpu'])
      const part = () => existsSync(place.path('cache/test')) && server.requests.length > 0
      while (!part()) {
        assert.equal(child.exitCode, null)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      await new Promise((resolve) => setTimeout(resolve, 1500))
      child.kill(signal)
      const { code, stderr } = await done
      pause = 1
      assert.ok(codes.includes(code), `${code}: ${stderr}`)
      if (code !== null) assert.match(stderr, /Interrupted\. What is done is kept/)
      assert.ok(!existsSync(place.path('cache/test/large.safetensors')))
      const report = await json(['warmup', '--model', 'large', '--device', 'cpu'])
      assert.equal(report.status, 'ready')
      const path = place.path('cache/test/large.safetensors')
      assert.equal(sha256(readFileSync(path)), sha256(large))
      const ranges = server.requests.map(({ range }) =>
        Number(/=(\d+)/.exec(range ?? '')?.[1] ?? 0),
      )
      assert.ok(Math.max(...ranges) > 0, `it began again: ${ranges}`)
    })
  }
})
