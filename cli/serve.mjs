// `pose4d serve`: the HTTP service until it is told to stop.
import { choice, number } from './args.mjs'
import { fromEngine, loadAddon } from './engine.mjs'
import { EnvironmentError, EXIT } from './exit.mjs'
import { Interrupt } from './interrupt.mjs'
import { engineConfig, MODEL_OPTIONS } from './model_options.mjs'
import { exactly } from './models/common.mjs'

const HOST = '127.0.0.1'
/** The old service's. */
const PORT = 5000
const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
const MB = 2 ** 20

export const serve = {
  name: 'serve',
  summary: 'the HTTP service: the old pose service’s endpoints and a page to look at',
  usage: 'pose4d serve [options]',
  options: {
    host: { type: 'string', value: 'address', text: `where to listen (default ${HOST})` },
    port: { type: 'string', short: 'p', value: 'n', text: `default ${PORT}; 0: any that is free` },
    ...MODEL_OPTIONS,
    'no-warmup': {
      type: 'boolean',
      text: 'load the model with the first request (as SKIP_WARMUP=1 does)',
    },
    concurrency: { type: 'string', value: 'n', text: 'requests at work at once (default 4)' },
    queue: { type: 'string', value: 'n', text: 'requests that may wait (default 100)' },
    timeout: {
      type: 'string',
      value: 'seconds',
      text: 'until a request is given up (default 120)',
    },
    'max-body': {
      type: 'string',
      value: 'MB',
      text: 'largest request with a picture (default 64)',
    },
    'max-video': { type: 'string', value: 'MB', text: 'largest upload (default 2048)' },
    'max-pixels': { type: 'string', value: 'n', text: 'largest picture (default 64000000)' },
    root: {
      type: 'string',
      multiple: true,
      value: 'folder',
      text: 'requests may name files below it; may be repeated (default: none)',
    },
    'data-dir': { type: 'string', value: 'folder', text: 'video jobs and uploads' },
    redis: {
      type: 'string',
      value: 'address',
      text: 'redis://…: video jobs are worked off by `pose4d worker` (also from POSE4D_REDIS)',
    },
    'no-jobs': { type: 'boolean', text: 'no video endpoints, nothing is written' },
    'keep-jobs': {
      type: 'string',
      value: 'days',
      text: 'video jobs are removed after (default 30)',
    },
    'allow-host': {
      type: 'string',
      multiple: true,
      value: 'name',
      text: 'a name this service is reached by, beside localhost',
    },
    'allow-origin': {
      type: 'string',
      multiple: true,
      value: 'origin',
      text: 'pages that may ask, such as http://localhost:3000',
    },
    'log-level': { type: 'string', value: 'level', text: `${LEVELS.join(', ')} (default info)` },
  },
  examples: [
    ['pose4d serve', 'on http://127.0.0.1:5000, for programs of this machine'],
    ['POSE4D_TOKEN=secret pose4d serve --host 0.0.0.0', 'for others, who send the token'],
    ['pose4d serve --root /srv/videos --model 4dhumans', 'videos may be named by their path'],
    [
      'pose4d serve --redis redis://10.0.0.5 --root /srv/videos',
      'videos are left to pose4d worker',
    ],
  ],
  run,
}

/** Milliseconds from the environment that the old service read. */
function oldTimeout(env) {
  const value = Number(env.POSE_TIMEOUT_MS)
  return Number.isSafeInteger(value) && value > 0 ? value : undefined
}

export function serviceOptions(values, env = process.env) {
  const megabytes = (name) => {
    const value = number(values, name, { min: 1, max: 1 << 20, integer: true })
    return value === undefined ? undefined : value * MB
  }
  const seconds = number(values, 'timeout', { min: 1, max: 86_400 })
  const level = choice(values, 'log-level', LEVELS) ?? 'info'
  const options = {
    engineConfig: engineConfig(values),
    warmup: !(values['no-warmup'] || env.SKIP_WARMUP === '1'),
    legacyNames: values['legacy-names'],
    concurrency: number(values, 'concurrency', { min: 1, max: 1024, integer: true }),
    maxQueue: number(values, 'queue', { min: 0, max: 100_000, integer: true }),
    timeoutMs: seconds === undefined ? oldTimeout(env) : Math.round(seconds * 1000),
    maxBodyBytes: megabytes('max-body'),
    maxVideoBytes: megabytes('max-video'),
    maxPixels: number(values, 'max-pixels', { min: 1, integer: true }),
    roots: values.root,
    dataDir: values['data-dir'],
    jobs: values['no-jobs'] ? false : undefined,
    redis: values.redis ?? (env.POSE4D_REDIS || undefined),
    keepJobsDays: number(values, 'keep-jobs', { min: 0.001, max: 36_500 }),
    hosts: values['allow-host'],
    origins: values['allow-origin'],
    token: env.POSE4D_TOKEN || undefined,
    logger: { level, stream: process.stderr },
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

async function listen(app, { host, port }) {
  try {
    return await app.listen({ host, port, listenTextResolver: (at) => `pose4d listens on ${at}` })
  } catch (error) {
    const why = error.code === 'EADDRINUSE' ? 'another program listens there' : error.message
    throw new EnvironmentError(`Cannot listen on ${host}:${port}: ${why}. Choose another --port.`)
  }
}

async function run({ values, positionals }, io = {}) {
  const { load = loadAddon } = io
  exactly('serve', positionals, [])
  const host = values.host ?? HOST
  const port = number(values, 'port', { min: 0, max: 65_535, integer: true }) ?? PORT
  const options = serviceOptions(values)
  await load()
  const { createServer } = (await import('../service/index.cjs')).default
  // The first Ctrl-C or SIGTERM ends what is accepted, the second ends at once.
  const interrupt = new Interrupt()
  let app
  try {
    app = await createServer(options)
    await listen(app, { host, port })
    if (!options.token && !/^(localhost|127\.|::1$)/.test(host))
      app.log.warn('everybody who reaches this address may ask: set POSE4D_TOKEN')
    await stopped(interrupt.signal)
    app.log.info('shutting down: what was accepted is finished first')
    return EXIT.OK
  } catch (error) {
    throw fromEngine(error)
  } finally {
    await app?.close()
    interrupt.dispose()
  }
}

const stopped = (signal) =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
