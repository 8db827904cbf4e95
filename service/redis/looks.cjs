'use strict'
// What others found in the frames, for whoever follows the clip: orders are given a few shards ahead, no
// further; a look is used only where it is at the very same picture.

const { setTimeout: sleep } = require('node:timers/promises')
const zlib = require('node:zlib')
const { promisify } = require('node:util')
const { WORKER } = require('../errors.cjs')

const inflate = promisify(zlib.inflateRaw)

/** Shards ahead of the one that is followed, at most … */
const AHEAD = 8
/** … and bytes of looks that they may come to, once a shard's size is known; one is always ahead. */
const LOOK_BYTES = 128 * 2 ** 20
/** Milliseconds from one question to the next. */
const PAUSE = { first: 20, most: 250 }
/** Milliseconds after which an order is given again: it may have been lost. */
const REMIND = 5000
/** Milliseconds after which nobody finding is worth a line in the log. */
const PATIENCE = 30_000

/** A look at other pixels the engine would refuse, and the frame with it. */
const digest = (pixels) => zlib.crc32(pixels)

class Looks {
  #store
  #queues
  #id
  #key
  #log
  #signal
  #sampling
  #cut
  #shards
  #shard = -1
  #account
  #ordered
  #bytes
  #unused = 0

  /** `{ store, queues, shards, id, key, log, signal }`, and of the reading `{ sampling, total }`. */
  constructor({ store, queues, shards, id, key, log, signal }, { sampling, total }) {
    this.#store = store
    this.#queues = queues
    this.#id = id
    this.#key = key
    this.#log = log
    this.#signal = signal
    this.#sampling = sampling
    this.#cut = shards
    this.#shards = shards.count(total) ?? Number.POSITIVE_INFINITY
  }

  /** The frame with the look at it, if there is one; with a problem where nobody survived looking. */
  async with(frame, index) {
    if (frame.problem) return frame
    await this.#enter(this.#cut.of(frame.frameNumber, this.#sampling))
    const { poison, failed } = this.#account
    if (poison) return { ...frame, problem: this.#poisoned(frame, poison), problemCode: WORKER }
    if (failed) return frame
    const entry = await this.#store.look(this.#id, this.#shard, frame.frameNumber)
    if (entry?.look && this.#fits(entry, frame, index))
      return { ...frame, look: await inflate(entry.look) }
    this.#unused += 1
    return frame
  }

  #fits(entry, frame, index) {
    const { key, timestampMs } = entry
    const same = entry.index === index && timestampMs === frame.timestampMs && key === this.#key
    return same && entry.digest === digest(frame.pixels)
  }

  #poisoned({ frameNumber }, times) {
    return `frame ${frameNumber}: nobody was looked for, since ${times} workers died at this part of the video`
  }

  async #enter(shard) {
    if (shard === this.#shard) return
    this.#shard = shard
    await this.#order(shard)
    this.#account = await this.#wait(shard)
    const { bytes, failed } = this.#account
    if (bytes !== undefined) this.#bytes = Math.max(bytes, (this.#bytes ?? 0) / 2)
    if (failed)
      this.#log.warn(`nobody could find people in shard ${shard} for this worker: ${failed}`)
  }

  /** Frames are numbered up; a clip that goes on from its middle begins there. */
  async #order(shard) {
    const fit = this.#bytes > 0 ? Math.floor(LOOK_BYTES / this.#bytes) : AHEAD
    const last = Math.min(shard + Math.max(1, Math.min(AHEAD, fit)), this.#shards - 1)
    for (let next = Math.max(shard, this.#ordered ?? shard); next <= last; next++) {
      if (!(await this.#store.shardAccount(this.#id, next))) await this.#queues.find(this.#id, next)
      this.#ordered = next + 1
    }
    // Beyond what the video says of its length.
    if (shard > last) await this.#queues.find(this.#id, shard)
  }

  async #wait(shard) {
    const began = performance.now()
    let [pause, reminded, told] = [PAUSE.first, began, false]
    for (;;) {
      this.#signal.throwIfAborted()
      const account = await this.#store.shardAccount(this.#id, shard)
      if (account) return account
      const now = performance.now()
      if (now - reminded > REMIND) {
        await this.#queues.find(this.#id, shard)
        reminded = now
      }
      if (now - began > PATIENCE && !told) {
        this.#log.warn('nobody finds people: start more of pose4d worker --role find')
        told = true
      }
      await sleep(pause, undefined, { signal: this.#signal })
      pause = Math.min(pause * 2, PAUSE.most)
    }
  }

  close() {
    if (this.#unused > 0)
      this.#log.warn(
        { frames: this.#unused },
        'frames without a look that fits were looked at here',
      )
  }
}

module.exports = { Looks, digest }
