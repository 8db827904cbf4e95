'use strict'
// A video file as a stream of RGB frames, through ffmpeg.

const { asFile, olderThan, passthroughFlags, startFfmpeg, toolVersion } = require('./ffmpeg.cjs')
const { FFMPEG, VIDEO_TRUNCATED, videoError } = require('./errors.cjs')
const { FrameLog } = require('./log.cjs')
const { scan } = require('./probe.cjs')

const USUAL_RATE = 30
/** Seconds that are decoded ahead of `start`: a frame may be stored after later ones. */
const RUN_UP = 1
/** A file that ends so much earlier than it says, seconds beside two frames, is cut off; less if damaged. */
const CUT_SECONDS = 0.5
const CUT_SECONDS_DAMAGED = 0.02

// Plus 0: no frame is at -0.
const round3 = (value) => Math.round(value * 1000) / 1000 + 0

/** ffmpeg's expression for the frames that are wanted; times are those of the file. */
function selection({ start, every, fps }, from) {
  const filters = []
  if (start > 0) filters.push(`select=gte(t\\,${from - 1e-6})`)
  if (every > 1) filters.push(`select=not(mod(n\\,${every}))`)
  if (fps !== undefined) {
    // The first frame in each slot of 1 / fps seconds: none twice, and times stay their own.
    const slot = (time) => `floor((${time}-${from})*${fps}+0.001)`
    filters.push(`select=isnan(prev_selected_t)+gt(${slot('t')}\\,${slot('prev_selected_t')})`)
  }
  return [...filters, 'showinfo=checksum=0'].join(',')
}

/** The number of the first frame from `from` on: counted, or where the rate is constant reckoned. */
async function firstNumber(path, info, from, signal) {
  const { stamps, tick, start, index } = info.stream
  const before = (list) => list.filter((stamp) => stamp * tick < from - 1e-6).length
  if (stamps) return before(stamps)
  if (!info.variableFrameRate) return Math.ceil((from - start) * info.fps - 1e-3)
  const found = await scan(path, index, signal, from + RUN_UP)
  return found ? before(found) : Math.ceil((from - start) * (info.fps ?? USUAL_RATE) - 1e-3)
}

class VideoReader {
  #path
  #info
  #options
  #log
  #process
  #stopped = false
  /** What is wrong with the file as a whole, once `frames()` has come to its end. */
  ending

  /** `info`: of `probeVideo`; `options`: `start`, `end` (seconds), `every`, `fps`, `signal`. */
  constructor(path, info, { start = 0, end, every = 1, fps, signal } = {}) {
    this.#path = path
    this.#info = info
    this.#options = { start, end, every, fps, signal }
  }

  /**
   * Upright, in order, one at a time: ffmpeg waits while nobody reads. `{ frameNumber, timestampMs, width,
   * height, pixels }`; with `problem` where the frame is damaged, and then without pixels where nothing of
   * it could be decoded. Sizes and times are ffmpeg's own account of each frame.
   */
  async *frames() {
    const { start, every, fps, signal, end } = this.#options
    const { tick, step, origin } = this.#info.stream
    const from = origin + start
    const number = start > 0 ? await firstNumber(this.#path, this.#info, from, signal) : 0
    this.#log = new FrameLog({ tick, step, number, ...(start > 0 && { start: from }) })
    const reader = await this.#open(selection({ start, every, fps }, from), from)
    const bytes = new ByteReader(reader.child.stdout)
    const pause = fps ? 1 / fps : every / (this.#info.fps ?? USUAL_RATE)
    const taken = new Sampling({ every, fps, number, from })
    let last = { number: number - 1, seconds: from - pause }
    let enough = false
    try {
      for (let item = await this.#log.next(); item; item = await this.#log.next()) {
        // One without a stamp, or one that goes back in time, follows its forerunner.
        const seconds = item.seconds > last.seconds ? item.seconds : last.seconds + pause
        enough = end !== undefined && seconds >= origin + end - 1e-6
        if (enough) break
        if (item.lost && !taken.wants(item)) continue
        const frameNumber = Math.max(item.number ?? last.number + every, last.number + 1)
        const pixels = item.lost ? undefined : await bytes.take(item.width * item.height * 3)
        if (!item.lost && !pixels) break
        last = { number: frameNumber, seconds }
        taken.add(last)
        yield this.#frame({ ...item, ...last }, pixels)
      }
      if (!enough && !this.#stopped && !signal?.aborted) await this.#end(reader, last.seconds)
    } finally {
      signal?.removeEventListener('abort', reader.kill)
      reader.kill()
    }
  }

  /** Ends ffmpeg at once, also one that hangs. */
  stop() {
    this.#stopped = true
    this.#process?.kill()
  }

  #frame({ number, seconds, width, height, damaged, lost }, pixels) {
    const { origin } = this.#info.stream
    const at = `frame ${number} at ${(seconds - origin).toFixed(3)} s of ${this.#path}`
    const problem = lost
      ? `${at} could not be decoded: its data are damaged`
      : damaged && `${at} is damaged: the decoder made up parts of its picture`
    return {
      frameNumber: number,
      timestampMs: round3((seconds - origin) * 1000),
      width: width ?? this.#info.width,
      height: height ?? this.#info.height,
      ...(pixels && { pixels }),
      ...(problem && { problem }),
    }
  }

  async #open(filters, from) {
    const { start, signal } = this.#options
    const version = await toolVersion('ffmpeg')
    // Its account of each packet and frame, with the file's own stamps.
    const args = ['-loglevel', 'level+info', '-debug_ts', '-copyts']
    // Damage is told frame by frame; how much is too much is not ffmpeg's to say.
    if (!olderThan(version, 5, 0)) args.push('-max_error_rate', '1')
    // Older decoders that work on several frames at once may hand a frame out before they have marked it
    // Where older decoders work on several frames at once, one may be handed out before it is marked as
    // damaged; with slices in their place they do not look for damage at all.
    if (olderThan(version, 7, 0)) args.push('-threads', '1')
    if (start > RUN_UP)
      args.push('-noaccurate_seek', '-seek_timestamp', '1', '-ss', String(from - RUN_UP))
    args.push('-i', asFile(this.#path), '-map', '0:V:0', '-vf', filters)
    args.push(...passthroughFlags(version), '-noautoscale')
    args.push('-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1')
    const reader = startFfmpeg(args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      onLine: (line) => this.#log.read(line),
      dieWithUs: true,
    })
    reader.exited.then(({ code, signal }) => this.#log.close({ whole: code === 0 && !signal }))
    this.#process = reader
    if (this.#stopped || signal?.aborted) reader.kill()
    signal?.addEventListener('abort', reader.kill, { once: true })
    return reader
  }

  /** Everything that ffmpeg gave is read: was it everything there is? */
  async #end(reader, lastSeconds) {
    const { code, errors, failure } = await reader.exited
    if (failure) throw failure
    const { stream, seconds } = this.#info
    const done = lastSeconds - stream.origin
    if (code !== 0) {
      this.ending = videoError(
        FFMPEG,
        `ffmpeg could not read ${this.#path} ${done < 0 ? 'at all' : `beyond ${done.toFixed(2)} s`}: ${errors.at(0) ?? `exit code ${code}`}`,
      )
      return
    }
    const short = this.#short(lastSeconds)
    if (!this.#log.cut && !short) return
    const of = seconds ? ` of ${seconds.toFixed(2)}` : ''
    this.ending = videoError(
      VIDEO_TRUNCATED,
      `${this.#path} is cut off: it ends after ${Math.max(0, done).toFixed(2)}${of} s${short ? ` (${short})` : ''}. ` +
        'All that is there was processed; copy or download the file again for the rest.',
    )
  }

  /** In words, what is missing against what the container says; undefined where nothing is. */
  #short(lastSeconds) {
    const { end, start } = this.#options
    const { declared, origin, start: first } = this.#info.stream
    if (end !== undefined) return undefined
    // Other containers' counts are not to be relied on.
    const counted = this.#info.container?.startsWith('mov') ? declared.frames : undefined
    if (start === 0 && counted && this.#log.demuxed > 0) {
      const { demuxed } = this.#log
      if (demuxed < counted) return `${demuxed} of ${counted} frames`
    }
    const length = lastSeconds - Math.max(first, origin)
    const frames = (2 * this.#options.every) / (this.#info.fps ?? USUAL_RATE)
    const slack = frames + (this.#log.damaged ? CUT_SECONDS_DAMAGED : CUT_SECONDS)
    const late = this.#options.fps ? 1 / this.#options.fps : 0
    return declared.seconds && declared.seconds - length > slack + late
      ? `the container says ${declared.seconds.toFixed(2)} s`
      : undefined
  }
}

/** Which of the frames that could not be decoded, and so were not sampled by ffmpeg, are wanted. */
class Sampling {
  #options
  #slot = Number.NEGATIVE_INFINITY

  constructor(options) {
    this.#options = options
  }

  #slotOf(seconds) {
    return Math.floor((seconds - this.#options.from) * this.#options.fps + 0.001)
  }

  wants({ number, seconds }) {
    const { every, fps, number: first } = this.#options
    if ((number - first) % every !== 0) return false
    return fps === undefined || this.#slotOf(seconds) > this.#slot
  }

  add({ seconds }) {
    if (this.#options.fps !== undefined) this.#slot = this.#slotOf(seconds)
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

module.exports = { VideoReader }
