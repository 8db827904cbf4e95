'use strict'
// Who may ask, and how fast they must: token, host and origin of a request; bodies that drip.

const { createHash, timingSafeEqual } = require('node:crypto')
const { isIP } = require('node:net')
const { Pose4DError } = require('../lib/errors.cjs')
const { BODY_TOO_SLOW, FORBIDDEN, UNAUTHORIZED, serviceError } = require('./errors.cjs')

/** How often the bytes of a body are counted, ms. */
const LOOK_MS = 1000
/** Seconds that a body may rest before its rate counts. */
const GRACE = 10

const digest = (text) => createHash('sha256').update(text).digest()

/** The name in a Host header, without its port. */
function hostName(header) {
  const [, name] = /^(\[[^\]]+\]|[^:]*)(?::\d+)?$/.exec(header ?? '') ?? []
  return name?.replace(/^\[|\]$/g, '').toLowerCase()
}

const isLoopback = (address = '') => /^(::ffff:)?127\.|^::1$/.test(address)

/** A check of `Authorization: Bearer …` in a time that tells nothing. */
function tokenCheck(token) {
  if (token === undefined) return () => {}
  const expected = digest(token)
  return ({ headers, routeOptions }) => {
    if (routeOptions.config?.open) return
    const [, given = ''] = /^Bearer +(.+)$/i.exec(headers.authorization ?? '') ?? []
    if (timingSafeEqual(digest(given), expected)) return
    throw serviceError(
      UNAUTHORIZED,
      'This service asks for a token: send the header `Authorization: Bearer <token>`.',
      { headers: { 'www-authenticate': 'Bearer' } },
    )
  }
}

/**
 * Without a token, a service on the loopback address is open to every program of this machine, so web
 * pages must be kept out: those that point a name of their own here (Host), and those that post from
 * elsewhere (Origin).
 */
function pageCheck({ token, hosts, origins }) {
  const known = new Set(hosts.map((host) => host.toLowerCase()))
  const trusted = new Set(origins)
  return ({ headers, socket }) => {
    const host = hostName(headers.host)
    const local = host === undefined || host === 'localhost' || isIP(host) > 0
    if (token === undefined && isLoopback(socket.localAddress) && !local && !known.has(host))
      throw new Pose4DError(
        FORBIDDEN,
        `This service is not known as ${host}: name it with the option hosts, or set a token.`,
      )
    const { origin } = headers
    if (origin === undefined || trusted.has(origin)) return
    let from
    try {
      from = new URL(origin).host
    } catch {}
    if (from !== undefined && from === headers.host) return
    throw new Pose4DError(
      FORBIDDEN,
      `Pages of ${origin} may not ask this service: name them with the option origins.`,
    )
  }
}

/**
 * Ends connections whose body does not come: in all within `limitMs`, and after a while no slower than
 * `minBytesPerSecond`. Before the body ends nobody else would.
 */
function watchBody(request, reply, { limitMs, minBytesPerSecond }) {
  const { raw } = request
  if (raw.complete || !raw.socket?.bytesRead) return
  const began = performance.now()
  const first = raw.socket.bytesRead
  const tooSlow = () => {
    const seconds = (performance.now() - began) / 1000
    const bytes = raw.socket.bytesRead - first
    return seconds * 1000 > limitMs || (seconds > GRACE && bytes / seconds < minBytesPerSecond)
  }
  const timer = setInterval(
    () => {
      if (raw.complete) return clearInterval(timer)
      if (!tooSlow()) return
      clearInterval(timer)
      const error = new Pose4DError(BODY_TOO_SLOW, 'The request came too slowly and was cut off.')
      if (reply.sent || reply.raw.headersSent) return raw.destroy()
      reply.header('connection', 'close').send(error)
      reply.raw.once('finish', () => raw.destroy())
    },
    Math.min(LOOK_MS, limitMs),
  ).unref()
  const stop = () => clearInterval(timer)
  raw.once('end', stop)
  raw.once('close', stop)
}

/** Aborted when the client goes away before its answer is out. */
function goneSignal(reply) {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished)
      gone.abort(new Pose4DError('ERR_POSE4D_ABORTED', 'The client went away.'))
  })
  return gone.signal
}

module.exports = { goneSignal, hostName, pageCheck, tokenCheck, watchBody }
