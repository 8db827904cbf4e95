'use strict'
// ffmpeg's account of its work, line by line, made into frames in the order of their time: which packets
// went in, which frames came out of the decoder, which of them damaged, which go down the pipe.

const { ratio } = require('./probe.cjs')

/** Times, seconds, that are nearer than this are the same. */
const SAME = 1e-6
/** Frames decoded and not yet piped that are remembered: filters hold a few, sampling skips many. */
const MOST_REMEMBERED = 4096
/** What the demuxer complains of shows in a frame that comes out of the decoder at most so much later. */
const SHAKEN_FRAMES = 64

/**
 * What is looked for, anywhere in a line: ffmpeg's threads break into one another's lines, though never into
 * one message. The demuxer's packets, the decoder's frames, the filter's ticks, the filter's frames, and two
 * complaints that concern one frame.
 */
const MESSAGES = new RegExp(
  [
    /demuxer -> ist_index:\S+ type:video .*?\bpkt_pts:(?<packet>-?\d+|NOPTS)/,
    /decoder -> (?<frame>.*?) time_base:(?<base>\d+\/\d+)/,
    /config in time_base: (?<ticks>\d+\/\d+)/,
    /\bn:\s*\d+ pts:\s*(?<shown>-?\d+|NOPTS) .*?\bs:(?<width>\d+)x(?<height>\d+)/,
    /(?<damaged>corrupt decoded frame)/,
    /(?<refused>Error (?:while decoding|submitting packet))/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
)
/** What only fills the log. */
const NOISE = /(?:muxer|filter\w*|encoder|tsfixup|ffmpeg) (?:->|<-) |showinfo/
const STAMP = /\b(?:best_effort_ts|(?:frame_)?pts):(-?\d+)/
/** Of reading; that uneven times do not please a writer of raw frames is no damage. */
const DAMAGE = /\[(?:error|fatal)\](?!.*non monoton)|corrupt input packet|Packet corrupt/
const CUT = /\[(?:error|warning)\].*(?:partial file|ended prematurely|premature end)/i

/**
 * Hand it every line (`read`), then `close`. `next` gives, ascending by time, `{ number, seconds, width,
 * height, damaged }` for each frame that is in the pipe, and `{ number, seconds, lost: true }` for each that
 * could not be decoded at all.
 */
class FrameLog {
  /** Lines that say the file ends before its end. */
  cut
  demuxed = 0
  #tick
  #start
  #number
  #waiting = []
  #ready = []
  #closed = false
  #showBase
  /** Times of packets from which no frame came yet. */
  #packets = []
  #decoded = []
  #lost = []
  #damaged = false
  #refused = 0
  #anyDamage = false
  #any = false
  /** Some packets make no frame although nothing is wrong, as VP8's hidden ones. */
  #hidden = false
  /** Frames that may still come late after damage was last heard of. */
  #shaken = 0
  #step
  #last

  /**
   * `tick`: seconds, of the packets' stamps. `number`: of the first frame from `start` on. `step`: seconds
   * from frame to frame, where that is always the same.
   */
  constructor({ tick, step, start = Number.NEGATIVE_INFINITY, number = 0 }) {
    this.#tick = tick
    this.#step = step
    this.#start = start
    this.#number = number
  }

  /** True where the line was for us. */
  read(line) {
    if (CUT.test(line)) this.cut ??= line
    if (DAMAGE.test(line)) {
      this.#anyDamage = true
      this.#shaken = SHAKEN_FRAMES
    }
    let ours = false
    for (const { groups } of line.matchAll(MESSAGES)) {
      ours ||= !groups.refused && !groups.damaged
      this.#message(groups)
    }
    return ours || NOISE.test(line)
  }

  #message({ packet, frame, base, ticks, shown, width, height, damaged, refused }) {
    if (packet !== undefined) this.#packet(packet)
    else if (base !== undefined) this.#frame(STAMP.exec(frame)?.[1], base)
    else if (ticks !== undefined) this.#showBase = ratio(ticks)
    else if (shown !== undefined) this.#shown(shown, Number(width), Number(height))
    else {
      this.#anyDamage = true
      if (damaged) this.#damaged = true
      if (refused) this.#refused += 1
    }
  }

  #packet(stamp) {
    this.demuxed += 1
    if (stamp !== 'NOPTS') this.#packets.push(Number(stamp) * this.#tick)
    if (this.#packets.length > MOST_REMEMBERED) this.#packets.shift()
  }

  #frame(stamp, base) {
    const damaged = this.#damaged
    this.#damaged = false
    if (stamp === undefined) return
    const seconds = Number(stamp) * ratio(base)
    this.#missing(seconds)
    this.#any = true
    this.#gap(seconds)
    if (seconds < this.#start - SAME) return
    this.#decoded.push({ seconds, damaged, number: this.#number++ })
    if (this.#decoded.length > MOST_REMEMBERED) this.#decoded.shift()
  }

  /** Where the container itself is damaged, frames are missing of which not even packets were seen. */
  #gap(seconds) {
    const from = this.#last
    this.#last = seconds
    if (this.#shaken-- <= 0 || from === undefined || this.#step === undefined) return
    const steps = Math.min(Math.round((seconds - from) / this.#step), MOST_REMEMBERED)
    for (let i = 1; i < steps; i++) this.#lose(from + (i / steps) * (seconds - from))
  }

  #lose(seconds) {
    if (seconds < this.#start - SAME) return
    this.#lost.push({ number: this.#number++, seconds, lost: true })
  }

  /** Packets before `seconds` will make no frame any more. */
  #missing(seconds) {
    // What lies before zero, an edit list leaves out: it is to be decoded and not to be shown.
    const late = (time) => time >= -SAME && time < seconds - SAME
    const gone = this.#packets.filter(late).sort((a, b) => a - b)
    this.#packets = this.#packets.filter((time) => time > seconds + SAME)
    const most = this.#hidden ? this.#refused : gone.length
    this.#refused = 0
    // Before the first frame there are packets that are not to be shown.
    if (!this.#anyDamage) this.#hidden ||= this.#any && gone.length > 0
    else
      for (const time of gone.slice(0, most)) {
        this.#gap(time)
        this.#lose(time)
      }
  }

  #shown(stamp, width, height) {
    // Not its `pts_time`: that has six digits only, too few for a long video.
    const seconds = stamp !== 'NOPTS' && this.#showBase ? Number(stamp) * this.#showBase : undefined
    const found = this.#decoded.findIndex((frame) => Math.abs(frame.seconds - seconds) < SAME)
    const known = found >= 0 ? this.#decoded.splice(0, found + 1).at(-1) : undefined
    this.#releaseLost(seconds)
    this.#give({
      seconds,
      number: known?.number,
      damaged: known?.damaged ?? false,
      width,
      height,
    })
  }

  #releaseLost(before = Number.POSITIVE_INFINITY) {
    const due = this.#lost.filter(({ seconds }) => seconds < before)
    this.#lost = this.#lost.filter(({ seconds }) => !(seconds < before))
    for (const lost of due) this.#give(lost)
  }

  #give(frame) {
    const waiting = this.#waiting.shift()
    if (waiting) waiting(frame)
    else this.#ready.push(frame)
  }

  /** `whole`: ffmpeg came to the end of the file, so that what has not come out never will. */
  close({ whole }) {
    if (this.#closed) return
    if (whole) {
      this.#missing(Number.POSITIVE_INFINITY)
      this.#releaseLost()
    }
    this.#closed = true
    for (const waiting of this.#waiting.splice(0)) waiting(undefined)
  }

  /** Whether ffmpeg complained of anything that it read. */
  get damaged() {
    return this.#anyDamage
  }

  next() {
    if (this.#ready.length > 0 || this.#closed) return Promise.resolve(this.#ready.shift())
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

module.exports = { FrameLog }
