'use strict'
// PoseEngine and PoseClip: the addon's halves, with signals, errors, streams and videos.

const { loadNative } = require('./native.cjs')
const { call } = require('./call.cjs')
const { estimateDepth, streamDepth } = require('./depth.cjs')
const { fromNative, invalid, native } = require('./errors.cjs')
const { readBlazePose } = require('./models.cjs')
const { stream } = require('./stream.cjs')
const { Summary, vertexCount } = require('./summary.cjs')
const { readNote, writeNote } = require('./snapshot.cjs')
const { PoseVideo } = require('./video/video.cjs')

/** Frames on their way in a stream beyond those on the workers: decoded, or waiting for it. */
const READ_AHEAD = 9

const KEY = Symbol('made by pose4d')

function checkKey(key, how) {
  if (key !== KEY) throw new TypeError(`Illegal constructor: use ${how}`)
}

/** What is to be known of a call's frames when its results are there; they may have changed by then. */
function given(frames, fps) {
  if (!Array.isArray(frames)) return []
  return Array.from(frames, (frame) => {
    try {
      const { frameNumber, timestampMs } = frame
      return { frameNumber, timestampMs: timestampMs ?? (1000 * frameNumber) / fps }
    } catch {
      return {}
    }
  })
}

class PoseClip {
  #native
  #settings
  #summary
  /** Of an offline clip: as far as it is revised, and the frames from there on. */
  #settled
  #open = []
  /** Settles when all calls made so far are counted. */
  #counted = Promise.resolve()

  constructor(key, nativeClip, vertices) {
    checkKey(key, 'engine.openClip()')
    const { fps, mesh, tracking, offline } = nativeClip.settings()
    this.#native = nativeClip
    this.#settings = { fps, mesh }
    this.#summary = new Summary({ vertices, tracking })
    if (offline) this.#settled = this.#summary.fork()
    const note = nativeClip.note()
    if (note === null) return
    const { summary, settled, open } = readNote(note, { vertices, tracking })
    this.#summary = summary
    this.#settled &&= settled
    this.#open = open
  }

  /** What calls come to is counted in the order in which they were made; then `count` has its turn. */
  #inOrder(answer, count) {
    const before = this.#counted
    const done = answer.then(async (results) => {
      await before
      return count(results)
    })
    this.#counted = done.then(
      () => before,
      () => before,
    )
    return done
  }

  async processFrames(frames, options) {
    const about = given(frames, this.#settings.fps)
    const mesh = options?.mesh ?? this.#settings.mesh
    const answer = call(options, (job, rest) => this.#native.process(job, frames, rest))
    return this.#inOrder(answer, (results) => {
      this.#summary.addCall(about, results, { mesh })
      if (this.#settled) for (const frame of about) this.#open.push({ ...frame, mesh })
      return results
    })
  }

  async finish(options) {
    const answer = call(options, (job, rest) => this.#native.finish(job, rest))
    return this.#inOrder(answer, (results) => {
      this.#settled.addCall(this.#open, results)
      this.#open = []
      this.#summary = this.#settled.fork()
      return results
    })
  }

  async snapshot(options) {
    const answer = call(options, (job, rest) => this.#native.snapshot(job, rest))
    return this.#inOrder(answer, (bytes) => {
      const note = writeNote({ summary: this.#summary, settled: this.#settled, open: this.#open })
      return native(() => loadNative().binding.sealSnapshot(bytes, note))
    })
  }

  /** Of the calls that were answered; one that rejects leaves no trace in a clip. */
  summary() {
    return this.#summary.report()
  }
}

class PoseEngine {
  #native
  #closing
  /** What stops each video that is on its way. */
  #videos = new Set()
  #faces

  constructor(key, nativeEngine) {
    checkKey(key, 'createEngine()')
    this.#native = nativeEngine
  }

  async processFrames(frames, options) {
    return call(options, (job, rest) => this.#native.process(job, frames, rest))
  }

  async lookAtFrames(frames, options) {
    return call(options, (job, rest) => this.#native.lookAtFrames(job, frames, rest))
  }

  get lookKey() {
    return native(() => this.#native.lookKey())
  }

  openClip(options) {
    const vertices = () => vertexCount(this.meshFaces)
    if (options?.snapshot === undefined || options.snapshot === null) {
      const { snapshot, ...settings } = options ?? {}
      const given = options === undefined || options === null ? options : settings
      return new PoseClip(
        KEY,
        native(() => this.#native.openClip(given)),
        vertices,
      )
    }
    const { snapshot, ...others } = options
    const other = Object.keys(others).find((name) => others[name] !== undefined)
    if (other)
      throw invalid(
        `options.${other}: a clip that goes on from a snapshot has its own settings; leave it out`,
      )
    return new PoseClip(
      KEY,
      native(() => this.#native.resumeClip(snapshot)),
      vertices,
    )
  }

  #stream(frames, options, watch) {
    const usual = this.health().threads + READ_AHEAD
    return stream(this.#native, frames, options, { usual, ...watch })
  }

  stream(frames, options) {
    return this.#stream(frames, options)
  }

  processVideo(path, options) {
    return new PoseVideo(path, options, {
      stream: (frames, rest, watch) => this.#stream(frames, rest, watch),
      vertices: () => vertexCount(this.meshFaces),
      running: this.#videos,
    })
  }

  async estimateDepth(frames, options) {
    return estimateDepth(this.#native, frames, options)
  }

  streamDepth(frames, options) {
    return streamDepth(this.#native, frames, options)
  }

  async warmup(options) {
    return call(options, (job) => this.#native.warmup(job))
  }

  health() {
    return native(() => this.#native.health())
  }

  /** The same array each time. A model that is loaded on demand has it from the first load on. */
  get meshFaces() {
    this.#faces ??= native(() => this.#native.meshFaces())
    return this.#faces ?? null
  }

  /** The SMPL body of one shape in its rest pose; null for a model without one. */
  bodyModel(betas) {
    return native(() => this.#native.bodyModel(betas)) ?? null
  }

  async close() {
    this.#closing ??= this.#native.close()
    for (const stop of this.#videos) stop()
    try {
      await this.#closing
    } catch (error) {
      throw fromNative(error)
    }
  }

  [Symbol.asyncDispose]() {
    return this.close()
  }
}

/** 'blazepose' or '4dhumans': as asked, or by the files that are there. */
async function choose(binding, model, config) {
  if (model !== 'auto') return model
  return (await binding.hasHumans(config)) ? '4dhumans' : 'blazepose'
}

async function createEngine(config) {
  const { binding } = loadNative()
  const { model, variant } = native(() => binding.checkConfig(config))
  // What the caller does to it from here on changes nothing.
  const kept = config && structuredClone(config)
  try {
    if ((await choose(binding, model, kept)) === '4dhumans')
      return new PoseEngine(KEY, await binding.createHumans(kept))
    const { detector, landmark } = await readBlazePose(variant)
    return new PoseEngine(KEY, await binding.createEngine(kept, detector, landmark))
  } catch (error) {
    throw fromNative(error)
  }
}

module.exports = { PoseClip, PoseEngine, PoseVideo, createEngine }
