'use strict'
// The cache manager's endpoints: what model files are here, tidying, export.

const { models } = require('../../lib/models.cjs')
const { REQUEST, serviceError } = require('../errors.cjs')
const { ref, text } = require('../schemas/build.cjs')
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

const modelsRoutes = (app, { settings, host, roots }) => {
  const cache = {
    ...(settings.cacheDir !== undefined && { cacheDir: settings.cacheDir }),
    ...(settings.engineConfig?.smplPath !== undefined && {
      smplPath: settings.engineConfig.smplPath,
    }),
  }
  const describe = () => models.info({ ...cache, detailed: true })
  const route = (method, url, operationId, summary, schema, answer, handler) =>
    app.route({
      method,
      url,
      config: { answers: 'models' },
      schema: {
        operationId,
        tags: ['models'],
        summary,
        ...schema,
        response: { 200: { description: 'Done', schema: ref(answer) } },
      },
      handler,
    })

  route(
    'GET',
    '/api/models/cache/info',
    'cacheInfo',
    'What the cache folder holds',
    {},
    'CacheInfoAnswer',
    async () => {
      const info = await describe()
      return { success: true, cache_info: cacheInfo(info), cache_stats: cacheStats(info) }
    },
  )

  route(
    'GET',
    '/api/models/status',
    'modelsStatus',
    'Every model file, and whether it is here',
    {},
    'ModelsStatusAnswer',
    async () => {
      const [info, all] = [await describe(), models.list(cache)]
      const depth = all.filter(({ family }) => family === DEPTH)
      return {
        success: true,
        status: {
          midas_available: depth.some(({ available }) => available),
          midas_loaded: Object.entries(host.models()).some(
            ([name, state]) =>
              state === 'loaded' && depth.some((model) => model.component === name),
          ),
          model_manager_available: true,
          cached_models: Object.keys(info.models),
          cache_stats: cacheStats(info),
          midas_info: { models: depth.map(stateOf) },
          midas_cache_info: cacheInfo(info),
          models: all.map(stateOf),
        },
      }
    },
  )

  route(
    'POST',
    '/api/models/cache/clear',
    'cacheClear',
    'Remove models from the cache folder',
    { body: requests.clear },
    'CacheClearAnswer',
    async ({ body, log }) => {
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
    },
  )

  route(
    'POST',
    '/api/models/cache/optimize',
    'cacheOptimize',
    'Remove partial, corrupt and doubled files from the cache folder',
    {},
    'CacheOptimizeAnswer',
    async ({ gone }) => {
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
    },
  )

  route(
    'POST',
    '/api/models/export/:name',
    'modelExport',
    'Write a model to a file',
    {
      params: {
        type: 'object',
        properties: { name: text('Of the model, or one of its other names', { minLength: 1 }) },
        required: ['name'],
      },
      body: requests.export,
    },
    'ModelExportAnswer',
    async ({ params, body, gone }) => {
      const target = await roots.toWrite(body.export_path)
      const written = await models.export(params.name, target, body.format, {
        ...cache,
        signal: gone,
      })
      return {
        success: true,
        message: `${written.name} was written to ${written.path}`,
        name: written.name,
        export_path: written.path,
        size_mb: written.bytes / MB,
        sha256: written.sha256,
        converted: written.converted,
      }
    },
  )
}

module.exports = modelsRoutes
