'use strict'
// `models`: the addon's model cache and file tools, with paths of npm packages, signals and
// progress put in.

const fs = require('node:fs')
const { loadNative } = require('./native.cjs')
const { Pose4DError, invalid, native } = require('./errors.cjs')
const { task } = require('./task.cjs')

/** Through Node's own resolution, so that workspaces and Yarn's PnP work. */
function locate({ package: name, file }) {
  try {
    return require.resolve(`${name}/${file}`)
  } catch {
    return null
  }
}

let packaged

/** The model files that npm packages bring: `{ name, package, file, path }`. */
function packagedFiles() {
  packaged ??= native(() => JSON.parse(loadNative().binding.packagedFiles()))
  return packaged.map((entry) => ({ ...entry, path: locate(entry) }))
}

/** Takes options apart: what concerns the call, and what the addon is to see. */
function split(options) {
  if (options === undefined || options === null) return { rest: {}, concerns: {} }
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw invalid(
      `options must be an object, but is ${Array.isArray(options) ? 'an array' : typeof options}`,
    )
  }
  const { signal, onProgress, ...rest } = options
  return { rest, concerns: { signal, onProgress } }
}

/** Where the addon finds what it cannot find itself: the files of npm packages. */
function given() {
  const found = packagedFiles().filter(({ path }) => path !== null)
  return Object.fromEntries(found.map(({ name, path }) => [name, path]))
}

/** A quick question about the cache. */
function ask(name, args, options) {
  const { rest } = split(options)
  const { binding } = loadNative()
  return native(() => JSON.parse(binding[name](...args, given(), rest)))
}

/** Work on the cache that takes its time. */
async function work(name, args, options) {
  const { rest, concerns } = split(options)
  const { binding } = loadNative()
  return task(concerns, (job, tell, listened) =>
    binding[name](job, tell, listened, ...args, given(), rest),
  )
}

/** Work on files that needs no cache. */
async function fileWork(name, args, options) {
  const { rest, concerns } = split(options)
  const { binding } = loadNative()
  return task(concerns, (job, tell, listened) => binding[name](job, tell, listened, ...args, rest))
}

const listOf = (names) => (typeof names === 'string' ? [names] : names)

const models = {
  list: (options) => ask('modelsList', [], options),
  status: (name, options) => ask('modelsStatus', [name], options),
  info: (options) => work('modelsInfo', [], options),
  download: (names, options) => work('modelsDownload', [listOf(names)], options),
  verify: (names, options) => work('modelsVerify', [listOf(names)], options),
  optimize: (options) => work('modelsOptimize', [], options),
  clear: (options) => work('modelsClear', [], options),
  export: (name, path, format, options) => work('modelsExport', [name, path, format], options),
  import: (path, name, options) => work('modelsImport', [path, name], options),
  prepare: (names, options) => work('modelsPrepare', [listOf(names)], options),
  inspect: (file, options) => fileWork('inspectFile', [file], options),
  convert: (input, output, options) => work('modelsConvert', [input, output], options),
}

async function read(name) {
  const entry = packagedFiles().find((candidate) => candidate.name === name)
  try {
    if (entry.path) return await fs.promises.readFile(entry.path)
  } catch (cause) {
    throw new Pose4DError('ERR_POSE4D_MODEL_FILE', `cannot read ${entry.path}: ${cause.message}`, {
      cause,
    })
  }
  throw new Pose4DError(
    'ERR_POSE4D_MODEL_UNAVAILABLE',
    `the model file ${entry.file} of the npm package ${entry.package} was not found; it is a dependency of pose4d: run npm install`,
  )
}

/** The networks of one landmark variant ('lite', 'full', 'heavy'). */
async function readBlazePose(variant) {
  const [detector, landmark] = await Promise.all([
    read('blazepose-detector'),
    read(`blazepose-${variant}`),
  ])
  return { detector, landmark }
}

module.exports = { models, readBlazePose }
