'use strict'
// A stream of RGB frames as a video file, each frame at its own time; through ffmpeg.

const { once } = require('node:events')
const { extname } = require('node:path')
const { asFile, installHint, passthroughFlags, startFfmpeg, toolVersion } = require('./ffmpeg.cjs')
const { FFMPEG, videoError } = require('./errors.cjs')
const { frameHead, head } = require('./matroska.cjs')

const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-pix_fmt', 'yuv420p']
const VP9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '6', '-row-mt', '1']
const VP9_QUALITY = ['-b:v', '0', '-crf', '30', '-pix_fmt', 'yuv420p']
const QUICKTIME = [...H264, '-movflags', '+faststart']
/** By the name's end: how it is encoded. */
const VIDEOS = {
  '.mp4': QUICKTIME,
  '.mov': QUICKTIME,
  '.m4v': QUICKTIME,
  '.mkv': H264,
  '.webm': [...VP9, ...VP9_QUALITY],
}
/** Divides into whole ticks at all usual rates. */
const USUAL_BASE = '1/90000'
/** A file's tick finer than the pipe's is not kept. */
const MOST_TICKS = 1_000_000

/** Padded to even sides; the rest as `VIDEOS` says. */
class VideoWriter {
  #path
  #size
  #ffmpeg
  #broken = false

  constructor(path, size, ffmpeg) {
    this.#path = path
    this.#size = size
    this.#ffmpeg = ffmpeg
    ffmpeg.child.stdin.on('error', () => {
      this.#broken = true
    })
    ffmpeg.exited.then(() => {
      this.#broken = true
    })
  }

  /**
   * `stepMs`: how long the last frame lasts. `timeBase`: the ticks of the file that the frames are from, so
   * that theirs are just the same.
   */
  static async open(path, { width, height, stepMs, timeBase = USUAL_BASE }) {
    const [, ticks] = timeBase.split('/').map(Number)
    const base = timeBase.startsWith('1/') && ticks <= MOST_TICKS ? timeBase : USUAL_BASE
    const args = ['-loglevel', 'level+error', '-y', '-f', 'matroska', '-i', 'pipe:0']
    args.push('-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2')
    args.push(...passthroughFlags(await toolVersion('ffmpeg')), '-enc_time_base', base)
    args.push(...VIDEOS[extname(path).toLowerCase()])
    if (/\.(mp4|mov|m4v)$/i.test(path)) args.push('-video_track_timescale', base.slice(2))
    const ffmpeg = startFfmpeg([...args, asFile(path)], { stdio: ['pipe', 'ignore', 'pipe'] })
    const writer = new VideoWriter(path, { width, height }, ffmpeg)
    await writer.#put(head({ width, height, stepMs }))
    return writer
  }

  /** Times must rise, and begin at 0 or later. */
  async write(pixels, { width, height, timestampMs }) {
    if (width !== this.#size.width || height !== this.#size.height) {
      throw videoError(
        FFMPEG,
        `The frames change size (${this.#size.width}×${this.#size.height}, then ${width}×${height}), which one overlay video cannot hold. Draw into a folder of pictures instead.`,
      )
    }
    await this.#put(frameHead(pixels.length, timestampMs))
    await this.#put(pixels)
  }

  async #put(bytes) {
    if (this.#broken) return this.#fail()
    const { stdin } = this.#ffmpeg.child
    if (stdin.write(bytes)) return
    const over = new AbortController()
    this.#ffmpeg.exited.then(() => over.abort())
    await once(stdin, 'drain', { signal: over.signal }).catch(() => {})
  }

  /** Ends the file properly. */
  async close() {
    this.#ffmpeg.child.stdin.end()
    const { code } = await this.#ffmpeg.exited
    if (code !== 0) await this.#fail()
  }

  async #fail() {
    const { code, errors, failure } = await this.#ffmpeg.exited
    if (failure) throw failure
    const [encoder] = /libx264|libvpx-vp9/.exec(errors.join(' ')) ?? []
    const hint =
      encoder && errors.some((line) => /Unknown encoder/.test(line))
        ? ` This ffmpeg has no ${encoder}; a usual build has: ${installHint()}`
        : ''
    throw videoError(
      FFMPEG,
      `ffmpeg could not write ${this.#path}: ${errors.at(0) ?? `exit code ${code}`}${hint}`,
    )
  }
}

/** The names' ends that can be written. */
const VIDEO_ENDINGS = Object.keys(VIDEOS)

module.exports = { VIDEO_ENDINGS, VideoWriter }
