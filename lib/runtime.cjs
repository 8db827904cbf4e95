'use strict'
// Where libtorch may lie, and whether what lies there can be used. Reads names and small text
// files only: no subprocess, no network, nothing is opened or run.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** The libtorch that the addon is built against. */
const TORCH_VERSION = '2.11.0'
/** What is accepted: patch releases keep the binary interface. */
const TORCH_SERIES = /^2\.11\.\d+$/

const LIBRARIES = {
  linux: { cpu: 'libtorch_cpu.so', core: 'libc10.so', cuda: 'libtorch_cuda.so' },
  darwin: { cpu: 'libtorch_cpu.dylib', core: 'libc10.dylib', cuda: null },
  win32: { cpu: 'torch_cpu.dll', core: 'c10.dll', cuda: 'torch_cuda.dll' },
}

/** The project (or package) root: the folder above this one. */
const ROOT = path.join(__dirname, '..')

/** The folder under which every program keeps what it can fetch again. */
function cacheRoot(env = process.env, platform = process.platform) {
  if (env.POSE4D_CACHE_DIR) return path.resolve(env.POSE4D_CACHE_DIR)
  const home = env.HOME || env.USERPROFILE || os.homedir()
  if (platform === 'win32') return env.LOCALAPPDATA || path.join(home, 'AppData', 'Local')
  if (platform === 'darwin') return path.join(home, 'Library', 'Caches')
  return env.XDG_CACHE_HOME || path.join(home, '.cache')
}

/** Where this project keeps the libtorch it fetched. */
function cachedRuntime(env = process.env, platform = process.platform, arch = process.arch) {
  const name = `libtorch-${TORCH_VERSION}-${platform}-${arch}`
  return path.join(cacheRoot(env, platform), 'pose4d', 'runtime', name)
}

function firstMatch(file, pattern) {
  try {
    return pattern.exec(fs.readFileSync(file, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** The version that a libtorch folder states about itself, without its `+cpu` or `+cu130`. */
function statedVersion(root) {
  const version =
    firstMatch(path.join(root, 'version.py'), /^__version__\s*=\s*['"]([^'"]+)['"]/m) ??
    firstMatch(path.join(root, 'build-version'), /^\s*(\S+)/)
  if (version) return version.split('+')[0]
  const header = path.join(root, 'include/torch/headeronly/version.h')
  const parts = ['MAJOR', 'MINOR', 'PATCH'].map((part) =>
    firstMatch(header, new RegExp(`#define TORCH_VERSION_${part} (\\d+)`)),
  )
  return parts.every(Boolean) ? parts.join('.') : undefined
}

/**
 * Looks at a folder said to hold libtorch (its root, or the `lib` folder in it).
 * `problems` is empty when it can be used.
 */
function inspect(dir, platform = process.platform) {
  const names = LIBRARIES[platform]
  if (!names) return { problems: [`platform ${platform} is not supported`] }
  let root = path.resolve(dir)
  if (!fs.existsSync(path.join(root, 'lib')) && fs.existsSync(path.join(root, names.cpu))) {
    root = path.dirname(root)
  }
  if (!fs.existsSync(root)) return { problems: ['no such folder'] }
  const library = path.join(root, 'lib', names.cpu)
  const problems = []
  for (const name of [names.cpu, names.core]) {
    if (!fs.existsSync(path.join(root, 'lib', name))) problems.push(`lib/${name} is missing`)
  }
  if (problems.length > 0) return { problems }
  // Through the link: the rest of a full PyTorch (CUDA) lies beside the real file.
  const libDir = path.dirname(fs.realpathSync(library))
  const version = statedVersion(root) ?? statedVersion(path.dirname(libDir))
  if (!version) {
    problems.push('it does not say which version it is (no version.py, build-version or headers)')
  } else if (!TORCH_SERIES.test(version)) {
    problems.push(`it is libtorch ${version}, and pose4d needs ${TORCH_VERSION}`)
  }
  const cuda = names.cuda !== null && fs.existsSync(path.join(libDir, names.cuda))
  return { root, libDir, version, cuda, problems }
}

/** The torch packages of the Python environment that is switched on, if any. */
function activePythonTorch(env = process.env, platform = process.platform) {
  const found = []
  for (const prefix of [env.VIRTUAL_ENV, env.CONDA_PREFIX]) {
    if (!prefix) continue
    if (platform === 'win32') {
      found.push(path.join(prefix, 'Lib', 'site-packages', 'torch'))
      continue
    }
    let versions = []
    try {
      versions = fs.readdirSync(path.join(prefix, 'lib')).filter((n) => n.startsWith('python3'))
    } catch {}
    found.push(...versions.map((v) => path.join(prefix, 'lib', v, 'site-packages', 'torch')))
  }
  return found.filter((dir) => fs.existsSync(dir))
}

/**
 * Every place a libtorch may be found without asking anybody, best first.
 * `strict`: the user named it for pose4d, so when it does not do, nothing else is tried.
 */
function candidates({ env = process.env, root = ROOT } = {}) {
  const list = []
  if (env.POSE4D_LIBTORCH) {
    list.push({ from: 'POSE4D_LIBTORCH', dir: env.POSE4D_LIBTORCH, strict: true })
  }
  if (env.LIBTORCH) list.push({ from: 'LIBTORCH', dir: env.LIBTORCH })
  list.push({ from: "the project's link .libtorch", dir: path.join(root, '.libtorch') })
  for (const dir of activePythonTorch(env)) {
    list.push({ from: 'the active Python environment', dir })
  }
  list.push({ from: 'the cache', dir: cachedRuntime(env) })
  return list
}

/** The first usable libtorch, and why those before it are not. */
function findRuntime(options) {
  const rejected = []
  for (const candidate of candidates(options)) {
    const seen = inspect(candidate.dir)
    if (seen.problems.length === 0) return { found: { ...candidate, ...seen }, rejected }
    rejected.push({ ...candidate, problems: seen.problems })
    if (candidate.strict) break
  }
  return { found: null, rejected }
}

module.exports = {
  LIBRARIES,
  ROOT,
  TORCH_VERSION,
  cacheRoot,
  cachedRuntime,
  candidates,
  findRuntime,
  inspect,
}
