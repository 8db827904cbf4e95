'use strict'
// Drawn frames as a video that keeps the time of its source, constant or not.

const { mkdir } = require('node:fs/promises')
const { dirname, extname } = require('node:path')
const { invalid } = require('../errors.cjs')
const { renderOverlay } = require('../tools.cjs')
const { FFMPEG, videoError } = require('./errors.cjs')
const { VIDEO_ENDINGS, VideoWriter } = require('./write.cjs')

/** Longest still, ms: a wild time stamp must not make a video of years. */
const LONGEST_STILL = 600_000
/** Times must rise. */
const LEAST_STEP = 1

const isVideoName = (path) => VIDEO_ENDINGS.includes(extname(path).toLowerCase())

function checkOverlay(path) {
  if (typeof path === 'string' && isVideoName(path)) return
  throw invalid(
    `options.overlay must be the name of a video to write (${VIDEO_ENDINGS.join(', ')}), but is ${typeof path === 'string' ? `"${path}"` : typeof path}`,
  )
}

class VideoOverlay {
  #path
  #options
  #writer
  /** The last picture as it came, for a frame that has none. */
  #last
  #written = 0
  #stamp
  /** Whether there is a file. */
  wrote = false

  /** `fps`: for the length of the last frame; `timeBase`: of the source; `drawing`: of `renderOverlay`. */
  constructor(path, { fps, timeBase, drawing = {} }) {
    this.#path = path
    this.#options = { fps, timeBase, drawing }
  }

  /** A frame that failed keeps its place, undrawn; one without a picture shows the last one. */
  async write(frame, result) {
    const failed = Boolean(result.errorCode)
    const source = frame.pixels || (!failed && frame.imagePath) ? frame : undefined
    const plain = failed ? (source ?? this.#last) : undefined
    if (failed && !plain) return
    const size = plain ?? { width: result.frameWidth, height: result.frameHeight }
    const pixels = plain
      ? plain.pixels
      : await renderOverlay(frame, result, { ...this.#options.drawing, format: 'rgb' })
    if (frame.pixels) this.#last = { pixels: frame.pixels, width: size.width, height: size.height }
    await this.#open(size)
    await this.#writer.write(pixels, { ...size, timestampMs: this.#time(frame.timestampMs) })
  }

  async #open({ width, height }) {
    if (this.#writer) return
    const folder = dirname(this.#path)
    await mkdir(folder, { recursive: true }).catch((error) => {
      throw videoError(FFMPEG, `Cannot make the folder ${folder}: ${error.message}`, error)
    })
    const { fps, timeBase } = this.#options
    this.#writer = await VideoWriter.open(this.#path, {
      width,
      height,
      timeBase,
      stepMs: 1000 / (fps ?? 30),
    })
    this.wrote = true
  }

  /** Milliseconds from the first frame; always later than the one before. */
  #time(timestampMs) {
    if (this.#stamp === undefined) this.#written = 0
    else {
      const step = Math.min(timestampMs - this.#stamp, LONGEST_STILL)
      this.#written += Math.max(step, LEAST_STEP)
    }
    this.#stamp = timestampMs
    return this.#written
  }

  /** Ends the file properly. */
  async close() {
    await this.#writer?.close()
  }
}

module.exports = { VIDEO_ENDINGS, VideoOverlay, checkOverlay, isVideoName }
