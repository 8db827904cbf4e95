'use strict'
// PoseVideo: a video file through the engine, frame by frame, in memory that does not grow with its length.

const { stat } = require('node:fs/promises')
const { split } = require('../call.cjs')
const { invalid } = require('../errors.cjs')
const { Summary } = require('../summary.cjs')
const { FFMPEG, videoError } = require('./errors.cjs')
const { asFrame, finished } = require('./frames.cjs')
const { VideoOverlay, checkOverlay } = require('./overlay.cjs')
const { expectedFrames, probeVideo } = require('./probe.cjs')
const { VideoReader } = require('./read.cjs')

/** Of the speed that `onProgress` is told, seconds. */
const RATE_WINDOW = 5

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value)

function checkNumber(options, name, holds, expected) {
  const value = options[name]
  if (value === undefined || (isNumber(value) && holds(value))) return
  throw invalid(`options.${name} must be ${expected}, but is ${value}`)
}

function checkFunction(options, name) {
  const value = options[name]
  if (value === undefined || value === null || typeof value === 'function') return
  throw invalid(`options.${name} must be a function, but is ${typeof value}`)
}

/** Options, taken apart: what is ours, and what `stream` is to see. */
function readOptions(path, options) {
  if (path instanceof URL) throw invalid('path must be a string: fileURLToPath(url) makes one')
  if (typeof path !== 'string' || path === '')
    throw invalid(
      `path must be the name of a video file, but is ${path === '' ? '""' : typeof path}`,
    )
  const { signal, timeoutMs, rest } = split(options)
  const { start, end, every, fps, overlay, overlayOptions, onFrame, onProgress, ...stream } = rest
  checkNumber(rest, 'start', (value) => value >= 0, 'seconds, 0 or more')
  checkNumber(rest, 'end', (value) => value > (start ?? 0), 'seconds, later than the start')
  checkNumber(rest, 'every', (n) => Number.isSafeInteger(n) && n >= 1, 'a whole number, 1 or more')
  checkNumber(rest, 'fps', (value) => value > 0, 'frames per second, above 0')
  if (overlay !== undefined && overlay !== null) checkOverlay(overlay)
  checkFunction(rest, 'onFrame')
  checkFunction(rest, 'onProgress')
  return {
    sampling: { start, end, every, fps },
    stream: { signal, timeoutMs, ...stream },
    drawn: overlay && { path: overlay, drawing: overlayOptions },
    onFrame,
    onProgress,
  }
}

async function isSameFile(a, b) {
  const [one, other] = await Promise.all([a, b].map((path) => stat(path).catch(() => undefined)))
  return Boolean(one && other) && one.ino === other.ino && one.dev === other.dev
}

/** Frames per second over the last seconds. */
class Speed {
  #marks = []

  tick() {
    const now = performance.now() / 1000
    this.#marks.push(now)
    while (this.#marks.length > 2 && now - this.#marks[0] > RATE_WINDOW) this.#marks.shift()
    const span = now - this.#marks[0]
    return span > 0 ? (this.#marks.length - 1) / span : 0
  }
}

/** The frames of a video read a second time, in step with its results. */
class Again {
  #reader
  #frames

  constructor(reader) {
    this.#reader = reader
    this.#frames = reader.frames()
  }

  async frame(frameNumber) {
    const { value } = await this.#frames.next()
    if (value?.frameNumber === frameNumber) return value
    throw videoError(
      FFMPEG,
      `the video changed while it was processed: on a second reading frame ${frameNumber} is ` +
        `${value ? `frame ${value.frameNumber}` : 'not there'}. Process a copy that nothing writes to.`,
    )
  }

  stop() {
    this.#reader.stop()
  }

  async close() {
    await this.#frames.return()
  }
}

/** Made by `engine.processVideo`. */
class PoseVideo {
  #path
  #options
  #engine
  #info
  #summary
  #results
  #complete = false

  /** `engine`: `{ stream(frames, options), vertices(), running }`; `running` holds what stops each video. */
  constructor(path, options, engine) {
    if (!engine?.stream) throw new TypeError('Illegal constructor: use engine.processVideo()')
    this.#options = readOptions(path, options)
    this.#path = path
    this.#engine = engine
    const { mesh = true, tracking } = this.#options.stream
    this.#summary = new Summary({ vertices: mesh ? engine.vertices : undefined, tracking })
    this.#results = this.#run()
  }

  #probe() {
    this.#info ??= probeVideo(this.#path, { signal: this.#options.stream.signal })
    return this.#info
  }

  get info() {
    const info = this.#probe().then(({ stream, ...rest }) => rest)
    // Whoever does not ask need not hear of it twice.
    info.catch(() => {})
    return info
  }

  summary() {
    return this.#summary.report({ complete: this.#complete })
  }

  async *#run() {
    const { sampling, stream, drawn, onFrame, onProgress } = this.#options
    const info = await this.#probe()
    if (drawn && (await isSameFile(this.#path, drawn.path)))
      throw invalid(`options.overlay is ${drawn.path}, the video itself`)
    const rate = Math.min(sampling.fps ?? Number.POSITIVE_INFINITY, info.fps ?? 30)
    const fps = rate / (sampling.every ?? 1)
    const read = () => new VideoReader(this.#path, info, { ...sampling, signal: stream.signal })
    const reader = read()
    // Whose results come at the end only is read a second time for its pictures: all of them at once
    // would be too many.
    const offline = stream.mode === 'offline'
    const overlay =
      drawn && new VideoOverlay(drawn.path, { ...drawn, fps, timeBase: info.stream.timeBase })
    const totalFrames = expectedFrames(info, sampling)
    const speed = new Speed()
    const pending = new Map()
    const usesPixels = Boolean(overlay || onFrame)
    const pictures = offline && usesPixels ? new Again(read()) : undefined
    const stop = () => {
      reader.stop()
      pictures?.stop()
    }
    let done = 0
    const tell = () => {
      done += 1
      onProgress?.({
        frame: done,
        // What a container says may be wrong; never 91 of 90.
        totalFrames: totalFrames === undefined ? undefined : Math.max(totalFrames, done),
        fps: speed.tick(),
      })
    }
    try {
      this.#engine.running.add(stop)
      const frames = this.#frames(reader, pending, usesPixels && !offline)
      const results = this.#engine.stream(frames, { ...stream, fps }, { onTaken: tell })
      for await (const result of results) {
        const known = pending.get(result.frameNumber)
        pending.delete(result.frameNumber)
        const frame = pictures ? await pictures.frame(result.frameNumber) : known
        finished(result, known)
        this.#summary.add(result)
        await overlay?.write(frame, result)
        await onFrame?.(frame, result)
        if (!offline) tell()
        yield result
      }
      if (reader.ending) throw reader.ending
      this.#complete = true
    } finally {
      this.#engine.running.delete(stop)
      stop()
      await pictures?.close()
      await overlay?.close()
    }
  }

  async *#frames(reader, pending, keepPixels) {
    for await (const frame of reader.frames()) {
      const { frameNumber, timestampMs, width, height, problem } = frame
      pending.set(frameNumber, keepPixels ? frame : { timestampMs, width, height, problem })
      this.#summary.take()
      yield asFrame(frame)
    }
  }

  next() {
    return this.#results.next()
  }

  return(value) {
    return this.#results.return(value)
  }

  throw(error) {
    return this.#results.throw(error)
  }

  [Symbol.asyncIterator]() {
    return this
  }

  async [Symbol.asyncDispose]() {
    await this.#results.return()
  }
}

module.exports = { PoseVideo }
