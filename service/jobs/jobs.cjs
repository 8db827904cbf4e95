'use strict'
// Video jobs: accepted into the store, worked off one after the other, resumed after a restart, kept
// for a while.

const { randomUUID } = require('node:crypto')
const { EventEmitter, once } = require('node:events')
const { Pose4DError } = require('../../lib/errors.cjs')
const { classify, jobsFull, shuttingDown } = require('../errors.cjs')
const { JobFiles } = require('./files.cjs')
const { FolderLock } = require('./lock.cjs')
const { runJob } = require('./run.cjs')
const { JobStore } = require('./store.cjs')

/** A job at which the process died so often is the cause: it is not tried again. */
const MOST_ATTEMPTS = 5
const DAY = 86_400
const TIDY_MS = 3_600_000

const now = () => Date.now() / 1000

class Jobs {
  #settings
  #host
  #log
  #lock
  #files
  #store
  #metrics
  #events = new EventEmitter()
  #stopping = false
  #current
  #loop
  #tidier

  constructor({ settings, host, log }) {
    this.#settings = settings
    this.#host = host
    this.#log = log
    this.#events.setMaxListeners(0)
    this.#lock = this.#takeFolder()
    try {
      this.#store = new JobStore(settings.dataDir)
    } catch (error) {
      this.#lock.release()
      throw error
    }
    const again = this.#store.requeue()
    if (again > 0) log.warn({ jobs: again }, 'video jobs were cut off and go on')
    this.#tidy()
  }

  #takeFolder() {
    const { dataDir } = this.#settings
    try {
      this.#files = new JobFiles(this.#settings)
      return new FolderLock(dataDir)
    } catch (error) {
      if (error instanceof Pose4DError) throw error
      throw new Pose4DError(
        'ERR_POSE4D_CACHE_IO',
        `Video jobs are kept in ${dataDir}, which cannot be written: ${error.message}. Give another dataDir, or jobs: false.`,
        { cause: error },
      )
    }
  }

  measure(metrics) {
    this.#metrics = metrics
  }

  start() {
    this.#tidier = setInterval(() => this.#tidy(), TIDY_MS).unref()
    this.#wake()
  }

  counts() {
    return this.#store.counts()
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

  /** Refuses before an upload is read where it would be refused afterwards. */
  checkRoom() {
    if (this.#stopping) throw shuttingDown()
    const { queued } = this.counts()
    if (queued >= this.#settings.maxJobs) throw jobsFull(queued)
  }

  upload(name) {
    return this.#files.upload(name)
  }

  /** Once this returns, the job will be done, whatever happens to the process. */
  add({ id = randomUUID(), kind, video, name, uploaded = false, options = {} }) {
    this.checkRoom()
    this.#store.add({ id, kind, video, name, uploaded, options, created: now() })
    this.#log.info({ job: id, kind }, 'video job accepted')
    this.#wake()
    return this.#store.get(id)
  }

  /** The job once it has ended, or as it is when `signal` is aborted. */
  async ended(id, signal) {
    for (;;) {
      const job = this.#store.get(id)
      if (!job || !['queued', 'processing'].includes(job.status) || signal.aborted) return job
      await once(this.#events, id, { signal }).catch(() => {})
    }
  }

  #wake() {
    if (this.#loop || this.#stopping) return
    this.#loop = this.#work().finally(() => {
      this.#loop = undefined
    })
  }

  async #work() {
    for (let job = this.#store.next(); job && !this.#stopping; job = this.#store.next()) {
      await this.#run(job)
    }
  }

  async #run(job) {
    const { id } = job
    const log = this.#log.child?.({ job: id }) ?? this.#log
    const stop = new AbortController()
    this.#current = { id, stop }
    try {
      if (job.attempts >= MOST_ATTEMPTS)
        throw new Pose4DError(
          'ERR_POSE4D_INTERNAL',
          `The service ended ${MOST_ATTEMPTS} times while it was at work on this video; it is not tried again.`,
        )
      this.#store.set(id, {
        status: 'processing',
        started: job.started ?? now(),
        attempts: job.attempts + 1,
      })
      const engine = await this.#host.get()
      stop.signal.throwIfAborted()
      const output = this.#files.output(id)
      const onResults = (results) => this.#metrics?.frames(results)
      await runJob({ engine, store: this.#store, job, signal: stop.signal, onResults, output })
      const modelVersion = engine.health().modelVersion ?? null
      this.#end(id, { status: 'complete', model_version: modelVersion })
      log.info('video job done')
    } catch (error) {
      this.#failed(job, error, stop.signal, log)
    } finally {
      this.#current = undefined
      this.#events.emit(id)
    }
  }

  #failed(job, error, signal, log) {
    if (!this.#store.get(job.id)) return
    // Stopped by a shutdown, it waits for the next start, and that was no attempt of its own.
    if (signal.aborted && this.#stopping)
      return this.#store.set(job.id, { status: 'queued', attempts: job.attempts })
    const { code, status, message } = classify(error)
    if (status >= 500) log.error({ err: error, code }, 'video job failed')
    else log.warn({ code }, `video job failed: ${message}`)
    // Where uploads lie is nobody's business.
    const told = message.replaceAll(job.video, job.name)
    this.#end(job.id, { status: 'error', error: told, error_code: code })
  }

  #end(id, changes) {
    this.#store.set(id, { ...changes, finished: now() })
  }

  /** Ends it where it is at work, and forgets it with its files. */
  async remove(id) {
    const job = this.#store.get(id)
    if (!job) return false
    const running = this.#current?.id === id ? this.#current : undefined
    const over = running && once(this.#events, id)
    this.#store.remove(id)
    running?.stop.abort(new Pose4DError('ERR_POSE4D_ABORTED', 'The job was removed.'))
    await over
    this.#files.remove(job)
    this.#events.emit(id)
    return true
  }

  /** Jobs past their time, and files that nobody's job knows. */
  #tidy() {
    const old = now() - this.#settings.keepJobsDays * DAY
    for (const job of this.#store.endedBefore(old)) {
      this.#store.remove(job.id)
      this.#files.remove(job)
    }
    const failed = (error) => this.#log.warn({ err: error }, 'uploads could not be tidied')
    this.#files.tidy((file) => this.#store.knows(file)).catch(failed)
  }

  /** What is at work goes back into the line. */
  async stop() {
    this.#stopping = true
    clearInterval(this.#tidier)
    this.#current?.stop.abort(shuttingDown())
    await this.#loop
  }

  close() {
    this.#store.close()
    this.#lock.release()
  }
}

module.exports = { Jobs }
