'use strict'
// Puts the service together: fastify with its limits, checks, error answers and routes.

const { randomUUID } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const multipart = require('@fastify/multipart')
const fastify = require('fastify')
const { answerError, notFound } = require('./failures.cjs')
const { EngineHost } = require('./host.cjs')
const { Frames } = require('./frames.cjs')
const { goneSignal, pageCheck, tokenCheck, watchBody } = require('./guard.cjs')
const { Jobs } = require('./jobs/jobs.cjs')
const { RedisJobs } = require('./redis/jobs.cjs')
const { Metrics } = require('./metrics.cjs')
const { OpenApi } = require('./openapi.cjs')
const { Roots } = require('./paths.cjs')
const { FairQueue } = require('./queue.cjs')
const { Pose4DError } = require('../lib/errors.cjs')
const { SHUTTING_DOWN } = require('./errors.cjs')
const descriptionRoutes = require('./routes/description.cjs')
const healthRoutes = require('./routes/health.cjs')
const modelsRoutes = require('./routes/models.cjs')
const poseRoutes = require('./routes/pose.cjs')
const videoRoutes = require('./routes/video.cjs')
const { readSettings } = require('./settings.cjs')

const ROUTES = [healthRoutes, poseRoutes, modelsRoutes, videoRoutes, descriptionRoutes]
/** A body that is no picture and no video. */
const SMALL_BODY = 64 * 1024
const IDLE_MS = 60_000
const REQUEST_ID = /^[\w.:-]{1,128}$/

/** ajv takes bodies as they are: the old service did not turn "5" into 5 either. */
const AJV = {
  customOptions: {
    coerceTypes: false,
    removeAdditional: false,
    allowUnionTypes: true,
    strict: false,
  },
}

function loggerOption(logger) {
  if (typeof logger?.info === 'function') return { loggerInstance: logger }
  return { logger: logger === true ? { level: 'info' } : logger }
}

function makeFastify(settings, openApi) {
  const app = fastify({
    ...loggerOption(settings.logger),
    logController: new fastify.LogController({ disableRequestLogging: true }),
    requestIdHeader: false,
    genReqId: ({ headers }) =>
      REQUEST_ID.test(headers['x-request-id'] ?? '') ? headers['x-request-id'] : randomUUID(),
    bodyLimit: SMALL_BODY,
    ajv: AJV,
    // Addresses that fastify itself cannot read.
    frameworkErrors: answerError(openApi),
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
    requestTimeout: 0,
    // Of a connection on which nothing moves: longer than anybody waits for an answer.
    connectionTimeout: settings.timeoutMs + IDLE_MS,
    http: { headersTimeout: settings.headerTimeoutMs, connectionsCheckingInterval: 2000 },
  })
  app.server.maxConnections = settings.maxConnections
  app.server.headersTimeout = settings.headerTimeoutMs
  app.setSerializerCompiler(() => JSON.stringify)
  parseJson(app)
  return app
}

/** An empty body with a JSON head is no body: axios sends such. */
function parseJson(app) {
  app.removeContentTypeParser('text/plain')
  const parse = app.getDefaultJsonParser('error', 'error')
  // Decoded in one piece: large bodies are slow to put together from texts.
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) =>
    body.length === 0 ? done(null, undefined) : parse(request, body.toString(), done),
  )
}

/** What every request passes, and the line that it leaves in the log. */
function addHooks(app, { settings, metrics, drain }) {
  const checks = [tokenCheck(settings.token), pageCheck(settings)]
  app.decorateRequest('gone', null)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    for (const check of checks) check(request)
    const { upload } = request.routeOptions.config
    watchBody(request, reply, {
      limitMs: upload ? settings.uploadTimeoutMs : settings.bodyTimeoutMs,
      minBytesPerSecond: settings.minBytesPerSecond,
    })
    request.gone = AbortSignal.any([goneSignal(reply), drain.signal])
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown'
    const ms = Math.round(reply.elapsedTime * 10) / 10
    metrics.request(request.method, route, reply.statusCode, reply.elapsedTime / 1000)
    const line = { method: request.method, route, status: reply.statusCode, ms, ip: request.ip }
    request.log.info({ ...line, ...request.logFields }, 'request')
  })
  app.decorateRequest('logFields', null)
}

/** Accepted work is finished within `drainMs`; what is not done then is given up. */
function addShutdown(app, { settings, queue, jobs, host, metrics, drain }) {
  app.addHook('preClose', async () => {
    queue.close()
    const giveUp = setTimeout(() => {
      drain.abort(new Pose4DError(SHUTTING_DOWN, 'The service shut down before it came to this.'))
    }, settings.drainMs)
    await Promise.all([jobs?.stop(), queue.idle()])
    clearTimeout(giveUp)
  })
  app.addHook('onClose', async () => {
    await jobs?.close()
    await host.close()
    metrics.close()
  })
}

/** The page of another part of the project; without it the description stands at `/`. */
function addPage(app, settings) {
  const file = path.join(__dirname, 'web.cjs')
  if (!settings.web || !fs.existsSync(file)) {
    app.get('/', { config: { open: true } }, (_, reply) => reply.redirect('/openapi.json'))
    return
  }
  app.register(async (part) => {
    part.addHook('onRoute', (route) => {
      route.config = { ...route.config, open: true }
    })
    await require(file).registerWeb(part)
  })
}

/** Worked off here, or left to `pose4d worker`. */
const makeJobs = (parts) => (parts.settings.redis ? new RedisJobs(parts) : new Jobs(parts))

/** Everything behind the routes. */
function makeParts(app, settings, openApi) {
  const host = new EngineHost(settings, app.log)
  const queue = new FairQueue(settings)
  const jobs = settings.jobs ? makeJobs({ settings, host, log: app.log }) : undefined
  const metrics = new Metrics({ host, queue, jobs })
  jobs?.measure(metrics)
  const frames = new Frames({ host, queue, metrics })
  const roots = new Roots(settings.roots)
  return {
    settings,
    host,
    queue,
    jobs,
    metrics,
    frames,
    roots,
    openApi,
    drain: new AbortController(),
  }
}

async function assemble(app, parts) {
  const { settings, openApi, host, jobs } = parts
  app.addHook('onRoute', (route) => openApi.add(route))
  addHooks(app, parts)
  app.setErrorHandler(answerError(openApi))
  app.setNotFoundHandler(notFound(openApi))
  await app.register(multipart, {
    limits: {
      files: 1,
      fields: 16,
      parts: 20,
      fieldSize: SMALL_BODY,
      fileSize: settings.maxVideoBytes,
    },
  })
  for (const addRoutes of ROUTES) addRoutes(app, parts)
  addPage(app, settings)
  addShutdown(app, parts)
  app.addHook('onReady', async () => {
    host.start()
    jobs?.start()
  })
}

/**
 * The service as a fastify instance that does not listen yet.
 * @param {import('./index.d.ts').ServiceOptions} [options]
 */
async function createServer(options) {
  const settings = readSettings(options)
  const openApi = new OpenApi({ secured: settings.token !== undefined })
  const app = makeFastify(settings, openApi)
  const parts = makeParts(app, settings, openApi)
  try {
    await parts.jobs?.open?.()
    await assemble(app, parts)
    return app
  } catch (error) {
    await parts.jobs?.close()
    throw error
  }
}

module.exports = { createServer }
