'use strict'
// Loads the native addon: libtorch first, through the boot addon, then pose4d itself. When that
// cannot be done it says on which platform, why, and what to do.

const fs = require('node:fs')
const path = require('node:path')
const { ROOT, TORCH_VERSION, cachedRuntime, findRuntime } = require('./runtime.cjs')

const SUPPORTED = {
  'linux-x64': 'linux-x64-gnu',
  'linux-arm64': 'linux-arm64-gnu',
  'darwin-arm64': 'darwin-arm64',
  'win32-x64': 'win32-x64-msvc',
}

/** Thrown when the addon cannot be loaded. */
class Pose4dLoadError extends Error {
  constructor(code, headline, causes, fixes) {
    const list = (title, items) => [title, ...items.map((item) => `  - ${item}`)]
    const where = `platform: ${process.platform}-${process.arch}, Node ${process.version}`
    super([headline, where, ...list('causes:', causes), ...list('fixes:', fixes)].join('\n'))
    this.name = 'Pose4dLoadError'
    this.code = code
    this.causes = causes
    this.fixes = fixes
  }
}

function isMusl() {
  if (process.platform !== 'linux') return false
  const { report } = process
  if (!report) return false
  report.excludeNetwork = true
  return !report.getReport().header.glibcVersionRuntime
}

function platformName() {
  const name = SUPPORTED[`${process.platform}-${process.arch}`]
  if (name) return name
  throw new Pose4dLoadError(
    'ERR_POSE4D_LOAD',
    'pose4d does not run on this platform',
    [`no addon is built for ${process.platform}-${process.arch}`],
    [`use one of: ${Object.keys(SUPPORTED).join(', ')}`],
  )
}

/** The two addons: built here, or installed as a package for this platform. */
function findAddons() {
  const triple = platformName()
  const names = { boot: `pose4d-boot.${triple}.node`, main: `pose4d.${triple}.node` }
  const folders = [ROOT]
  try {
    folders.push(path.dirname(require.resolve(`@pose4d/native-${triple}/package.json`)))
  } catch {}
  for (const folder of folders) {
    const boot = path.join(folder, names.boot)
    const main = path.join(folder, names.main)
    if (fs.existsSync(boot) && fs.existsSync(main)) return { boot, main, triple }
  }
  throw new Pose4dLoadError(
    'ERR_POSE4D_LOAD',
    'the native addon of pose4d is not there',
    folders.map((folder) => `${folder} has no ${names.main} with ${names.boot}`),
    [
      'in a clone of the project: npm run build',
      `as a dependency: npm install --include=optional (it brings @pose4d/native-${triple})`,
    ],
  )
}

function runtimeFixes() {
  return [
    `fetch it: node ${path.join(ROOT, 'scripts', 'libtorch.mjs')} (it is kept in ${cachedRuntime()})`,
    `or point POSE4D_LIBTORCH to a folder with libtorch ${TORCH_VERSION} (its lib/ inside)`,
    `or pip install torch==${TORCH_VERSION} into the active Python environment`,
  ]
}

function missingRuntime(rejected) {
  return new Pose4dLoadError(
    'ERR_POSE4D_RUNTIME_MISSING',
    `libtorch ${TORCH_VERSION}, on which pose4d computes, was not found`,
    rejected.map(({ from, dir, problems }) => `${from} (${dir}): ${problems.join(', ')}`),
    runtimeFixes(),
  )
}

function loadFixes(triple) {
  const fixes = runtimeFixes()
  if (isMusl()) {
    fixes.unshift('use an image with glibc (Debian, Ubuntu, …): libtorch is not built for musl')
  }
  if (process.platform === 'win32') {
    fixes.push('install the Microsoft Visual C++ Redistributable 2015-2022')
  }
  fixes.push(`if the addon came from elsewhere, build it here for ${triple}: npm run build`)
  return fixes
}

/** Whether to open libtorch's CUDA half: yes, unless it is switched off. */
function wantsCuda(env) {
  return env.POSE4D_CUDA !== '0' && env.CUDA_VISIBLE_DEVICES !== '-1'
}

function load() {
  const { boot: bootPath, main: mainPath, triple } = findAddons()
  const { found, rejected } = findRuntime()
  if (!found) throw missingRuntime(rejected)
  let stage = bootPath
  try {
    const boot = require(bootPath)
    boot.pin(bootPath)
    stage = found.libDir
    const preload = boot.preload(found.libDir, { cuda: wantsCuda(process.env) })
    stage = mainPath
    // Pinned before Node takes it: a worker may be ended between any two lines.
    boot.pin(mainPath)
    const binding = require(mainPath)
    const { from, root, version } = found
    return { binding, runtime: { ...preload, from, root, version, addon: mainPath } }
  } catch (error) {
    const causes = [`${stage}: ${error.message}`]
    for (const { from, dir, problems } of rejected) {
      causes.push(`passed over ${from} (${dir}): ${problems.join(', ')}`)
    }
    const failure = new Pose4dLoadError(
      'ERR_POSE4D_LOAD',
      'the native addon of pose4d could not be loaded',
      causes,
      loadFixes(triple),
    )
    failure.cause = error
    throw failure
  }
}

let loaded

/**
 * The addon and the libtorch under it, loaded at the first call.
 * @returns {{ binding: any, runtime: { dir: string, root: string, version: string, from: string,
 *   addon: string, cuda: boolean, steps: { path: string, ms: number, error?: string }[] } }}
 */
function loadNative() {
  loaded ??= load()
  return loaded
}

module.exports = { Pose4dLoadError, loadNative }
