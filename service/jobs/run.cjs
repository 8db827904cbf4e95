'use strict'
// One video job from its first frame that is not done to its end: results into the store, checkpoint by
// checkpoint, then the drawn video.

const fs = require('node:fs/promises')
const { Summary, vertexCount } = require('../../lib/summary.cjs')
const { FFMPEG } = require('../../lib/video/errors.cjs')
const { asFrame, finished } = require('../../lib/video/frames.cjs')
const { VideoOverlay } = require('../../lib/video/overlay.cjs')
const { expectedFrames, probeVideo } = require('../../lib/video/probe.cjs')
const { VideoReader } = require('../../lib/video/read.cjs')
const { keep, resume } = require('./resume.cjs')

/** Frames handed to the engine in one call. */
const BATCH = 8
/** Calls on their way: the next is being decoded and looked at while one is followed. */
const CALLS = 2
/** Frames between two checkpoints. */
const CHECKPOINT = 32

/** Every nth frame, so that at most `maxFrames` are left, spread over the whole. */
function samplingOf({ maxFrames }, info) {
  const total = expectedFrames(info, {})
  if (!maxFrames || !total || total <= maxFrames) return {}
  return { every: Math.ceil(total / maxFrames) }
}

/** Calls on a clip in order, a few at once, and their results in order. */
class Calls {
  #clip
  #options
  #underWay = []
  results = []

  constructor(clip, options) {
    this.#clip = clip
    this.#options = options
  }

  async push(frames) {
    if (this.#underWay.length >= CALLS) await this.#take()
    const call = this.#clip.processFrames(frames.map(asFrame), this.#options)
    // Whoever takes it hears of its failure.
    call.catch(() => {})
    this.#underWay.push({ call, frames })
  }

  async #take() {
    const { call, frames } = this.#underWay.shift()
    const results = await call
    this.results.push(...results.map((result, i) => finished(result, frames[i])))
  }

  async all() {
    while (this.#underWay.length > 0) await this.#take()
    return this.results.splice(0)
  }
}

/**
 * `{ engine, store, job, signal, onResults, output }`; resolves when everything is stored. The store is SQLite's,
 * or one with the same methods that answer later. `openLooks`: where others look at the frames, too, what
 * `Looks` of service/redis/looks.cjs does.
 */
async function runJob(context) {
  const { store, job, signal } = context
  const info = await probeVideo(job.video, { signal })
  const sampling = samplingOf(job.options, info)
  const { stream, ...told } = info
  const total = expectedFrames(info, sampling)
  await store.set(job.id, { info: told, frames_total: total ?? null })
  const reader = new VideoReader(job.video, info, { ...sampling, signal })
  await readThrough(context, { reader, info, sampling, total })
  if (reader.ending?.code === FFMPEG) throw reader.ending
  const warning = reader.ending?.message ?? null
  const summary = await summaryOf(context, warning === null)
  await store.set(job.id, { warning, summary })
  if (job.kind === 'process') await draw(context, info, sampling)
  await store.dropSnapshot(job.id)
}

/** Clips with tracking; people keep their identity. */
async function readThrough(context, { reader, info, sampling, total }) {
  const { engine, store, job, signal, onResults, openLooks } = context
  const rate = (info.fps ?? 30) / (sampling.every ?? 1)
  const { clip, done } = await resume(engine, store, job, { fps: rate })
  const looks = await openLooks?.({ info, sampling, total, done })
  const calls = new Calls(clip, { signal, mesh: job.options.mesh ?? true })
  let [seen, stored, batch] = [0, done, []]
  const checkpoint = async (last) => {
    const results = await calls.all()
    if (results.length === 0) return
    await store.append(job.id, stored, results, last ? undefined : await keep(clip))
    stored += results.length
    onResults(results)
  }
  try {
    for await (const frame of reader.frames()) {
      signal.throwIfAborted()
      const index = seen++
      if (index < done) continue
      batch.push(looks ? await looks.with(frame, index) : frame)
      if (batch.length < BATCH) continue
      await calls.push(batch)
      batch = []
      if ((seen - done) % CHECKPOINT === 0) await checkpoint(false)
    }
    signal.throwIfAborted()
    if (batch.length > 0) await calls.push(batch)
    await checkpoint(true)
    await store.set(job.id, { frames_total: stored })
  } finally {
    reader.stop()
    looks?.close()
    // What is under way must be over before anybody closes the engine or takes the next job.
    await calls.all().catch(() => {})
  }
}

/** The coverage certificate of all that is stored. */
async function summaryOf({ engine, store, job }, complete) {
  const mesh = job.options.mesh ?? true
  const vertices = mesh ? () => vertexCount(engine.meshFaces) : undefined
  const summary = new Summary({ vertices })
  for await (const result of store.results(job.id)) {
    summary.take()
    summary.add(result)
  }
  return summary.report({ complete })
}

/** The video again, with what was found; under its final name once it is whole. */
async function draw({ store, job, signal, output }, info, sampling) {
  const draft = output.replace(/\.mp4$/, '.part.mp4')
  const fps = (info.fps ?? 30) / (sampling.every ?? 1)
  const overlay = new VideoOverlay(draft, { fps, timeBase: info.stream.timeBase })
  const reader = new VideoReader(job.video, info, { ...sampling, signal })
  try {
    let i = 0
    for await (const frame of reader.frames()) {
      signal.throwIfAborted()
      const result = await store.result(job.id, i++)
      if (!result) break
      await overlay.write(frame, result)
    }
    signal.throwIfAborted()
  } finally {
    reader.stop()
    await overlay.close()
  }
  if (!overlay.wrote) return
  await fs.rename(draft, output)
  await store.set(job.id, { output })
}

module.exports = { runJob, samplingOf }
