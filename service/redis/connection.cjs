'use strict'
// Connections to Redis: addresses checked, passwords never told, and words for when it is away.

const { Pose4DError, invalid } = require('../../lib/errors.cjs')
const { REDIS } = require('../errors.cjs')

/** Of all keys. In braces, so that a cluster keeps them together. */
const PREFIX = '{pose4d}'
/** Milliseconds from one attempt to connect to the next, at most. */
const MOST_PAUSE = 2000
/** Attempts that a request waits for. */
const PATIENCE = 3
/** Milliseconds for the first answer. */
const FIRST_ANSWER = 10_000

/** A `redis://` or `rediss://` address; throws `ERR_POSE4D_INVALID_ARGUMENT`. */
function readAddress(text) {
  const form = 'redis://[user:password@]host[:port][/number], or rediss:// with TLS'
  const address = URL.canParse(text) ? new URL(text) : undefined
  if (!address || !['redis:', 'rediss:'].includes(address.protocol) || !address.hostname)
    throw invalid(`the address of Redis must be ${form}`)
  return address
}

/** Without user and password. */
const placeOf = (text) => {
  const { protocol, host, pathname } = readAddress(text)
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`
}

/** What ioredis and Redis say, as an error of ours; others as they are. */
function explain(error, place) {
  if (error instanceof Pose4DError) return error
  const { name = '', message = '', code = '' } = error ?? {}
  const away =
    name === 'MaxRetriesPerRequestError' ||
    /^E(CONN|NOTFOUND|PIPE|HOST|TIMEDOUT|AI_AGAIN)/.test(code) ||
    /Connection is closed|Stream isn't writeable/.test(message)
  const told = away
    ? `Redis at ${place} cannot be reached${code ? ` (${code})` : ''}. Is it running, and is the address right?`
    : `Redis at ${place} refused: ${message}`
  return new Pose4DError(REDIS, told, { cause: error })
}

/**
 * A client of ioredis. `patient`: commands wait until Redis is back, as workers do; otherwise they fail after a
 * few attempts.
 */
function connect(url, { log, patient }) {
  const { Redis } = require('ioredis')
  const place = placeOf(url)
  const client = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: patient ? null : PATIENCE,
    retryStrategy: (times) => Math.min(100 * times, MOST_PAUSE),
  })
  let away = false
  client.on('error', (error) => {
    if (!away) log.warn({ code: error.code }, `Redis at ${place} is away: ${error.message}`)
    away = true
  })
  client.on('ready', () => {
    if (away) log.info(`Redis at ${place} is back`)
    away = false
  })
  return client
}

/** Throws `ERR_POSE4D_REDIS` where it does not answer as it should. */
async function greet(client, place) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      reject,
      FIRST_ANSWER,
      Object.assign(new Error('late'), { code: 'ETIMEDOUT' }),
    )
  })
  const failed = new Promise((_, reject) => client.once('error', reject))
  failed.catch(() => {})
  try {
    await Promise.race([client.connect().then(() => client.ping()), failed, late])
  } catch (error) {
    client.disconnect()
    throw explain(error, place)
  } finally {
    clearTimeout(timer)
  }
}

module.exports = { PREFIX, connect, explain, greet, placeOf, readAddress }
