'use strict'
// Bodies and answers of the model cache's endpoints, in the old manager's names. Megabytes are of
// 1024 * 1024 bytes.

const build = require('./build.cjs')

const { closed, filled, flag, integer, list, map, number, oneOf, open, orNull, ref, text } = build

const SUCCESS = { const: true }
const COUNTS = map({ type: 'integer' }, 'Files by extension')
const HEALTH = oneOf(
  ['good', 'large', 'cluttered'],
  'Over 5000 MB: large; over 50 files: cluttered',
)
const SIZED = orNull(closed({ name: text('Model'), size_mb: number('MB') }))

const cacheInfo = closed({
  cache_dir: text('The folder'),
  models: map(
    closed({
      formats: map(
        closed({
          size_mb: number('MB'),
          path: text('The file'),
          last_modified: text('ISO 8601'),
        }),
        'By extension',
      ),
      total_size_mb: number('MB'),
      last_modified: text('ISO 8601'),
    }),
    'By name',
  ),
  total_size_mb: number('MB'),
  total_files: integer('How many'),
  formats: COUNTS,
})

const cacheStats = closed({
  total_models: integer('How many'),
  total_size_mb: number('MB'),
  total_files: integer('How many'),
  formats: COUNTS,
  average_model_size_mb: number('MB'),
  largest_model: SIZED,
  smallest_model: SIZED,
  cache_health: HEALTH,
})

const modelState = closed({
  name: text('Model'),
  available: flag('There is a file that can be used'),
  state: text('verified, unverified, missing, corrupt, …'),
  path: orNull(text('The file')),
  size_mb: orNull(number('MB')),
})

const status = closed({
  success: SUCCESS,
  status: closed({
    midas_available: flag('A depth model’s file is here'),
    midas_loaded: flag('A depth model is in memory'),
    model_manager_available: flag('Always true'),
    cached_models: list({ type: 'string' }, 'Models in the cache folder'),
    cache_stats: ref('CacheStats'),
    midas_info: closed({ models: list(ref('ModelState'), 'The depth models') }),
    midas_cache_info: ref('CacheInfo'),
    models: list(ref('ModelState'), 'Every model file that pose4d knows'),
  }),
})

const kept = list(closed({ path: text('File'), reason: text('Why it stays') }))

module.exports = {
  components: {
    CacheInfo: cacheInfo,
    CacheStats: cacheStats,
    ModelState: modelState,
    CacheInfoAnswer: closed({
      success: SUCCESS,
      cache_info: ref('CacheInfo'),
      cache_stats: ref('CacheStats'),
    }),
    ModelsStatusAnswer: status,
    CacheClearAnswer: closed({
      success: SUCCESS,
      message: text('In words'),
      files_removed: integer('How many'),
      space_freed_mb: number('MB'),
      removed: list({ type: 'string' }, 'Files'),
      kept,
      errors: list({ type: 'string' }),
    }),
    CacheOptimizeAnswer: closed({
      success: SUCCESS,
      optimization_results: closed({
        files_checked: integer('How many'),
        files_removed: integer('How many'),
        space_freed_mb: number('MB'),
        errors: list({ type: 'string' }),
        removed: list(closed({ path: text('File'), bytes: integer('Bytes'), reason: text('Why') })),
        kept,
      }),
    }),
    ModelExportAnswer: closed({
      success: SUCCESS,
      message: text('In words'),
      name: text('Model'),
      export_path: text('The file that was written'),
      size_mb: number('MB'),
      sha256: text('Of the file'),
      converted: flag('Written in another format'),
    }),
    ModelsError: {
      allOf: [
        ref('Error'),
        { type: 'object', properties: { success: { const: false } }, required: ['success'] },
      ],
    },
  },
  requests: {
    clear: open(
      {
        confirm: flag('Must be true where no model is named'),
        model: filled('Only this one'),
      },
      { description: 'Removes from the cache folder and from nowhere else' },
    ),
    export: open(
      {
        export_path: filled('File to write, below one of the service’s roots'),
        format: oneOf(['pt', 'pkl', 'h5', 'safetensors'], 'Without it as it is'),
      },
      { required: ['export_path'] },
    ),
  },
}
