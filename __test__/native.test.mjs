// The two addons: what they link to, how they load, and what is said when they do not.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import test from 'node:test'
import runtime from '../lib/runtime.cjs'
import { dynamicSection } from '../scripts/setup/elf.mjs'

const require = createRequire(import.meta.url)
const { LIBRARIES, ROOT } = runtime
const names = LIBRARIES[process.platform]
const onLinux = { skip: process.platform !== 'linux' && 'reads Linux libraries' }
const LOADER = path.join(ROOT, 'lib', 'native.cjs')

/** Runs a script in a fresh process whose environment says nothing about libraries. */
function inFreshProcess(code, env = {}) {
  const { PATH, HOME, SYSTEMROOT } = process.env
  const child = spawnSync(process.execPath, ['-e', code], {
    env: { PATH, HOME, SYSTEMROOT, ...env },
    encoding: 'utf8',
  })
  assert.equal(child.signal, null, child.stderr)
  return { status: child.status, stderr: child.stderr, answer: JSON.parse(child.stdout || 'null') }
}

const LOAD_ERROR = `
  try { require(${JSON.stringify(LOADER)}).loadNative() } catch ({ code, message, causes, fixes }) {
    console.log(JSON.stringify({ code, message, causes, fixes }))
  }`

function addon(kind) {
  const { runtime: loaded } = require(LOADER).loadNative()
  return kind === 'main' ? loaded.addon : loaded.addon.replace('pose4d.', 'pose4d-boot.')
}

test(
  'the main addon needs libtorch_cpu, at most libc10, the system, and no search path',
  onLinux,
  async () => {
    const { needed, searchPaths } = await dynamicSection(addon('main'))
    assert.ok(needed.includes('libtorch_cpu.so'), needed.join())
    const system =
      /^(libtorch_cpu|libc10|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|gomp)|ld-linux.*)\.so/
    const other = needed.filter((name) => !system.test(name))
    assert.deepEqual(other, [])
    assert.deepEqual(searchPaths, [])
  },
)

test('the boot addon needs no libtorch', onLinux, async () => {
  const { needed } = await dynamicSection(addon('boot'))
  assert.deepEqual(
    needed.filter((name) => /torch|c10|cuda/.test(name)),
    [],
  )
})

test('it loads with nothing in the environment, and says what it computes on', () => {
  const code = `
    const { binding, runtime } = require(${JSON.stringify(LOADER)}).loadNative()
    console.log(JSON.stringify({ info: binding.runtimeInfo(), runtime }))`
  const { answer, stderr } = inFreshProcess(code)
  assert.ok(answer, stderr)
  const { info, runtime: loaded } = answer
  assert.equal(info.version, require('../package.json').version)
  assert.match(loaded.version, /^2\.11\./)
  assert.ok(info.cores >= 1 && info.memory)
  if (process.platform === 'linux') {
    assert.match(info.libtorchVersion, /^2\.11\./)
    assert.equal(path.dirname(info.libtorchPath), loaded.dir)
  }
  assert.ok(
    loaded.steps.some((step) => step.path.endsWith(names.cpu) && !step.error && step.ms > 0),
  )
  assert.equal(
    loaded.cuda,
    loaded.steps.some((s) => /torch_cuda\./.test(s.path) && !s.error),
  )
})

test('without the boot addon the main one does not find libtorch', onLinux, () => {
  const code = `
    try { process.dlopen({ exports: {} }, ${JSON.stringify(addon('main'))}) }
    catch (error) { console.log(JSON.stringify(error.message)) }`
  assert.match(inFreshProcess(code).answer, /libtorch_cpu\.so|libc10\.so/)
})

test('a second load in the process answers with the first one', () => {
  const code = `
    const boot = require(${JSON.stringify(addon('boot'))})
    const { runtime } = require(${JSON.stringify(LOADER)}).loadNative()
    const again = boot.preload('/somewhere/else')
    console.log(JSON.stringify([again.dir === runtime.dir, again.steps.length === runtime.steps.length]))`
  assert.deepEqual(inFreshProcess(code).answer, [true, true])
})

test('oneDNN keeps few kernels unless the user says how many', onLinux, () => {
  const code = (extra) => `${extra}
    require(${JSON.stringify(LOADER)}).loadNative()
    const seen = require('node:child_process')
      .execFileSync('printenv', ['ONEDNN_PRIMITIVE_CACHE_CAPACITY'], { encoding: 'utf8' })
    console.log(JSON.stringify(seen.trim()))`
  assert.equal(inFreshProcess(code('')).answer, '64')
  assert.equal(inFreshProcess(code(''), { ONEDNN_PRIMITIVE_CACHE_CAPACITY: '7' }).answer, '7')
})

test('a libtorch that is not there: platform, causes, fixes', () => {
  const { answer } = inFreshProcess(LOAD_ERROR, { POSE4D_LIBTORCH: '/nowhere' })
  assert.equal(answer.code, 'ERR_POSE4D_RUNTIME_MISSING')
  assert.match(answer.message, new RegExp(`${process.platform}-${process.arch}`))
  assert.match(answer.causes[0], /POSE4D_LIBTORCH \(\/nowhere\): no such folder/)
  assert.match(answer.fixes.join(), /libtorch\.mjs.*POSE4D_LIBTORCH.*pip install/s)
})

test('a libtorch that cannot be opened: the linker is quoted', (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pose4d-broken-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  mkdirSync(path.join(dir, 'lib'))
  for (const name of [names.cpu, names.core]) writeFileSync(path.join(dir, 'lib', name), 'nonsense')
  writeFileSync(path.join(dir, 'build-version'), '2.11.0')
  const { answer } = inFreshProcess(LOAD_ERROR, { POSE4D_LIBTORCH: dir })
  assert.equal(answer.code, 'ERR_POSE4D_LOAD')
  assert.ok(answer.causes[0].includes(names.core), answer.causes[0])
  if (process.platform === 'linux') assert.match(answer.causes[0], /file too short|invalid ELF/)
})

test('an addon that was not built: the command that builds it', (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pose4d-unbuilt-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  cpSync(path.join(ROOT, 'lib'), path.join(dir, 'lib'), { recursive: true })
  const loader = path.join(dir, 'lib', 'native.cjs')
  const { answer } = inFreshProcess(
    LOAD_ERROR.replace(JSON.stringify(LOADER), JSON.stringify(loader)),
  )
  assert.equal(answer.code, 'ERR_POSE4D_LOAD')
  assert.match(answer.fixes.join(), /npm run build/)
})
