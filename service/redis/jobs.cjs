'use strict'
// Video jobs of a service that leaves the work to others: accepted into Redis, and what came of them.

const { randomUUID } = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')
const path = require('node:path')
const { Pose4DError } = require('../../lib/errors.cjs')
const { jobsFull, shuttingDown } = require('../errors.cjs')
const { JobFiles } = require('../jobs/files.cjs')
const { Queues } = require('./queues.cjs')
const { RedisStore } = require('./store.cjs')

const DAY = 86_400
const TIDY_MS = 3_600_000
const SWEEP_MS = 15_000
/** Milliseconds between two looks at a job that somebody waits for. */
const PAUSE = { first: 50, most: 1000 }

const now = () => Date.now() / 1000

class RedisJobs {
  #settings
  #log
  #files
  #store
  #queues
  #stopping = false
  #timers = []
  /** As last told by Redis: answered with while it is away. */
  #counts = { queued: 0, processing: 0, complete: 0, error: 0 }
  #depths = {}

  constructor({ settings, log }) {
    this.#settings = settings
    this.#log = log
    this.#files = this.#makeFolders()
    this.#store = new RedisStore({ url: settings.redis, log })
  }

  #makeFolders() {
    try {
      return new JobFiles(this.#settings)
    } catch (error) {
      throw new Pose4DError(
        'ERR_POSE4D_CACHE_IO',
        `Uploads are kept in ${this.#settings.dataDir}, which cannot be written: ${error.message}. Give another dataDir, or jobs: false.`,
        { cause: error },
      )
    }
  }

  /** Throws `ERR_POSE4D_REDIS` where Redis is not there. */
  async open() {
    await this.#store.open(this.#log)
    this.#queues = new Queues(this.#store, this.#log)
  }

  measure() {}

  start() {
    this.#timers.push(
      setInterval(() => this.#quietly(() => this.#tidy()), TIDY_MS).unref(),
      setInterval(() => this.#quietly(() => this.#sweep()), SWEEP_MS).unref(),
    )
    this.#quietly(() => this.#tidy())
    this.#quietly(() => this.#sweep())
  }

  #quietly(work) {
    work().catch((error) =>
      this.#log.warn({ err: error }, 'video jobs could not be looked through'),
    )
  }

  async counts() {
    this.#counts = await this.#store.counts().catch(() => this.#counts)
    return this.#counts
  }

  /** Orders to workers, by line. */
  async depths() {
    this.#depths = await this.#queues.depths().catch(() => this.#depths)
    return this.#depths
  }

  get(id) {
    return this.#store.get(id)
  }

  ahead(job) {
    return this.#store.ahead(job)
  }

  results(id) {
    return this.#store.results(id)
  }

  result(id, i) {
    return this.#store.result(id, i)
  }

  async checkRoom() {
    if (this.#stopping) throw shuttingDown()
    const { queued } = await this.#store.counts()
    if (queued >= this.#settings.maxJobs) throw jobsFull(queued)
  }

  upload(name) {
    return this.#files.upload(name)
  }

  /** Once this resolves, the job will be done, whatever happens to this process. */
  async add({ id = randomUUID(), kind, video, name, uploaded = false, options = {} }) {
    await this.checkRoom()
    const files = this.#settings.dataDir
    await this.#store.add({ id, kind, video, name, uploaded, options, created: now(), files })
    // Where this fails, the next sweep of anybody does it.
    await this.#queues.follow(id).catch((error) => this.#log.warn({ err: error }, 'no order given'))
    this.#log.info({ job: id, kind }, 'video job accepted')
    return this.#store.get(id)
  }

  /** The job once it has ended, or as it is when `signal` is aborted. */
  async ended(id, signal) {
    for (let pause = PAUSE.first; ; pause = Math.min(2 * pause, PAUSE.most)) {
      const job = await this.#store.get(id)
      if (!job || !['queued', 'processing'].includes(job.status) || signal.aborted) return job
      await sleep(pause, undefined, { signal }).catch(() => {})
    }
  }

  /** Whoever is at work on it notices within a second. */
  async remove(id) {
    const job = await this.#store.get(id)
    if (!job) return false
    await this.#store.remove(id)
    this.#files.remove(job)
    return true
  }

  async #tidy() {
    const old = now() - this.#settings.keepJobsDays * DAY
    for (const job of await this.#store.endedBefore(old)) await this.remove(job.id)
    await this.#files.tidy((file) => this.#store.has(path.parse(file).name))
  }

  /** Jobs whose order was lost, as between being accepted and a kill. */
  async #sweep() {
    for (const id of await this.#store.unfinished()) await this.#queues.follow(id)
  }

  async stop() {
    this.#stopping = true
    for (const timer of this.#timers) clearInterval(timer)
  }

  async close() {
    await this.#queues?.close()
    await this.#store.close()
  }
}

module.exports = { RedisJobs }
