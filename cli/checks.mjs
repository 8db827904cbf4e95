// The findings of `doctor`: `{ name, state: 'ok' | 'warn' | 'missing', found, fix?, details? }` each.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, constants, readFile, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import ffmpeg from '../lib/video/ffmpeg.cjs'
import { version } from './version.mjs'

const require = createRequire(import.meta.url)

const NODE_MAJOR = 20
const RUST = [1, 89]
/** Memory below which loading the models and one 4K frame gets tight. */
const LITTLE_MEMORY = 1 << 30

/** The model files of `@mediapipe/pose` 0.5.1675469404; the networks are read from these very bytes. */
const MODEL_FILES = [
  {
    file: 'pose_solution_packed_assets.data',
    use: 'person detector',
    sha256: 'a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85',
  },
  {
    file: 'pose_landmark_lite.tflite',
    use: '"fast"',
    sha256: 'f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61',
  },
  {
    file: 'pose_landmark_full.tflite',
    use: '"full", the default',
    sha256: 'e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f',
  },
  {
    file: 'pose_landmark_heavy.tflite',
    use: '"accurate"',
    sha256: '59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe',
  },
]

const ok = (name, found, details) => ({ name, state: 'ok', found, ...(details && { details }) })
const warn = (name, found, fix, details) => ({
  name,
  state: 'warn',
  found,
  fix,
  ...(details && { details }),
})
const missing = (name, found, fix, details) => ({
  name,
  state: 'missing',
  found,
  fix,
  ...(details && { details }),
})

const megabytes = (bytes) =>
  bytes >= 1 << 30
    ? `${(bytes / (1 << 30)).toFixed(1)} GiB`
    : `${Math.round(bytes / (1 << 20))} MiB`

export async function runChecks() {
  const { check: addon, info } = checkAddon()
  const built = addon.state === 'ok'
  return [
    ok('pose4d', version),
    checkNode(),
    checkPlatform(),
    checkLibtorch(),
    addon,
    checkCuda(addon, info),
    ...(await Promise.all([
      ...MODEL_FILES.map(checkModel),
      checkCache(),
      checkMemory(info),
      checkCpu(info),
      checkTool('ffmpeg'),
      checkTool('ffprobe'),
      checkRust(built),
      checkBuildTool(built, 'C++ compiler', compilers(), compilerHint()),
      checkBuildTool(
        built,
        'pip',
        pips(),
        'Fetches libtorch at build time: install Python 3 with pip (Debian, Ubuntu: sudo apt install python3-pip).',
      ),
    ])),
  ]
}

function checkNode() {
  const major = Number(process.versions.node.split('.')[0])
  if (major >= NODE_MAJOR) return ok('node', process.versions.node)
  return missing(
    'node',
    `${process.versions.node}, needs ${NODE_MAJOR} or later`,
    'https://nodejs.org/en/download',
  )
}

function checkPlatform() {
  const { glibcVersionRuntime: glibc } = process.report?.getReport().header ?? {}
  const name = `${process.platform}-${process.arch}, ${os.type()} ${os.release()}`
  if (process.platform !== 'linux') return ok('platform', name)
  if (glibc) return ok('platform', `${name}, glibc ${glibc}`)
  return missing(
    'platform',
    `${name}, no glibc`,
    'libtorch is not built for musl: use an image with glibc (Debian, Ubuntu).',
  )
}

function checkLibtorch() {
  const { TORCH_VERSION, cachedRuntime, findRuntime } = require('../lib/runtime.cjs')
  const { found, rejected } = findRuntime()
  const passed = rejected.map(
    ({ from, dir, problems }) => `${from} (${dir}): ${problems.join(', ')}`,
  )
  if (found)
    return ok('libtorch', `${found.version} from ${found.from} (${found.libDir})`, {
      passedOver: passed,
    })
  const fix = `npm run build (finds it or fetches it into ${cachedRuntime()}),\nor set POSE4D_LIBTORCH to a folder with libtorch ${TORCH_VERSION}`
  return missing('libtorch', `${TORCH_VERSION} not found: ${passed.join('; ')}`, fix)
}

function checkAddon() {
  try {
    const { runtime, binding } = require('../lib/native.cjs').loadNative()
    const info = binding.runtimeInfo()
    return { check: ok('addon', `${info.version}, ${runtime.addon}`, runtime), info }
  } catch (error) {
    const causes = error.causes?.join('; ') ?? error.message
    const check = missing(
      'addon',
      `does not load: ${causes}`,
      error.fixes?.join('\n') ?? 'npm run build',
      { code: error.code },
    )
    return { check }
  }
}

/** The CPU is enough, so nothing here is ever `missing`. */
function checkCuda(addon, info) {
  const runtime = addon.details
  if (!info) return warn('CUDA', 'unknown while the addon does not load')
  if (info.cudaDevices > 0)
    return ok('CUDA', `${info.cudaDevices} devices${info.cudnn ? ', with cuDNN' : ''}`)
  if (runtime.cuda)
    return warn(
      'CUDA',
      'libtorch has its CUDA half, but finds no device',
      'Check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or leave it: the CPU is used.',
    )
  const failed = runtime.steps?.find((step) => step.error && /cuda/i.test(step.path))
  if (failed)
    return warn(
      'CUDA',
      `not used: ${failed.error}`,
      'Install a driver for CUDA 13, or leave it: the CPU is used.',
    )
  return ok(
    'CUDA',
    'not used: this libtorch has no CUDA half, or no NVIDIA driver answers; the CPU is used',
  )
}

async function checkModel({ file, use, sha256 }) {
  const name = `model ${file.replace(/\.(tflite|data)$/, '')}`
  let path
  try {
    path = join(dirname(require.resolve('@mediapipe/pose/package.json')), file)
    const { size } = await stat(path)
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash)
    if (hash.digest('hex') === sha256)
      return ok(name, `${use}, ${megabytes(size)}, sha256 as expected`, { path, size, sha256 })
    return missing(
      name,
      `${path} is not the expected file (sha256 differs, ${size} bytes)`,
      'rm -r node_modules/@mediapipe/pose && npm install',
    )
  } catch (error) {
    return missing(
      name,
      `${use}: ${path ?? '@mediapipe/pose'} not found (${error.code ?? error.message})`,
      'npm install',
    )
  }
}

async function checkCache() {
  const { cacheRoot } = require('../lib/runtime.cjs')
  const folder = join(cacheRoot(), 'pose4d')
  for (let at = folder; ; at = dirname(at)) {
    try {
      await access(at, constants.W_OK)
      return ok('cache', `${folder}, writable${at === folder ? '' : ' (not made yet)'}`)
    } catch (error) {
      if (error.code === 'ENOENT' && dirname(at) !== at) continue
      return warn(
        'cache',
        `${folder} is not writable (${error.code})`,
        'Set POSE4D_CACHE_DIR to a folder that is. Needed only to fetch libtorch.',
      )
    }
  }
}

async function checkMemory(info) {
  const limit = info?.memory.cgroupLimit ?? constrainedMemory()
  const free = info?.memory.available ?? os.freemem()
  const total = Math.min(os.totalmem(), limit ?? Infinity)
  const text = `${megabytes(os.totalmem())}${limit ? `, limited to ${megabytes(limit)} by the cgroup` : ', no cgroup limit'}, ${megabytes(free)} free`
  const details = { total: os.totalmem(), limit: limit ?? null, free }
  if (total >= LITTLE_MEMORY) return ok('memory', text, details)
  return warn('memory', text, 'Less than 1 GiB: use the variant "fast" and few threads.', details)
}

/** Node's own reading of the cgroup limit, bytes; undefined: none. */
function constrainedMemory() {
  const bytes = process.constrainedMemory?.()
  return bytes > 0 && bytes < os.totalmem() ? bytes : undefined
}

async function checkCpu(info) {
  const model = os.cpus()[0]?.model.trim() || os.arch()
  const threads = info?.cores ?? os.availableParallelism()
  const flags =
    /^flags\s*:(.*)$/m
      .exec(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''))?.[1]
      .trim()
      .split(/\s+/) ?? []
  const features = ['avx2', 'avx512f', 'amx_tile'].filter((flag) => flags.includes(flag))
  const used = info ? `, libtorch uses ${info.cpuCapability}` : ''
  const text =
    [`${model}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`, ...features].join(', ') + used
  if (process.arch === 'x64' && flags.length > 0 && !flags.includes('avx2')) {
    return warn('cpu', text, 'Without AVX2 the networks run several times slower.')
  }
  return ok('cpu', text, { threads, features })
}

async function checkTool(tool) {
  const found = await ffmpeg.toolVersion(tool)
  return found
    ? ok(tool, found)
    : warn(tool, 'not on the PATH: photos work, video does not', ffmpeg.installHint())
}

const versionOf = (tool, args = ['--version']) =>
  new Promise((resolve) => {
    execFile(tool, args, { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve(error ? null : `${stdout}${stderr}`.trim().split('\n')[0]),
    )
  })

async function checkRust(built) {
  const found = await versionOf('rustc')
  const [major, minor] = (/(\d+)\.(\d+)/.exec(found ?? '') ?? []).slice(1).map(Number)
  if (major > RUST[0] || (major === RUST[0] && minor >= RUST[1])) return ok('rust', found)
  const text = `${found ?? 'not on the PATH'}; building needs ${RUST.join('.')} or later`
  return (built ? warn : missing)(
    'rust',
    built ? `${text} (the addon is built already)` : text,
    'https://rustup.rs',
  )
}

const compilers = () =>
  [process.env.CXX, 'c++', 'g++', 'clang++', ...(process.platform === 'win32' ? ['cl'] : [])]
    .filter(Boolean)
    .map((tool) => [tool])
const pips = () =>
  [
    [process.env.PYTHON, '-m', 'pip'],
    ['python3', '-m', 'pip'],
    ['python', '-m', 'pip'],
    ['pip3'],
    ['pip'],
  ].filter(([tool]) => tool)

function compilerHint() {
  if (process.platform === 'darwin') return 'xcode-select --install'
  if (process.platform === 'win32')
    return 'Visual Studio Build Tools with "Desktop development with C++"'
  return 'sudo apt install g++ (Debian, Ubuntu), sudo dnf install gcc-c++ (Fedora)'
}

/** Needed to build only, so it is `missing` only while the addon is. */
async function checkBuildTool(built, name, commands, fix) {
  for (const [tool, ...args] of commands) {
    const found = await versionOf(tool, tool === 'cl' ? [] : [...args, '--version'])
    if (found) return ok(name, found)
  }
  return (built ? warn : missing)(
    name,
    `not found${built ? ' (the addon is built already)' : '; building needs it'}`,
    fix,
  )
}
