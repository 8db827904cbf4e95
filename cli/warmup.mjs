// `pose4d warmup`: loads the models once, so that what would fail later fails now.
import { choice, number } from './args.mjs'
import { fromEngine, loadAddon, openEngine, VARIANTS } from './engine.mjs'
import { EXIT, UsageError } from './exit.mjs'
import { table } from './summary.mjs'

export const warmup = {
  name: 'warmup',
  summary: 'load the models and run them once',
  usage: 'pose4d warmup [options]',
  options: {
    'model-variant': {
      type: 'string',
      value: 'name',
      text: `${VARIANTS.join(', ')} (default full)`,
    },
    device: { type: 'string', value: 'name', text: 'auto, cpu, cuda, cuda:N' },
    threads: { type: 'string', value: 'n', text: 'worker threads (default: all cores)' },
    json: { type: 'boolean', text: 'print the report as JSON' },
  },
  examples: [
    ['pose4d warmup', 'check that everything loads'],
    ['pose4d warmup --model-variant accurate --json', 'the heavy network, for a script'],
  ],
  run,
}

async function run({ values, positionals }, { load = loadAddon, stdout = process.stdout } = {}) {
  if (positionals.length > 0)
    throw new UsageError(`\`warmup\` takes no arguments, found \`${positionals[0]}\`.`, {
      command: 'warmup',
    })
  const config = {
    modelVariant: choice(values, 'model-variant', VARIANTS),
    device: values.device,
    threads: number(values, 'threads', { min: 1, max: 1024, integer: true }),
  }
  const addon = await load()
  const engine = await openEngine(addon, config)
  try {
    const report = await engine.warmup()
    stdout.write(`${values.json ? JSON.stringify(report, null, 2) : text(report)}\n`)
    return EXIT.OK
  } catch (error) {
    throw fromEngine(error)
  } finally {
    await engine.close()
  }
}

function text({ status, models }) {
  const rows = Object.entries(models).map(([name, model]) => [
    name,
    model.status,
    `${model.loadTimeSeconds.toFixed(2)} s`,
  ])
  return `${status}\n${table(['model', 'status', 'load time'], rows)}`
}
