'use strict'
// What is counted and timed, as Prometheus reads it.

const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = require('prom-client')

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const FRAMES = [1, 2, 4, 8, 16, 32, 64, 128, 256]

class Metrics {
  #registry = new Registry()
  #frames
  #persons
  #stages
  #batches
  #requests

  /** `{ host, queue, jobs }`: what is asked when somebody reads. */
  constructor(sources) {
    const shared = { registers: [this.#registry] }
    collectDefaultMetrics({ register: this.#registry })
    this.#frames = new Counter({
      ...shared,
      name: 'pose4d_frames_total',
      help: 'Frames answered, by error code (none: it went well)',
      labelNames: ['code'],
    })
    this.#persons = new Counter({
      ...shared,
      name: 'pose4d_persons_total',
      help: 'Persons in results, by source',
      labelNames: ['source'],
    })
    this.#stages = new Histogram({
      ...shared,
      name: 'pose4d_stage_seconds',
      help: 'Time a frame took in each stage of the engine',
      labelNames: ['stage'],
      buckets: SECONDS,
    })
    this.#batches = new Histogram({
      ...shared,
      name: 'pose4d_batch_frames',
      help: 'Frames in one call of the engine',
      buckets: FRAMES,
    })
    this.#requests = new Histogram({
      ...shared,
      name: 'pose4d_request_seconds',
      help: 'Requests, from the head to the last byte of the answer',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS,
    })
    this.#gauges(sources, shared)
  }

  #gauges({ host, queue, jobs }, shared) {
    const gauge = (name, help, read) =>
      new Gauge({
        ...shared,
        name,
        help,
        collect() {
          this.set(read() ?? 0)
        },
      })
    gauge('pose4d_ready', '1 once a frame has gone through', () => Number(host.status === 'ready'))
    gauge('pose4d_queue_depth', 'Requests that wait', () => queue.length)
    gauge('pose4d_queue_active', 'Requests at work', () => queue.active)
    gauge('pose4d_engine_queued_frames', 'Frames the engine has taken and not answered', () => {
      return host.health()?.queuedFrames
    })
    const tables = [
      ['pose4d_memory_bytes', 'Memory of process and machine', 'kind', () => host.health()?.memory],
      ['pose4d_jobs', 'Video jobs by state', 'status', () => jobs?.counts()],
      [
        'pose4d_worker_queue_depth',
        'Orders to `pose4d worker` that wait or are at work: clips to follow, shards to find people in',
        'queue',
        () => jobs?.depths?.(),
      ],
    ]
    for (const [name, help, label, read] of tables)
      new Gauge({
        ...shared,
        name,
        help,
        labelNames: [label],
        async collect() {
          const values = Object.entries((await read()) ?? {})
          for (const [key, value] of values) this.set({ [label]: key }, value)
        },
      })
  }

  /** Of one call of the engine. */
  frames(results) {
    this.#batches.observe(results.length)
    for (const result of results) {
      this.#frames.inc({ code: result.errorCode ?? 'none' })
      for (const { source } of result.persons) this.#persons.inc({ source })
      for (const [stage, ms] of Object.entries(result.timings ?? {}))
        this.#stages.observe({ stage }, ms / 1000)
    }
  }

  request(method, route, status, seconds) {
    this.#requests.observe({ method, route, status }, seconds)
  }

  get contentType() {
    return this.#registry.contentType
  }

  text() {
    return this.#registry.metrics()
  }

  close() {
    this.#registry.clear()
  }
}

module.exports = { Metrics }
