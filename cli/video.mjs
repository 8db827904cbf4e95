// A video file as a stream of RGB frames, and a stream of RGB frames as a video file; both through ffmpeg.
import { once } from 'node:events'

import { EnvironmentError, UsageError } from './exit.mjs'
import {
  asFile,
  installHint,
  passthroughFlags,
  probeJson,
  startFfmpeg,
  toolVersion,
} from './ffmpeg.mjs'

function ratio(text) {
  const [top, bottom = 1] = String(text ?? '')
    .split('/')
    .map(Number)
  const value = top / bottom
  return Number.isFinite(value) && value > 0 ? value : undefined
}

/** Clockwise degrees in which the file asks to be shown: 0, 90, 180 or 270. */
function rotationOf(stream) {
  const matrix = stream.side_data_list?.find((entry) => entry.rotation !== undefined)?.rotation
  const degrees = matrix !== undefined ? -matrix : Number(stream.tags?.rotate ?? 0)
  return (((Math.round(degrees / 90) * 90) % 360) + 360) % 360
}

/**
 * What the file says about itself: upright size, mean rate, number of frames (undefined where it
 * can only be guessed at) and seconds.
 */
export async function probeVideo(path) {
  const info = await probeJson(path)
  const stream = info.streams?.find(
    (entry) => entry.codec_type === 'video' && !entry.disposition?.attached_pic,
  )
  if (!stream) {
    const why = info.problem ? ` (ffprobe: ${info.problem})` : ''
    throw new UsageError(
      `${path} is neither a photo (JPEG, PNG, WebP) nor a video that ffmpeg can read${why}.`,
    )
  }
  const rotation = rotationOf(stream)
  const [width, height] =
    rotation % 180 === 0 ? [stream.width, stream.height] : [stream.height, stream.width]
  const [mean, base] = [ratio(stream.avg_frame_rate), ratio(stream.r_frame_rate)]
  const seconds = Number(stream.duration ?? info.format?.duration) || undefined
  const fps = mean ?? base
  const counted = Number(stream.nb_frames) || undefined
  return {
    width,
    height,
    rotation,
    codec: stream.codec_name,
    fps,
    variableFrameRate: Boolean(mean && base) && Math.abs(mean - base) / base > 0.01,
    seconds,
    frames: counted ?? (seconds && fps ? Math.round(seconds * fps) : undefined),
  }
}

/** Frames that `readVideo` will give for these options, as far as the file tells. */
export function expectedFrames(video, { start = 0, end, every = 1, fps }) {
  if (video.frames === undefined) return undefined
  const whole = start === 0 && end === undefined && fps === undefined
  if (whole) return Math.ceil(video.frames / every)
  if (!video.seconds) return undefined
  const seconds = Math.max(0, Math.min(end ?? Infinity, video.seconds) - start)
  return Math.ceil((seconds * (fps ?? video.fps)) / every)
}

/**
 * Frames of a video, upright, in order, one at a time: ffmpeg waits while nobody reads.
 * Sizes and time stamps come from ffmpeg's own account of each frame, so variable rates and
 * rotation need no guessing here. `signal` stops ffmpeg; `onDamage` hears what ffmpeg complained of
 * although it went on.
 */
export async function* readVideo(
  path,
  video,
  { start = 0, end, every = 1, fps, signal, onDamage } = {},
) {
  const filters = []
  if (fps !== undefined) filters.push(`fps=${fps}`)
  if (every > 1) filters.push(`select=not(mod(n\\,${every}))`)
  filters.push('showinfo=checksum=0')
  const args = ['-loglevel', 'level+info']
  if (start > 0) args.push('-ss', String(start))
  if (end !== undefined) args.push('-t', String(end - start))
  args.push('-i', asFile(path), '-map', '0:V:0', '-vf', filters.join(','))
  args.push(
    ...passthroughFlags(await toolVersion('ffmpeg')),
    '-pix_fmt',
    'rgb24',
    '-f',
    'rawvideo',
    'pipe:1',
  )

  const rate = fps ?? video.fps ?? 30
  const infos = new FrameInfos()
  const reader = startFfmpeg(args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    onLine: (line) => infos.read(line),
    dieWithUs: true,
  })
  reader.exited.then(() => infos.close())
  signal?.addEventListener('abort', reader.kill, { once: true })
  const bytes = new ByteReader(reader.child.stdout)
  try {
    const first = Math.round(start * rate)
    let last = start - 1 / rate
    for (let index = 0; ; index++) {
      const info = await infos.next()
      if (!info) break
      const pixels = await bytes.take(info.width * info.height * 3)
      if (!pixels) break
      // A frame without a stamp, or one that goes back in time, follows its forerunner at the mean rate.
      const seconds =
        info.seconds !== undefined && start + info.seconds > last
          ? start + info.seconds
          : last + every / rate
      last = seconds
      yield {
        frameNumber: first + index * every,
        pixels,
        width: info.width,
        height: info.height,
        timestampMs: round3(seconds * 1000),
      }
    }
    const { code, errors, failure } = await reader.exited
    if (failure) throw failure
    if (signal?.aborted) return
    if (code !== 0)
      throw new EnvironmentError(
        `ffmpeg could not read ${path} to its end: ${errors.at(0) ?? `exit code ${code}`}`,
      )
    if (errors.length > 0) onDamage?.(errors)
  } finally {
    signal?.removeEventListener('abort', reader.kill)
    reader.kill()
  }
}

const round3 = (value) => Math.round(value * 1000) / 1000

/** The lines of ffmpeg's `showinfo` filter: one per frame, on stderr, ahead of its pixels. */
class FrameInfos {
  #waiting = []
  #ready = []
  #closed = false
  #timeBase

  read(line) {
    if (!line.includes('showinfo')) return false
    const base = /config in time_base: (\d+\/\d+)/.exec(line)
    if (base) this.#timeBase = ratio(base[1])
    const size = / s:(\d+)x(\d+)/.exec(line)
    if (!size) return true
    // Not its `pts_time`: that has six digits only, too few for a long video.
    const stamp = / pts:\s*(-?\d+)/.exec(line)
    const seconds = stamp && this.#timeBase ? Number(stamp[1]) * this.#timeBase : undefined
    const info = { width: Number(size[1]), height: Number(size[2]), seconds }
    const waiting = this.#waiting.shift()
    if (waiting) waiting(info)
    else this.#ready.push(info)
    return true
  }

  close() {
    this.#closed = true
    for (const waiting of this.#waiting.splice(0)) waiting(undefined)
  }

  next() {
    if (this.#ready.length > 0 || this.#closed) return Promise.resolve(this.#ready.shift())
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** Cuts a byte stream into pieces of given lengths. */
class ByteReader {
  #chunks
  #rest = Buffer.alloc(0)

  constructor(stream) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** Exactly `length` bytes, or `undefined` when the stream ends before. */
  async take(length) {
    const whole = Buffer.allocUnsafeSlow(length)
    let filled = 0
    while (filled < length) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#chunks.next()
        if (done) return undefined
        this.#rest = value
      }
      const copied = this.#rest.copy(whole, filled, 0, length - filled)
      filled += copied
      this.#rest = this.#rest.subarray(copied)
    }
    return whole
  }
}

/** Writes RGB frames of one size to a video file, H.264 in yuv420p, padded to even sides. */
export class VideoWriter {
  #ffmpeg
  #size
  #path
  #broken = false

  constructor(path, { width, height, fps }) {
    this.#path = path
    this.#size = { width, height }
    const args = [
      '-loglevel',
      'level+error',
      '-y',
      '-f',
      'rawvideo',
      '-pix_fmt',
      'rgb24',
      '-s',
      `${width}x${height}`,
      '-r',
      String(fps),
    ]
    args.push(
      '-i',
      'pipe:0',
      '-vf',
      'pad=ceil(iw/2)*2:ceil(ih/2)*2',
      '-c:v',
      'libx264',
      '-preset',
      'veryfast',
      '-crf',
      '20',
    )
    args.push('-pix_fmt', 'yuv420p', '-movflags', '+faststart', asFile(path))
    this.#ffmpeg = startFfmpeg(args, { stdio: ['pipe', 'ignore', 'pipe'] })
    this.#ffmpeg.child.stdin.on('error', () => (this.#broken = true))
    this.#ffmpeg.exited.then(() => (this.#broken = true))
  }

  async write(pixels, { width, height }) {
    if (width !== this.#size.width || height !== this.#size.height) {
      throw new EnvironmentError(
        `The frames change size (${this.#size.width}×${this.#size.height}, then ${width}×${height}), which one overlay video cannot hold. Give --overlay a folder instead.`,
      )
    }
    if (this.#broken) return this.#fail()
    if (!this.#ffmpeg.child.stdin.write(pixels)) {
      await Promise.race([
        once(this.#ffmpeg.child.stdin, 'drain').catch(() => {}),
        this.#ffmpeg.exited,
      ])
    }
  }

  /** Ends the file properly. */
  async close() {
    this.#ffmpeg.child.stdin.end()
    const { code } = await this.#ffmpeg.exited
    if (code !== 0) await this.#fail()
  }

  kill() {
    this.#ffmpeg.kill()
  }

  async #fail() {
    const { code, errors, failure } = await this.#ffmpeg.exited
    if (failure) throw failure
    const hint = errors.some((line) => /Unknown encoder/.test(line))
      ? ` This ffmpeg has no libx264; a usual build has: ${installHint()}`
      : ''
    throw new EnvironmentError(
      `ffmpeg could not write ${this.#path}: ${errors.at(0) ?? `exit code ${code}`}${hint}`,
    )
  }
}
