'use strict'
// Options of `createServer`: checked, with their defaults.

const path = require('node:path')
const { invalid } = require('../lib/errors.cjs')
const { cacheRoot } = require('../lib/runtime.cjs')
const { readAddress } = require('./redis/connection.cjs')

const MB = 2 ** 20

const whole = (min) => ({
  holds: (value) => Number.isSafeInteger(value) && value >= min,
  expected: `a whole number, ${min} or more`,
})
const POSITIVE = {
  holds: (value) => typeof value === 'number' && Number.isFinite(value) && value > 0,
  expected: 'a number above 0',
}
const BOOLEAN = { holds: (value) => typeof value === 'boolean', expected: 'true or false' }
const TEXT = {
  holds: (value) => typeof value === 'string' && value.length > 0,
  expected: 'a text that is not empty',
}
const TEXTS = {
  holds: (value) => Array.isArray(value) && value.every((entry) => TEXT.holds(entry)),
  expected: 'an array of texts',
}
const REDIS = {
  holds: (value) => {
    readAddress(value)
    return true
  },
}
const ENGINE = {
  holds: (value) => typeof value?.processFrames === 'function',
  expected: 'a PoseEngine',
}
const OBJECT = {
  holds: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  expected: 'an object',
}
const ANY = { holds: () => true }

/** Name → what it must be, and its default. */
const OPTIONS = {
  engine: { ...ENGINE },
  engineConfig: { ...OBJECT },
  warmup: { ...BOOLEAN, usual: true },
  legacyNames: { ...BOOLEAN, usual: false },
  concurrency: { ...whole(1), usual: 4 },
  maxQueue: { ...whole(0), usual: 100 },
  maxQueuePerClient: { ...whole(1) },
  timeoutMs: { ...whole(1), usual: 120_000 },
  maxBodyBytes: { ...whole(1024), usual: 64 * MB },
  maxPixels: { ...whole(1), usual: 64_000_000 },
  headerTimeoutMs: { ...whole(1), usual: 10_000 },
  bodyTimeoutMs: { ...whole(1), usual: 60_000 },
  uploadTimeoutMs: { ...whole(1), usual: 3_600_000 },
  minBytesPerSecond: { ...whole(0), usual: 1024 },
  maxConnections: { ...whole(1), usual: 1024 },
  drainMs: { ...whole(0), usual: 30_000 },
  token: { ...TEXT },
  hosts: { ...TEXTS, usual: [] },
  origins: { ...TEXTS, usual: [] },
  roots: { ...TEXTS, usual: [] },
  jobs: { ...BOOLEAN, usual: true },
  redis: { ...REDIS },
  dataDir: { ...TEXT },
  maxVideoBytes: { ...whole(1), usual: 2048 * MB },
  maxJobs: { ...whole(1), usual: 100 },
  keepJobsDays: { ...POSITIVE, usual: 30 },
  cacheDir: { ...TEXT },
  logger: { ...ANY, usual: false },
  web: { ...BOOLEAN, usual: true },
}

/** Every option there is, with a value or undefined; throws on what is wrong or unknown. */
function readSettings(options = {}) {
  if (!OBJECT.holds(options)) throw invalid('options of createServer must be an object')
  for (const name of Object.keys(options))
    if (!Object.hasOwn(OPTIONS, name))
      throw invalid(`createServer has no option ${name}; it has ${Object.keys(OPTIONS).join(', ')}`)
  const settings = {}
  for (const [name, { holds, expected, usual }] of Object.entries(OPTIONS)) {
    const value = options[name]
    if (value !== undefined && !holds(value))
      throw invalid(`createServer: ${name} must be ${expected}, but is ${JSON.stringify(value)}`)
    settings[name] = value ?? usual
  }
  if (settings.engine && settings.engineConfig)
    throw invalid('createServer takes an engine or an engineConfig, not both')
  settings.maxQueuePerClient ??= Math.max(1, settings.maxQueue)
  settings.dataDir = path.resolve(settings.dataDir ?? path.join(cacheRoot(), 'pose4d', 'service'))
  settings.cacheDir ??= settings.engineConfig?.cacheDir
  return settings
}

module.exports = { OPTIONS, readSettings }
