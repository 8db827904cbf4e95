'use strict'
// One shard of a video: its frames looked at, the looks into Redis.

const zlib = require('node:zlib')
const { promisify } = require('node:util')
const { VIDEO_NOT_FOUND } = require('../../lib/video/errors.cjs')
const { probeVideo } = require('../../lib/video/probe.cjs')
const { VideoReader } = require('../../lib/video/read.cjs')
const { samplingOf } = require('../jobs/run.cjs')
const { FIND_ATTEMPTS } = require('./queues.cjs')
const { digest } = require('./looks.cjs')

const deflate = promisify(zlib.deflateRaw)

/** Frames handed to the engine in one call, and calls on their way. */
const BATCH = 16
const CALLS = 2
/** A shard at which so many workers died is the cause. */
const MOST_DEATHS = 5

/** What was probed lately: a video is asked about once for many shards. */
class Probes {
  #known = new Map()

  async of(video, stat, signal) {
    const name = `${video}\0${stat.size}\0${stat.mtimeMs}`
    const known = this.#known.get(name)
    if (known) return known
    const info = await probeVideo(video, { signal })
    this.#known.set(name, info)
    if (this.#known.size > 4) this.#known.delete(this.#known.keys().next().value)
    return info
  }
}

/** Batches of frames that follow one another without a gap, each to one call of the engine. */
class Batches {
  #look
  #frames = []
  #underWay = []

  /** `look(frames, index)` of the frames from `index` on. */
  constructor(look) {
    this.#look = look
  }

  async push(frame, index) {
    const [first] = this.#frames
    const full = this.#frames.length === BATCH
    if (first && (full || index !== first.index + this.#frames.length)) await this.#start()
    this.#frames.push({ frame, index })
  }

  async #start() {
    if (this.#underWay.length >= CALLS) await this.#underWay.shift()
    const frames = this.#frames.splice(0)
    const call = this.#look(
      frames.map(({ frame }) => frame),
      frames[0].index,
    )
    // Whoever takes it hears of its failure.
    call.catch(() => {})
    this.#underWay.push(call)
  }

  async end() {
    if (this.#frames.length > 0) await this.#start()
    for (const call of this.#underWay.splice(0)) await call
  }

  /** Nothing is under way any more. */
  async over() {
    await Promise.allSettled(this.#underWay)
  }
}

/** A shard's frames, as whoever reads the whole video has them. */
async function* framesOf(video, info, { start, from, to, every }, signal) {
  const reader = new VideoReader(video, info, { start, every, signal })
  try {
    for await (const frame of reader.frames()) {
      const { frameNumber } = frame
      if (frameNumber >= to) return
      if (frameNumber >= from && frameNumber % every === 0) yield frame
    }
  } finally {
    reader.stop()
  }
}

class Finder {
  #store
  #engine
  #roots
  #shards
  #probes = new Probes()

  constructor({ store, engine, roots, shards }) {
    this.#store = store
    this.#engine = engine
    this.#roots = roots
    this.#shards = shards
  }

  /** `last`: it is not tried again after this. Rejects where it failed, or `signal` was aborted. */
  async run({ id, shard }, { signal, last, log }) {
    const begun = await this.#store.beginShard(id, shard)
    if (begun === 0) return
    const poison = begun - 1
    if (poison >= MOST_DEATHS) {
      log.error({ job: id, shard }, `${poison} workers died at this shard: it is not tried again`)
      return this.#store.endShard(id, shard, { poison })
    }
    try {
      const bytes = await this.#find(id, shard, signal)
      if (bytes !== undefined) await this.#store.endShard(id, shard, { bytes })
    } catch (error) {
      await this.#store.giveBackShard(id, shard)
      if (signal.aborted || !last) throw error
      log.warn({ job: id, shard, err: error }, 'finding people failed')
      await this.#store.endShard(id, shard, { failed: error.message })
    }
  }

  /** Bytes of looks; undefined where nobody wants them any more. */
  async #find(id, shard, signal) {
    const job = await this.#store.get(id)
    if (!job) return undefined
    const key = this.#engine.lookKey
    if (job.look_key !== key)
      throw new Error('this worker has another model or other settings than the one that follows')
    const { path: video, stat } = await this.#roots.stat(job.video, VIDEO_NOT_FOUND)
    const info = await this.#probes.of(video, stat, signal)
    const sampling = samplingOf(job.options, info)
    const range = this.#shards.range(shard, info, sampling)
    if (!range) return 0
    const mesh = job.options.mesh ?? true
    let [bytes, wanted] = [0, true]
    const batches = new Batches(async (frames, index) => {
      const looks = await this.#engine.lookAtFrames(frames, { startIndex: index, mesh, signal })
      const entry = async ({ look }, i) => {
        const { frameNumber, timestampMs, pixels } = frames[i]
        const told = { key, index: index + i, timestampMs, digest: digest(pixels) }
        // What is wrong with a frame, whoever follows the clip finds out for himself.
        return [frameNumber, look ? { ...told, look: await deflate(look, { level: 1 }) } : told]
      }
      const put = await this.#store.putLooks(id, shard, await Promise.all(looks.map(entry)))
      bytes += put.bytes
      wanted &&= put.wanted
    })
    try {
      for await (const frame of framesOf(video, info, range, signal)) {
        signal.throwIfAborted()
        if (!wanted) break
        if (!frame.problem) await batches.push(frame, frame.frameNumber / range.every)
      }
      signal.throwIfAborted()
      await batches.end()
    } finally {
      await batches.over()
    }
    return wanted ? bytes : undefined
  }
}

module.exports = { FIND_ATTEMPTS, Finder, framesOf }
