'use strict'
// How a video is cut into shards: so many sampled frames each, by frame number.

/** Sampled frames of a shard. */
const SHARD = 64
const USUAL_RATE = 30

const everyOf = ({ every = 1 }) => every

class Shards {
  #size

  /** The same for all workers: another's looks are found under other names, and are of no use. */
  constructor(size = SHARD) {
    this.#size = size
  }

  /** Of the sampled frame with this number. */
  of(frameNumber, sampling) {
    return this.at(Math.floor(frameNumber / everyOf(sampling)))
  }

  /** Of the sampled frame with so many before it. */
  at(index) {
    return Math.floor(index / this.#size)
  }

  /** How many there are; undefined where the video does not say how long it is. */
  count(total) {
    return total === undefined ? undefined : Math.ceil(total / this.#size)
  }

  /**
   * Frame numbers from `from` on and below `to`, and the second from which they are to be read: between the first of
   * them and the frame before. Undefined where the video is known to end before.
   */
  range(shard, info, sampling) {
    const every = everyOf(sampling)
    const from = shard * this.#size * every
    const range = { from, to: from + this.#size * every, every }
    if (from === 0) return { ...range, start: 0 }
    const { stamps, tick, origin, start } = info.stream
    if (stamps) {
      if (from >= stamps.length) return undefined
      return { ...range, start: ((stamps[from - 1] + stamps[from]) / 2) * tick - origin }
    }
    return { ...range, start: start - origin + (from - 0.5) / (info.fps ?? USUAL_RATE) }
  }
}

module.exports = { Shards }
