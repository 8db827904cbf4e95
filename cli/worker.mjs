// `pose4d worker`: works off the videos that `pose4d serve --redis` accepted, until it is told to stop.
import { choice, number } from './args.mjs'
import { fromEngine, loadAddon } from './engine.mjs'
import { EXIT, UsageError } from './exit.mjs'
import { Interrupt } from './interrupt.mjs'
import { engineConfig, MODEL_OPTIONS } from './model_options.mjs'
import { exactly } from './models/common.mjs'

const ROLES = ['all', 'find', 'track']
const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

export const worker = {
  name: 'worker',
  summary: 'work off video jobs of a Redis, beside any number of others on any number of machines',
  usage: 'pose4d worker --redis redis://host [options]',
  options: {
    redis: {
      type: 'string',
      value: 'address',
      text: 'redis://[user:password@]host[:port][/number], rediss:// with TLS (also from POSE4D_REDIS)',
    },
    role: {
      type: 'string',
      value: 'name',
      text: `${ROLES.join(', ')}: find people, follow them, or both (default all)`,
    },
    concurrency: {
      type: 'string',
      value: 'n',
      text: 'shards looked at, and clips followed, at once (default 1)',
    },
    root: {
      type: 'string',
      multiple: true,
      value: 'folder',
      text: 'where videos may lie; may be repeated',
    },
    'data-dir': {
      type: 'string',
      value: 'folder',
      text: "the services' --data-dir, under the same name: uploads and drawn videos (default as theirs)",
    },
    ...MODEL_OPTIONS,
    'stalled-after': {
      type: 'string',
      value: 'seconds',
      text: 'without a sign of life a worker is taken for dead (default 30; the same for all)',
    },
    'log-level': { type: 'string', value: 'level', text: `${LEVELS.join(', ')} (default info)` },
  },
  examples: [
    ['pose4d worker --redis redis://10.0.0.5 --root /srv/videos', 'finds and follows'],
    [
      'POSE4D_REDIS=rediss://user:secret@cache pose4d worker --role find --root /srv/videos',
      'a machine with a card: finds only',
    ],
  ],
  run,
}

export function workerOptions(values, env = process.env) {
  const redis = values.redis ?? (env.POSE4D_REDIS || undefined)
  if (redis === undefined)
    throw new UsageError('--redis is missing: the address of a Redis, such as redis://10.0.0.5', {
      command: 'worker',
    })
  const options = {
    redis,
    role: choice(values, 'role', ROLES),
    concurrency: number(values, 'concurrency', { min: 1, max: 64, integer: true }),
    roots: values.root,
    dataDir: values['data-dir'],
    engineConfig: engineConfig(values),
    legacyNames: values['legacy-names'],
    stalledSeconds: number(values, 'stalled-after', { min: 1, max: 3600 }),
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

async function run({ values, positionals }, io = {}) {
  const { load = loadAddon } = io
  exactly('worker', positionals, [])
  const options = workerOptions(values)
  const level = choice(values, 'log-level', LEVELS) ?? 'info'
  await load()
  const { Worker } = (await import('../service/redis/worker.cjs')).default
  const { makeLog } = (await import('../service/redis/log.cjs')).default
  // The first Ctrl-C or SIGTERM gives back what is at work, the second ends at once.
  const interrupt = new Interrupt()
  let started
  try {
    started = new Worker({ ...options, log: makeLog(level) })
    await started.start()
    await new Promise((resolve) => {
      if (interrupt.aborted) return resolve()
      interrupt.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    return EXIT.OK
  } catch (error) {
    throw fromEngine(error)
  } finally {
    await started?.stop()
    interrupt.dispose()
  }
}
