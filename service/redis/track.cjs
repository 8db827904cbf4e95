'use strict'
// One clip: followed in order from where the last worker stored it, its results into Redis. It is the same work
// as on one machine (service/jobs/run.cjs), but that others have looked at the frames.

const { randomUUID } = require('node:crypto')
const fs = require('node:fs')
const { Pose4DError } = require('../../lib/errors.cjs')
const { VIDEO_NOT_FOUND } = require('../../lib/video/errors.cjs')
const { WORKER, classify } = require('../errors.cjs')
const { outputOf } = require('../jobs/files.cjs')
const { runJob } = require('../jobs/run.cjs')
const { Looks } = require('./looks.cjs')
const { ConflictError, LostError } = require('./store.cjs')

/**
 * A clip at which workers died so often, with nothing stored in between, is the cause; more often than at one shard,
 * since who finds may be the same process.
 */
const MOST_DEATHS = 20
/** Milliseconds from one look at whether the job is still wanted, and ours, to the next. */
const WATCH_MS = 1000

class Tracker {
  #store
  #queues
  #engine
  #roots
  #shards

  constructor({ store, queues, engine, roots, shards }) {
    this.#store = store
    this.#queues = queues
    this.#engine = engine
    this.#roots = roots
    this.#shards = shards
  }

  /** True where it is to be put into the line again. */
  async run({ id }, { signal, log }) {
    const mine = await this.#store.claim(id, randomUUID())
    const job = await mine?.get()
    if (!job) return false
    const own = new AbortController()
    const watch = this.#watch(mine, own)
    const either = AbortSignal.any([signal, own.signal])
    try {
      await this.#follow(mine, job, { signal: either, log })
      log.info('video job done')
    } catch (error) {
      return await this.#failed(mine, job, error, { stopping: signal.aborted, own, log })
    } finally {
      clearInterval(watch)
    }
    return false
  }

  #watch(mine, own) {
    const look = async () => {
      if (await mine.holds()) return
      own.abort(new LostError('the job was removed, or another worker follows it'))
    }
    return setInterval(() => look().catch(() => {}), WATCH_MS)
  }

  async #follow(mine, job, { signal, log }) {
    const { id } = job
    if (job.attempts > MOST_DEATHS)
      throw new Pose4DError(
        WORKER,
        `Workers died ${MOST_DEATHS} times at the same place of this video; it is not tried again.`,
      )
    const engine = this.#engine
    const key = engine.lookKey
    const video = await this.#roots.toRead(job.video, VIDEO_NOT_FOUND)
    const output =
      job.kind === 'process' ? await this.#roots.toWrite(outputOf(job.files, id)) : undefined
    const shards = this.#shards
    const openLooks = async (reading) => {
      mine.shardOf = ({ frameNumber }) => shards.of(frameNumber, reading.sampling)
      await mine.set(id, { look_key: key, floor: shards.at(reading.done) })
      const way = { store: this.#store, queues: this.#queues, shards, id, key, log, signal }
      return new Looks(way, reading)
    }
    const context = { engine, store: mine, job: { ...job, video }, signal, output }
    await runJob({ ...context, onResults: () => {}, openLooks })
    const { modelVersion = null } = engine.health()
    await mine.end({ status: 'complete', model_version: modelVersion })
  }

  async #failed(mine, job, error, { stopping, own, log }) {
    if (stopping) {
      await mine.release().catch((why) => log.warn({ err: why }, 'the job could not be given back'))
      return true
    }
    if (error instanceof ConflictError) {
      log.warn(error.message)
      await mine.release()
      return true
    }
    if (error instanceof LostError || own.signal.aborted) {
      log.warn((own.signal.reason ?? error).message)
      if (!(await this.#store.has(job.id))) this.#removeFiles(job)
      return false
    }
    const { code, status, message } = classify(error)
    if (status >= 500) log.error({ err: error, code }, 'video job failed')
    else log.warn({ code }, `video job failed: ${message}`)
    // Where uploads lie is nobody's business.
    const told = message.replaceAll(job.video, job.name)
    await mine.end({ status: 'error', error: told, error_code: code })
    return false
  }

  /** Of a job that was removed while it was drawn. */
  #removeFiles({ id, files }) {
    const output = outputOf(files, id)
    for (const file of [output, output.replace(/\.mp4$/, '.part.mp4')])
      fs.rmSync(file, { force: true })
  }
}

module.exports = { Tracker }
