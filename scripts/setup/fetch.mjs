// Turns PyPI's torch wheel into a libtorch folder that holds only what a CPU needs.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import runtime from '../../lib/runtime.cjs'
import { neededLibraries } from './elf.mjs'
import { withLock } from './lock.mjs'
import { downloadWheels, findPip, wheelIn } from './pip.mjs'
import { extractMember, openWheel, readText } from './zip.mjs'

const { TORCH_VERSION, LIBRARIES, cachedRuntime, inspect } = runtime
const TORCH = `torch==${TORCH_VERSION}`
const ABANDONED_MS = 24 * 3600 * 1000
/** NVIDIA's libraries that libtorch_cpu itself needs, as extras of the package that pins them. */
const NVIDIA_PARTS = { cudart: 'nvidia-cuda-runtime', cupti: 'nvidia-cuda-cupti' }
/** Size of the torch wheel in MB, to say what is coming. */
const WHEEL_MB = { 'linux-x64': 530, 'linux-arm64': 420, 'darwin-arm64': 80, 'win32-x64': 115 }
/** Link libraries and helpers that Windows and macOS need beside the two main ones. */
const EXTRA_MEMBERS = {
  darwin: ['libtorch.dylib', 'libomp.dylib'],
  win32: ['torch.dll', 'torch.lib', 'torch_cpu.lib', 'c10.lib', 'libiomp5md.dll', 'uv.dll'],
}

export const say = (line) => process.stderr.write(`libtorch: ${line}\n`)

/**
 * Makes sure the cache holds a libtorch and returns its folder. Safe against a second run beside
 * it and against being cut off: the folder appears whole, or not at all.
 */
export async function fetchLibtorch({ platform = process.platform, arch = process.arch } = {}) {
  if (!(`${platform}-${arch}` in WHEEL_MB)) {
    throw new Error(`PyPI has no torch ${TORCH_VERSION} for ${platform}-${arch}`)
  }
  const target = cachedRuntime(process.env, platform, arch)
  const parent = path.dirname(target)
  await mkdir(parent, { recursive: true })
  return withLock(`${target}.lock`, say, async () => {
    if (usable(target, platform)) return target
    await sweep(parent)
    const temp = path.join(parent, `.tmp-${process.pid}-${randomBytes(6).toString('hex')}`)
    const discard = () => rmSync(temp, { recursive: true, force: true })
    process.once('exit', discard)
    try {
      await mkdir(path.join(temp, 'wheels'), { recursive: true })
      await assemble(temp, platform, arch)
      await publish(path.join(temp, 'libtorch'), target, platform)
      return target
    } finally {
      discard()
      process.removeListener('exit', discard)
    }
  })
}

function usable(dir, platform) {
  return inspect(dir, platform).problems.length === 0 && existsSync(path.join(dir, 'include'))
}

/** Removes what killed runs left behind. */
async function sweep(parent) {
  for (const name of await readdir(parent)) {
    if (!name.startsWith('.tmp-')) continue
    const { mtimeMs } = await stat(path.join(parent, name))
    if (Date.now() - mtimeMs > ABANDONED_MS) {
      await rm(path.join(parent, name), { recursive: true, force: true })
    }
  }
}

async function assemble(temp, platform, arch) {
  const out = path.join(temp, 'libtorch')
  const given = process.env.POSE4D_WHEELS
  const source = given ? given : path.join(temp, 'wheels')
  const get = given ? null : downloader(source, platform, arch)
  const size = WHEEL_MB[`${platform}-${arch}`]
  await get?.([TORCH], `downloading ${TORCH} from PyPI (${size} MB, removed again afterwards)`)
  const torchPath = await wheelIn(source, 'torch', TORCH_VERSION)
  if (!torchPath) throw new Error(`${source} holds no torch-${TORCH_VERSION}-….whl`)
  const wheels = [await openWheel(torchPath)]
  try {
    if (platform === 'linux') {
      wheels.push(...(await nvidiaWheels(wheels[0], source, get)))
      await unpackLinux(wheels, out)
    } else {
      await unpackNamed(wheels[0], out, platform)
    }
    await unpackHeaders(wheels[0], out)
    await unpackLicences(wheels, out)
    await writeFile(path.join(out, 'build-version'), `${TORCH_VERSION}\n`)
  } finally {
    for (const wheel of wheels) await wheel.file.close()
  }
}

function downloader(folder, platform, arch) {
  const pip = findPip()
  if (!pip) throw new Error("Python's pip is not there")
  return (requirements, message, deps = false) => {
    say(message)
    return downloadWheels(pip, folder, requirements, { platform, arch, deps })
  }
}

/** The small NVIDIA wheels, in the very versions that this torch names; none for a CPU-only one. */
async function nvidiaWheels(torch, source, get) {
  const metadata = await readText(torch, /^[^/]+\.dist-info\/METADATA$/)
  const pin = /^Requires-Dist: cuda-toolkit\[[^\]]*\]\s*(==[\w.]+)/m.exec(metadata)?.[1]
  if (!pin) return []
  const wanted = `cuda-toolkit[${Object.keys(NVIDIA_PARTS).join(',')}]${pin}`
  await get?.([wanted], `downloading the CUDA run-time stubs it links to (${wanted}, 13 MB)`, true)
  const wheels = []
  for (const name of Object.values(NVIDIA_PARTS)) {
    const found = await wheelIn(source, name)
    if (!found) throw new Error(`${source} holds no ${name} wheel`)
    wheels.push(await openWheel(found))
  }
  return wheels
}

/** `libtorch_cpu` and whatever it needs that the wheels carry; the rest is the system's. */
async function unpackLinux(wheels, out) {
  const carried = new Map()
  for (const wheel of wheels) {
    for (const member of wheel.entries.keys()) {
      const name = /^(?:torch|nvidia\/[^/]+)\/lib\/([^/]+)$/.exec(member)?.[1]
      if (name && !carried.has(name)) carried.set(name, { wheel, member })
    }
  }
  const queue = [LIBRARIES.linux.cpu]
  const done = new Set()
  for (let name = queue.shift(); name; name = queue.shift()) {
    const home = carried.get(name)
    if (done.has(name)) continue
    done.add(name)
    if (!home) {
      if (/^lib(cu|nv|torch|c10|arm)/.test(name)) throw new Error(`no wheel carries ${name}`)
      continue
    }
    const target = path.join(out, 'lib', name)
    say(`unpacking ${name}`)
    await extractMember(home.wheel, home.member, target)
    queue.push(...(await neededLibraries(target)))
  }
  // torch-sys links `-ltorch`; the real one would drag in CUDA, and holds nothing else.
  await symlink(LIBRARIES.linux.cpu, path.join(out, 'lib', 'libtorch.so'))
}

async function unpackNamed(torch, out, platform) {
  const { cpu, core } = LIBRARIES[platform]
  for (const name of [cpu, core, ...EXTRA_MEMBERS[platform]]) {
    say(`unpacking ${name}`)
    await extractMember(torch, `torch/lib/${name}`, path.join(out, 'lib', name))
  }
}

async function unpackHeaders(torch, out) {
  const headers = [...torch.entries.keys()].filter(
    (name) => name.startsWith('torch/include/') && !name.endsWith('/'),
  )
  say(`unpacking ${headers.length} headers`)
  for (const name of headers) {
    await extractMember(torch, name, path.join(out, name.slice('torch/'.length)))
  }
  await extractMember(torch, 'torch/version.py', path.join(out, 'version.py'))
}

async function unpackLicences(wheels, out) {
  for (const wheel of wheels) {
    for (const name of wheel.entries.keys()) {
      const parts = /^([^/]+)\.dist-info\/(?:licenses\/)?((?:licen[cs]e|notice)[^/]*)$/i.exec(name)
      if (!parts || !wheel.record.has(name)) continue
      await extractMember(wheel, name, path.join(out, 'licenses', parts[1], parts[2]))
    }
  }
}

async function publish(built, target, platform) {
  await flush(built)
  if (existsSync(target) && !usable(target, platform)) {
    say(`replacing the damaged ${target}`)
    await rename(target, path.join(path.dirname(built), 'damaged'))
  }
  try {
    await rename(built, target)
  } catch (error) {
    // Somebody else's whole copy is as good as ours.
    if (!usable(target, platform)) throw error
  }
  await flushFile(path.dirname(target))
  say(`kept in ${target}`)
}

/** Everything on disk before the rename: a power cut must not leave a whole-looking torso. */
async function flush(folder) {
  const whole = process.platform === 'linux' && spawnSync('sync', ['-f', folder]).status === 0
  if (whole) return
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await flushFile(path.join(entry.parentPath ?? entry.path, entry.name))
  }
}

async function flushFile(name) {
  try {
    const file = await open(name, process.platform === 'win32' ? 'r+' : 'r')
    await file.sync()
    await file.close()
  } catch (error) {
    // Windows has no way to flush a folder.
    if (process.platform !== 'win32') throw error
  }
}
