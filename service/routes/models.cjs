'use strict'
// The cache manager's endpoints: what model files are here, tidying, export.

const { models } = require('../../lib/models.cjs')
const { REQUEST, serviceError } = require('../errors.cjs')
const { filled, ref } = require('../schemas/build.cjs')
const { requests } = require('../schemas/models.cjs')

const MB = 2 ** 20
/** Of depth models in the manifest. */
const DEPTH = 'midas'

const sized = (model) => model && { name: model.name, size_mb: model.sizeMb }

function cacheInfo(info) {
  const entry = ({ formats, totalSizeMb, lastModified }) => ({
    formats: Object.fromEntries(
      Object.entries(formats).map(([format, file]) => [
        format,
        { size_mb: file.sizeMb, path: file.path, last_modified: file.lastModified },
      ]),
    ),
    total_size_mb: totalSizeMb,
    last_modified: lastModified,
  })
  return {
    cache_dir: info.cacheDir,
    models: Object.fromEntries(
      Object.entries(info.models).map(([name, model]) => [name, entry(model)]),
    ),
    total_size_mb: info.totalSizeMb,
    total_files: info.totalFiles,
    formats: info.formats,
  }
}

const cacheStats = ({ stats }) => ({
  total_models: stats.totalModels,
  total_size_mb: stats.totalSizeMb,
  total_files: stats.totalFiles,
  formats: stats.formats,
  average_model_size_mb: stats.averageModelSizeMb,
  largest_model: sized(stats.largestModel) ?? null,
  smallest_model: sized(stats.smallestModel) ?? null,
  cache_health: stats.cacheHealth,
})

const stateOf = ({ name, available, state, path, bytes }) => ({
  name,
  available,
  state,
  path,
  size_mb: bytes === null ? null : bytes / MB,
})

/** Which cache the endpoints are about. */
function cacheOf({ cacheDir, engineConfig }) {
  const smplPath = engineConfig?.smplPath
  return {
    ...(cacheDir !== undefined && { cacheDir }),
    ...(smplPath !== undefined && { smplPath }),
  }
}

const describe = (cache) => models.info({ ...cache, detailed: true })

async function info({ cache }) {
  const found = await describe(cache)
  return { success: true, cache_info: cacheInfo(found), cache_stats: cacheStats(found) }
}

async function status({ cache, host }) {
  const [found, all] = [await describe(cache), models.list(cache)]
  const depth = all.filter(({ family }) => family === DEPTH)
  const loaded = (name) => host.models()[name] === 'loaded'
  return {
    success: true,
    status: {
      midas_available: depth.some(({ available }) => available),
      midas_loaded: depth.some(({ name }) => loaded(name)),
      model_manager_available: true,
      cached_models: Object.keys(found.models),
      cache_stats: cacheStats(found),
      midas_info: { models: depth.map(stateOf) },
      midas_cache_info: cacheInfo(found),
      models: all.map(stateOf),
    },
  }
}

async function clear({ cache }, { body, log }) {
  const { confirm = false, model } = body
  if (!confirm && model === undefined)
    throw serviceError(REQUEST, 'This removes every model: send {"confirm": true}.')
  const report = await models.clear({
    ...cache,
    ...(model === undefined ? { confirm } : { model }),
  })
  log.info({ removed: report.removed }, 'models were removed')
  return {
    success: true,
    message: `${report.filesRemoved} files removed, ${report.spaceFreedMb.toFixed(1)} MB freed`,
    files_removed: report.filesRemoved,
    space_freed_mb: report.spaceFreedMb,
    removed: report.removed,
    kept: report.kept,
    errors: report.errors,
  }
}

async function optimize({ cache }, { gone }) {
  const report = await models.optimize({ ...cache, signal: gone })
  return {
    success: true,
    optimization_results: {
      files_checked: report.filesChecked,
      files_removed: report.filesRemoved,
      space_freed_mb: report.spaceFreedMb,
      errors: report.errors,
      removed: report.removed,
      kept: report.kept,
    },
  }
}

async function exportModel({ cache, roots }, { params, body, gone }) {
  const target = await roots.toWrite(body.export_path)
  const options = { ...cache, signal: gone }
  const written = await models.export(params.name, target, body.format, options)
  return {
    success: true,
    message: `${written.name} was written to ${written.path}`,
    name: written.name,
    export_path: written.path,
    size_mb: written.bytes / MB,
    sha256: written.sha256,
    converted: written.converted,
  }
}

const NAME = {
  type: 'object',
  properties: { name: filled('Of the model, or one of its other names') },
  required: ['name'],
}

const ENDPOINTS = [
  {
    route: ['GET', '/api/models/cache/info', info],
    operationId: 'cacheInfo',
    summary: 'What the cache folder holds',
    answer: 'CacheInfoAnswer',
  },
  {
    route: ['GET', '/api/models/status', status],
    operationId: 'modelsStatus',
    summary: 'Every model file, and whether it is here',
    answer: 'ModelsStatusAnswer',
  },
  {
    route: ['POST', '/api/models/cache/clear', clear],
    operationId: 'cacheClear',
    summary: 'Remove models from the cache folder',
    body: requests.clear,
    answer: 'CacheClearAnswer',
  },
  {
    route: ['POST', '/api/models/cache/optimize', optimize],
    operationId: 'cacheOptimize',
    summary: 'Remove partial, corrupt and doubled files from the cache folder',
    answer: 'CacheOptimizeAnswer',
  },
  {
    route: ['POST', '/api/models/export/:name', exportModel],
    operationId: 'modelExport',
    summary: 'Write a model to a file',
    params: NAME,
    body: requests.export,
    answer: 'ModelExportAnswer',
  },
]

const modelsRoutes = (app, { settings, host, roots }) => {
  const parts = { cache: cacheOf(settings), host, roots }
  for (const { route, answer, ...schema } of ENDPOINTS) {
    const [method, url, handler] = route
    app.route({
      method,
      url,
      config: { answers: 'models' },
      schema: {
        tags: ['models'],
        ...schema,
        response: { 200: { description: 'Done', schema: ref(answer) } },
      },
      handler: (request) => handler(parts, request),
    })
  }
}

module.exports = modelsRoutes
