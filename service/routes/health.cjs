'use strict'
// Is it there, is it ready, how busy is it: /health, /warmup, /api/pose/health, /api/pose/pool-status,
// /metrics.

const { version } = require('../../package.json')
const { ref, text } = require('../schemas/build.cjs')

/** Requests that wait, from which on the service calls itself degraded, as the old one did. */
const DEGRADED = 10

const seconds = () => Date.now() / 1000

/** What the endpoints say of the engine. */
const stateOf = (host) => ({
  device: host.health()?.device ?? null,
  loaded: host.status === 'ready',
  onCard: Boolean(host.health()?.device?.startsWith('cuda')),
  problem: host.error?.message ?? null,
})

const jobCounts = async (jobs) => ({
  ...{ queued: 0, processing: 0, complete: 0, error: 0 },
  ...(await jobs?.counts()),
})

const answer = (name, description = 'State') => ({ description, schema: ref(name) })

const healthRoute = ({ host }) => ({
  method: 'GET',
  url: '/health',
  config: { open: true },
  schema: {
    operationId: 'health',
    tags: ['service'],
    summary: 'Alive, and whether models are loaded',
    description: 'Always 200 while the process answers; /api/pose/health is 503 until it is ready.',
    response: { 200: answer('Health') },
  },
  handler: async () => {
    const models = host.models()
    const { device, loaded, problem } = stateOf(host)
    return {
      status: host.status,
      service: 'pose4d',
      version,
      hybrid_available: problem === null,
      models,
      ready: loaded,
      device,
      model_version: host.health()?.modelVersion ?? null,
      vitdet_available: models.vitdet === 'loaded',
      error: problem,
      timestamp: seconds(),
    }
  },
})

const warmupRoute = ({ host }) => ({
  method: ['GET', 'POST'],
  url: '/warmup',
  schema: {
    operationId: 'warmup',
    tags: ['service'],
    summary: 'Load the models now, and send a frame through',
    response: { 200: answer('Warmup', 'Ready, or in part') },
  },
  handler: async (_, reply) => {
    const report = await host.warmup()
    if (report.status === 'error') reply.code(503)
    return warmupAnswer(report)
  },
})

const poseHealthRoute = ({ host, queue, jobs }) => ({
  method: 'GET',
  url: '/api/pose/health',
  config: { open: true },
  schema: {
    operationId: 'poseHealth',
    tags: ['service'],
    summary: 'Ready to work: 503 until a frame has gone through',
    response: { 200: answer('PoseHealth', 'Ready'), 503: answer('PoseHealth', 'Not ready yet') },
  },
  handler: async (_, reply) => {
    const { device, loaded, onCard, problem } = stateOf(host)
    const { processing } = await jobCounts(jobs)
    const waiting = problem ? 'error' : 'initializing'
    const working = queue.length > DEGRADED ? 'degraded' : 'healthy'
    if (!loaded) reply.code(503)
    return {
      status: loaded ? working : waiting,
      timestamp: seconds(),
      models_loaded: loaded,
      gpu_available: onCard,
      device,
      models: Object.fromEntries(
        Object.entries(host.models()).map(([name, state]) => [name, state === 'loaded']),
      ),
      pool: {
        gpu_busy: queue.active + processing > 0,
        queue_length: queue.length,
        active_jobs: queue.active + processing,
      },
      error: problem,
    }
  },
})

const poolStatusRoute = ({ host, queue, jobs }) => ({
  method: 'GET',
  url: '/api/pose/pool-status',
  schema: {
    operationId: 'poolStatus',
    tags: ['service'],
    summary: 'How busy it is',
    response: { 200: answer('PoolStatus', 'Numbers') },
  },
  handler: async () => {
    const { device, loaded, onCard } = stateOf(host)
    const { queued, processing, complete, error } = await jobCounts(jobs)
    return {
      timestamp: seconds(),
      pool: {
        gpu_busy: queue.active + processing > 0,
        max_workers: queue.concurrency,
        active_workers: queue.active,
        available_workers: queue.concurrency - queue.active,
      },
      queue: {
        length: queue.length,
        max_length: queue.maxQueue,
        estimated_wait_time_seconds: queue.waitSeconds,
      },
      jobs: {
        total: queued + processing + complete + error,
        queued,
        processing,
        completed: complete,
        failed: error,
      },
      system: { device, gpu_available: onCard, models_loaded: loaded },
    }
  },
})

const metricsRoute = ({ metrics }) => ({
  method: 'GET',
  url: '/metrics',
  schema: {
    operationId: 'metrics',
    tags: ['service'],
    summary: 'For Prometheus',
    response: {
      200: { description: 'Exposition format', contentType: 'text/plain', schema: text('Lines') },
    },
  },
  handler: async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()),
})

const ROUTES = [healthRoute, warmupRoute, poseHealthRoute, poolStatusRoute, metricsRoute]

const healthRoutes = (app, parts) => {
  for (const route of ROUTES) app.route(route(parts))
}

/** A report of the engine in the old service's words. */
function warmupAnswer({ status, message, models }) {
  const nothing = { status: 'not_loaded', load_time_seconds: 0 }
  const networks = Object.entries(models).map(([name, model]) => [
    name,
    {
      status: model.status,
      load_time_seconds: Math.round(model.loadTimeSeconds * 100) / 100,
      message: model.message,
    },
  ])
  return { status, message, hmr2: nothing, vitdet: nothing, ...Object.fromEntries(networks) }
}

module.exports = healthRoutes
