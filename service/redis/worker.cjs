'use strict'
// `pose4d worker`: an engine that works off what the services accepted, until it is told to stop.

const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { invalid } = require('../../lib/errors.cjs')
const { cacheRoot } = require('../../lib/runtime.cjs')
const { makeEngine } = require('../engines.cjs')
const { Roots } = require('../paths.cjs')
const { Finder, FIND_ATTEMPTS } = require('./find.cjs')
const { Queues } = require('./queues.cjs')
const { Shards } = require('./shards.cjs')
const { RedisStore } = require('./store.cjs')
const { Tracker } = require('./track.cjs')

const ROLES = ['all', 'find', 'track']
/** Milliseconds from one look for orders that were lost to the next. */
const SWEEP_MS = 15_000
/** Milliseconds that a worker has to give back what it is at. */
const DRAIN_MS = 15_000
/** Seconds without a sign of life after which a worker's orders are given to others. */
const STALLED_S = 30

/** Roots that also tell of a file. */
class WorkerRoots extends Roots {
  async stat(name, code) {
    const file = await this.toRead(name, code)
    return { path: file, stat: fs.statSync(file) }
  }
}

class Worker {
  #settings
  #log
  #store
  #queues
  #engine
  #lines = []
  #stop = new AbortController()
  #sweeper

  /**
   * `{ redis, prefix, role, concurrency, roots, dataDir, engine, engineConfig, legacyNames, stalledSeconds,
   * shardFrames, log }`;
   * an engine that is given is not closed.
   */
  constructor({ log, role = 'all', concurrency = 1, stalledSeconds = STALLED_S, ...settings }) {
    if (!ROLES.includes(role)) throw invalid(`role must be one of ${ROLES.join(', ')}`)
    const dataDir = settings.dataDir ?? path.join(cacheRoot(), 'pose4d', 'service')
    this.#settings = { ...settings, role, concurrency, stalledSeconds, dataDir }
    this.#log = log
    const { redis: url, prefix } = settings
    this.#store = new RedisStore({ url, prefix, log, patient: true })
  }

  /** Resolves once it takes orders; throws where Redis or the model are not there. */
  async start() {
    const { engine, engineConfig, legacyNames } = this.#settings
    await this.#store.open(this.#log)
    this.#queues = new Queues(this.#store, this.#log)
    this.#engine = engine ?? (await makeEngine(engineConfig, { legacyNames }))
    const report = await this.#engine.warmup()
    if (report.status === 'error') throw invalid(`the model cannot be used: ${report.message}`)
    this.#open()
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    await this.#sweep()
    const { role, concurrency } = this.#settings
    this.#log.info({ role, concurrency }, `at work for ${this.#store.place}`)
  }

  #open() {
    const { role, roots = [], dataDir } = this.#settings
    const parts = {
      ...{ store: this.#store, queues: this.#queues, engine: this.#engine },
      roots: new WorkerRoots([...roots, dataDir]),
      shards: new Shards(this.#settings.shardFrames),
    }
    if (role !== 'track') {
      const finder = new Finder(parts)
      this.#line('find', (job, { signal, log }) => {
        const last = job.attemptsMade + 1 >= FIND_ATTEMPTS
        return finder.run(job.data, { signal, log, last })
      })
    }
    if (role !== 'find') {
      const tracker = new Tracker(parts)
      this.#line('track', (job, context) => tracker.run(job.data, context))
    }
  }

  /** One of BullMQ's workers; `work` resolves to true where the order goes back into the line. */
  #line(name, work) {
    const bullmq = require('bullmq')
    const { signal } = this.#stop
    const again = async (job, token) => {
      await job.moveToWait(token)
      throw new bullmq.WaitingError()
    }
    const process = async (job, token) => {
      const log = this.#log.child?.({ job: job.data.id, shard: job.data.shard }) ?? this.#log
      const done = await work(job, { signal, log }).catch((error) => {
        if (signal.aborted) return true
        throw error
      })
      if (done === true) await again(job, token)
    }
    const { concurrency, stalledSeconds } = this.#settings
    const line = new bullmq.Worker(name, process, {
      ...{ connection: this.#store.client, prefix: this.#store.prefix, concurrency },
      lockDuration: stalledSeconds * 1000,
      stalledInterval: stalledSeconds * 1000,
      // Deaths are counted where they are told apart from progress.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      skipVersionCheck: true,
    })
    line.on('error', (error) => this.#log.debug({ err: error }, 'worker'))
    line.on('failed', (_, error) => this.#log.debug({ err: error }, 'order failed'))
    line.on('stalled', (id) => this.#log.warn({ order: id }, 'a worker died at this order'))
    this.#lines.push(line)
  }

  /** Clips whose order was lost. */
  async #sweep() {
    try {
      for (const id of await this.#store.unfinished()) await this.#queues.follow(id)
    } catch (error) {
      this.#log.warn({ err: error }, 'orders could not be looked through')
    }
  }

  /** What is at work goes back into the line, as far as it is stored. */
  async stop() {
    clearInterval(this.#sweeper)
    this.#stop.abort(new Error('the worker is shutting down'))
    const given = Promise.allSettled(this.#lines.map((line) => line.close())).then(() => true)
    // While Redis is away nothing can be given back; whoever finds it stalled goes on with it.
    const back = await Promise.race([given, sleep(DRAIN_MS, false, { ref: false })])
    if (!back) this.#log.warn('what was at work could not be given back')
    if (back) await this.#queues?.close()
    await this.#store.close()
    if (!this.#settings.engine) await this.#engine?.close()
  }
}

module.exports = { ROLES, Worker }
