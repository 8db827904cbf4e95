// `pose4d warmup`: fetches what a model family needs, checks it, loads it and runs it once, so that
// what would fail later fails now.
import { choice, number } from './args.mjs'
import { openEngine, VARIANTS } from './engine.mjs'
import { EXIT } from './exit.mjs'
import { ask, CACHE_OPTIONS, cacheOptions, exactly, QUIET_OPTION } from './models/common.mjs'
import { table } from './summary.mjs'

/** What an engine is made for; others are prepared by their files, and 4dhumans then runs a frame. */
const ENGINE_MODELS = ['auto', 'blazepose']
/** Names of families that the manifest calls otherwise. */
const FAMILIES = { depth: 'midas' }
const PRECISIONS = ['auto', 'fp32', 'bf16', 'fp16']
const COLUMNS = ['model', 'status', 'load time', 'precision', 'device', 'memory']
const EXIT_CODES = { ready: EXIT.OK, partial: EXIT.MODELS_INCOMPLETE, error: EXIT.ENVIRONMENT }

export const warmup = {
  name: 'warmup',
  summary: 'fetch, check and load the models of a family, and run them once',
  usage: 'pose4d warmup [options]',
  options: {
    model: {
      type: 'string',
      value: 'name',
      text: 'auto (default), blazepose, 4dhumans, depth, vitpose, or any name of `pose4d models list`',
    },
    'model-variant': {
      type: 'string',
      value: 'name',
      text: `${VARIANTS.join(', ')} (default full), of blazepose`,
    },
    precision: { type: 'string', value: 'name', text: `${PRECISIONS.join(', ')}` },
    device: { type: 'string', value: 'name', text: 'auto, cpu, cuda, cuda:N' },
    threads: { type: 'string', value: 'n', text: 'worker threads (default: all cores)' },
    smpl: { type: 'string', value: 'file', text: 'your SMPL model, used where it lies' },
    ...CACHE_OPTIONS,
    json: { type: 'boolean', text: 'print the report as JSON' },
    ...QUIET_OPTION,
  },
  examples: [
    ['pose4d warmup', 'check that everything loads'],
    ['pose4d warmup --model 4dhumans', 'fetch, verify, unpack, convert and load 4D-Humans'],
    ['pose4d warmup --model 4dhumans --offline --json', 'is all of it here? for a script'],
  ],
  run,
}

async function run({ values, positionals }, io = {}) {
  exactly('warmup', positionals, [])
  const model = values.model ?? 'auto'
  const settings = {
    precision: choice(values, 'precision', PRECISIONS),
    device: values.device,
    threads: number(values, 'threads', { min: 1, max: 1024, integer: true }),
  }
  const modelVariant = choice(values, 'model-variant', VARIANTS)
  const work = ENGINE_MODELS.includes(model)
    ? (addon, options) => runEngine(addon, { ...settings, model, modelVariant }, options)
    : ({ models }, options) =>
        models.prepare(FAMILIES[model] ?? model, { ...settings, smplPath: values.smpl, ...options })
  return ask(values, io, { work, text: reportText, code: ({ status }) => EXIT_CODES[status] })

  async function runEngine(addon, config, { signal }) {
    const { cacheDir } = cacheOptions(values)
    const engine = await openEngine(addon, { ...config, cacheDir })
    try {
      return await engine.warmup({ signal })
    } finally {
      await engine.close()
    }
  }
}

export function reportText({ status, message, models }) {
  const rows = Object.entries(models).map(([name, model]) => [
    name,
    model.status,
    model.status === 'loaded' ? `${model.loadTimeSeconds.toFixed(2)} s` : '–',
    model.precision ?? '–',
    model.device ?? '–',
    model.bytes === undefined ? '–' : `${(model.bytes / 2 ** 20).toFixed(0)} MB`,
  ])
  const notes = Object.entries(models)
    .filter(([, model]) => model.message)
    .map(([name, model]) => `${name}: ${model.message}`)
  const parts = [`${status}: ${message}`]
  if (rows.length > 0) parts.push(table(COLUMNS, rows, ['model', 'status', 'precision', 'device']))
  return [...parts, ...notes].join('\n')
}
