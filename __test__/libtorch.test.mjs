// The set-up that finds or fetches libtorch, and the search for it at run time.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { deflateRawSync } from 'node:zlib'
import runtime from '../lib/runtime.cjs'
import { neededLibraries } from '../scripts/setup/elf.mjs'
import { withLock } from '../scripts/setup/lock.mjs'
import { platformTags } from '../scripts/setup/pip.mjs'
import { extractMember, openWheel, parseRecord, readText } from '../scripts/setup/zip.mjs'

const { cacheRoot, cachedRuntime, findRuntime, inspect, LIBRARIES, ROOT } = runtime
const names = LIBRARIES[process.platform]

function scratch(t) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pose4d-setup-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

function fakeLibtorch(dir, version = '2.11.0+cpu') {
  mkdirSync(path.join(dir, 'lib'), { recursive: true })
  for (const name of [names.cpu, names.core]) writeFileSync(path.join(dir, 'lib', name), '')
  if (version) writeFileSync(path.join(dir, 'build-version'), `${version}\n`)
  return dir
}

/** A zip file with the given members; `stored` ones are not compressed. */
function makeZip(members) {
  const parts = []
  const directory = []
  let offset = 0
  for (const { name, data, stored } of members) {
    const packed = stored ? data : deflateRawSync(data)
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(stored ? 0 : 8, 8)
    local.writeUInt16LE(Buffer.byteLength(name), 26)
    const central = Buffer.alloc(46)
    central.writeUInt32LE(0x02014b50, 0)
    central.writeUInt16LE(stored ? 0 : 8, 10)
    central.writeUInt32LE(packed.length, 20)
    central.writeUInt32LE(data.length, 24)
    central.writeUInt16LE(Buffer.byteLength(name), 28)
    central.writeUInt32LE(offset, 42)
    parts.push(local, Buffer.from(name), packed)
    directory.push(central, Buffer.from(name))
    offset += 30 + Buffer.byteLength(name) + packed.length
  }
  const index = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(index.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, index, end])
}

function makeWheel(file, members, { lie } = {}) {
  const record = members.map(({ name, data }) => {
    const bytes = name === lie ? Buffer.from('other') : data
    const sum = createHash('sha256').update(bytes).digest('base64url')
    return `${name},sha256=${sum},${data.length}`
  })
  const info = 'torch-2.11.0.dist-info'
  const text = Buffer.from(`${record.join('\n')}\n${info}/RECORD,,\n`)
  writeFileSync(file, makeZip([...members, { name: `${info}/RECORD`, data: text }]))
  return file
}

test('the cache lies where the system keeps caches, or where it is told', () => {
  assert.equal(cacheRoot({ HOME: '/h' }, 'linux'), path.join('/h', '.cache'))
  assert.equal(cacheRoot({ HOME: '/h', XDG_CACHE_HOME: '/x' }, 'linux'), '/x')
  assert.equal(cacheRoot({ HOME: '/h' }, 'darwin'), path.join('/h', 'Library', 'Caches'))
  assert.equal(cacheRoot({ LOCALAPPDATA: 'C:\\L' }, 'win32'), 'C:\\L')
  const moved = cachedRuntime({ POSE4D_CACHE_DIR: '/c' }, 'linux', 'x64')
  assert.equal(moved, path.resolve('/c/pose4d/runtime/libtorch-2.11.0-linux-x64'))
})

test('a libtorch is taken only whole and in the right version', (t) => {
  const dir = scratch(t)
  assert.deepEqual(inspect(path.join(dir, 'none')).problems, ['no such folder'])
  mkdirSync(path.join(dir, 'empty', 'lib'), { recursive: true })
  assert.match(inspect(path.join(dir, 'empty')).problems.join(), /c10.* is missing/)
  const good = fakeLibtorch(path.join(dir, 'good'))
  assert.deepEqual(inspect(good).problems, [])
  assert.equal(inspect(path.join(good, 'lib')).root, good)
  assert.match(inspect(fakeLibtorch(path.join(dir, 'old'), '2.10.0')).problems.join(), /2\.10\.0/)
  assert.match(inspect(fakeLibtorch(path.join(dir, 'mute'), '')).problems.join(), /which version/)
})

test('what the user names comes first, and is not replaced by something else', (t) => {
  const dir = scratch(t)
  const good = fakeLibtorch(path.join(dir, 'good'))
  const old = fakeLibtorch(path.join(dir, 'old'), '1.0.0')
  const base = { HOME: dir, POSE4D_CACHE_DIR: path.join(dir, 'cache') }
  const find = (env) => findRuntime({ env: { ...base, ...env }, root: dir })

  assert.equal(find({}).found, null)
  assert.equal(find({ LIBTORCH: good }).found.from, 'LIBTORCH')
  assert.equal(find({ POSE4D_LIBTORCH: good, LIBTORCH: old }).found.from, 'POSE4D_LIBTORCH')
  const refused = find({ POSE4D_LIBTORCH: old, LIBTORCH: good })
  assert.equal(refused.found, null)
  assert.match(refused.rejected[0].problems.join(), /1\.0\.0/)

  fakeLibtorch(cachedRuntime(base))
  assert.equal(find({ LIBTORCH: old }).found.from, 'the cache')
  symlinkSync(good, path.join(dir, '.libtorch'), 'junction')
  assert.match(find({}).found.from, /\.libtorch/)
})

test('wheel members come out as they went in, and only if RECORD agrees', async (t) => {
  const dir = scratch(t)
  const big = Buffer.from('libtorch '.repeat(100_000))
  const members = [
    { name: 'torch/lib/big.so', data: big },
    { name: 'torch/lib/plain.so', data: Buffer.from('as it is'), stored: true },
    { name: 'torch/lib/empty.h', data: Buffer.alloc(0), stored: true },
    { name: 'torch/../../evil', data: Buffer.from('x') },
  ]
  const wheel = await openWheel(makeWheel(path.join(dir, 'good.whl'), members))
  t.after(() => wheel.file.close())
  for (const { name, data } of members.slice(0, 3)) {
    const target = path.join(dir, path.basename(name))
    await extractMember(wheel, name, target)
    assert.deepEqual(readFileSync(target), data)
  }
  await assert.rejects(extractMember(wheel, 'torch/../../evil', path.join(dir, 'e')), /unsafe name/)
  await assert.rejects(extractMember(wheel, 'torch/none', path.join(dir, 'n')), /no checksum/)
  assert.match(await readText(wheel, /RECORD$/), /torch\/lib\/big\.so,sha256=/)

  const lying = makeWheel(path.join(dir, 'bad.whl'), members, { lie: 'torch/lib/big.so' })
  const bad = await openWheel(lying)
  t.after(() => bad.file.close())
  await assert.rejects(
    extractMember(bad, 'torch/lib/big.so', path.join(dir, 'b')),
    /big\.so has sha256 .*, RECORD says .*damaged: try again/,
  )
})

test('what is not a whole wheel is refused by name', async (t) => {
  const dir = scratch(t)
  const file = path.join(dir, 'torch.whl')
  makeWheel(file, [{ name: 'torch/a', data: Buffer.from('a'.repeat(5000)), stored: true }])
  const whole = readFileSync(file)
  writeFileSync(file, whole.subarray(0, 3000))
  await assert.rejects(openWheel(file), /torch\.whl is not a zip file, or is cut short/)
  writeFileSync(file, '')
  await assert.rejects(openWheel(file), /torch\.whl/)
  writeFileSync(file, makeZip([{ name: 'readme', data: Buffer.from('x') }]))
  await assert.rejects(openWheel(file), /no RECORD/)
})

test('RECORD lines with quoted names are read', () => {
  const record = parseRecord('a/b.h,sha256=abc_-1,3\r\n"c,""d"".h",sha256=xyz,4\nRECORD,,\n')
  assert.deepEqual(
    [...record],
    [
      ['a/b.h', 'abc_-1'],
      ['c,"d".h', 'xyz'],
    ],
  )
})

test('pip is asked for every tag that runs here', () => {
  const tags = platformTags('linux', 'x64')
  for (const tag of ['manylinux_2_28_x86_64', 'manylinux_2_25_x86_64', 'manylinux_2_17_x86_64']) {
    assert.ok(tags.includes(tag), tag)
  }
  assert.deepEqual(platformTags('win32', 'x64'), ['win_amd64'])
  assert.ok(platformTags('linux', 'arm64').every((tag) => tag.endsWith('aarch64')))
})

test('two set-ups at once: one works, the other waits', async (t) => {
  const lock = path.join(scratch(t), 'fetch.lock')
  const events = []
  const work = (name) => async () => {
    events.push(`${name} in`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    events.push(`${name} out`)
  }
  await Promise.all(['a', 'b'].map((name) => withLock(lock, () => {}, work(name))))
  const [first, second] = events[0] === 'a in' ? ['a', 'b'] : ['b', 'a']
  const order = [`${first} in`, `${first} out`, `${second} in`, `${second} out`]
  assert.deepEqual(events, order)
})

test('without network and cache the set-up names every way to supply libtorch', (t) => {
  const dir = scratch(t)
  const { PATH, SYSTEMROOT } = process.env
  const env = { PATH, SYSTEMROOT, HOME: dir, PIP_NO_INDEX: '1', POSE4D_LIBTORCH: dir }
  const script = path.join(ROOT, 'scripts', 'libtorch.mjs')
  const named = spawnSync(process.execPath, [script], { env, encoding: 'utf8' })
  assert.equal(named.status, 1)
  assert.match(named.stderr, /POSE4D_LIBTORCH cannot be used/)

  const fetchEnv = { ...env, POSE4D_LIBTORCH: '', POSE4D_CACHE_DIR: path.join(dir, 'cache') }
  const args = ['--fetch-only']
  const fetched = spawnSync(process.execPath, [script, ...args], {
    env: fetchEnv,
    encoding: 'utf8',
  })
  assert.equal(fetched.status, 1)
  for (const way of [
    'POSE4D_LIBTORCH',
    'LIBTORCH',
    'pip install',
    'POSE4D_CACHE_DIR',
    'POSE4D_WHEELS',
  ]) {
    assert.ok(fetched.stderr.includes(way), `${way} is not in:\n${fetched.stderr}`)
  }
})

test('the libraries that a library needs are read from it', {
  skip: process.platform !== 'linux',
}, async () => {
  const { found } = findRuntime()
  const needed = await neededLibraries(path.join(found.libDir, names.cpu))
  assert.ok(needed.includes(names.core), needed.join())
  assert.ok(needed.includes('libc.so.6'))
  await assert.rejects(
    neededLibraries(path.join(ROOT, 'package.json')),
    /not a 64-bit Linux library/,
  )
})
