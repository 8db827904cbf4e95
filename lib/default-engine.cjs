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

async function processFrames(frames, options) {
  options?.signal?.throwIfAborted?.()
  const ready = engine ?? (await defaultEngine())
  return ready.processFrames(frames, options)
}

async function warmup(config) {
  const ready = await defaultEngine(config)
  return ready.warmup()
}

function health() {
  return engine ? engine.health() : native(() => loadNative().binding.idleHealth(madeWith))
}

module.exports = { health, processFrames, warmup }
