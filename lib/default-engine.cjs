'use strict'
// The process-wide engine behind the module-level functions; made when it is first needed.

const { isDeepStrictEqual } = require('node:util')
const { loadNative } = require('./native.cjs')
const { createEngine } = require('./engine.cjs')
const { invalid, native } = require('./errors.cjs')

let made
let madeWith
let engine

/** A failure is not kept: the next call tries again. */
function defaultEngine(config) {
  if (made) {
    if (config !== undefined && !isDeepStrictEqual(config, madeWith)) {
      throw invalid(
        'the default engine exists with another configuration; use createEngine(config)',
      )
    }
    return made
  }
  madeWith = config
  made = createEngine(config).then(
    (ready) => {
      engine = ready
      return ready
    },
    (error) => {
      made = undefined
      throw error
    },
  )
  return made
}

/** A Buffer's own slice would only look at the same memory. */
const copied = (bytes) =>
  bytes instanceof Uint8Array ? Uint8Array.prototype.slice.call(bytes) : bytes

/** Frames with bytes of their own; what is no frame stays as it is, for the engine to refuse. */
function keep(frames) {
  if (!Array.isArray(frames)) return frames
  return Array.from(frames, (frame) => {
    try {
      if (frame === null || typeof frame !== 'object') return frame
      return { ...frame, image: copied(frame.image), pixels: copied(frame.pixels) }
    } catch {
      return frame
    }
  })
}

async function processFrames(frames, options) {
  if (engine) return engine.processFrames(frames, options)
  options?.signal?.throwIfAborted?.()
  // The model is loaded first: until then the caller may do as it likes with its buffers.
  const kept = keep(frames)
  const ready = await defaultEngine()
  return ready.processFrames(kept, options)
}

async function estimateDepth(frames, options) {
  if (engine) return engine.estimateDepth(frames, options)
  options?.signal?.throwIfAborted?.()
  const kept = keep(frames)
  const ready = await defaultEngine()
  return ready.estimateDepth(kept, options)
}

async function warmup(config) {
  const ready = await defaultEngine(config)
  return ready.warmup()
}

function health() {
  return engine ? engine.health() : native(() => loadNative().binding.idleHealth(madeWith))
}

module.exports = { estimateDepth, health, processFrames, warmup }
