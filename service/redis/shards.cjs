'use strict'
// How a video is cut into shards: so many sampled frames each, by frame number.

/** Sampled frames of a shard. */
const SHARD = 64

const everyOf = ({ every = 1 }) => every

/** Of the sampled frame with this number. */
const shardOf = (frameNumber, sampling) => Math.floor(frameNumber / everyOf(sampling) / SHARD)

/** How many there are; undefined where the video does not say how long it is. */
const shardCount = (total) => (total === undefined ? undefined : Math.ceil(total / SHARD))

/**
 * Frame numbers `[from, to)` of a shard, and the second from which it is to be read: between its first frame and
 * the one before. Undefined where the video is known to end before it.
 */
function shardRange(shard, info, sampling) {
  const every = everyOf(sampling)
  const from = shard * SHARD * every
  const range = { from, to: from + SHARD * every, every }
  if (from === 0) return { ...range, start: 0 }
  const { stamps, tick, origin, start } = info.stream
  if (stamps) {
    if (from >= stamps.length) return undefined
    return { ...range, start: ((stamps[from - 1] + stamps[from]) / 2) * tick - origin }
  }
  return { ...range, start: start - origin + (from - 0.5) / (info.fps ?? 30) }
}

module.exports = { SHARD, shardCount, shardOf, shardRange }
