'use strict'
// PoseEngine and PoseClip: the addon's halves, with signals, errors and streams.

const { loadNative } = require('./native.cjs')
const { call } = require('./call.cjs')
const { fromNative, native } = require('./errors.cjs')
const { readBlazePose } = require('./models.cjs')
const { stream } = require('./stream.cjs')

/** Frames on their way in a stream beyond those on the workers: decoded, or waiting for it. */
const READ_AHEAD = 9

const KEY = Symbol('made by pose4d')

function checkKey(key, how) {
  if (key !== KEY) throw new TypeError(`Illegal constructor: use ${how}`)
}

class PoseClip {
  #native

  constructor(key, nativeClip) {
    checkKey(key, 'engine.openClip()')
    this.#native = nativeClip
  }

  async processFrames(frames, options) {
    return call(options, (job, rest) => this.#native.process(job, frames, rest))
  }

  async finish(options) {
    return call(options, (job, rest) => this.#native.finish(job, rest))
  }
}

class PoseEngine {
  #native
  #closing
  #faces

  constructor(key, nativeEngine) {
    checkKey(key, 'createEngine()')
    this.#native = nativeEngine
  }

  async processFrames(frames, options) {
    return call(options, (job, rest) => this.#native.process(job, frames, rest))
  }

  openClip(options) {
    return new PoseClip(
      KEY,
      native(() => this.#native.openClip(options)),
    )
  }

  stream(frames, options) {
    return stream(this.#native, frames, options, this.health().threads + READ_AHEAD)
  }

  async warmup(options) {
    return call(options, (job) => this.#native.warmup(job))
  }

  health() {
    return native(() => this.#native.health())
  }

  /** The same array each time. A model that is loaded on demand has it from the first load on. */
  get meshFaces() {
    this.#faces ??= native(() => this.#native.meshFaces())
    return this.#faces ?? null
  }

  /** The SMPL body of one shape in its rest pose; null for a model without one. */
  bodyModel(betas) {
    return native(() => this.#native.bodyModel(betas)) ?? null
  }

  async close() {
    this.#closing ??= this.#native.close()
    try {
      await this.#closing
    } catch (error) {
      throw fromNative(error)
    }
  }

  [Symbol.asyncDispose]() {
    return this.close()
  }
}

/** 'blazepose' or '4dhumans': as asked, or by the files that are there. */
async function choose(binding, model, config) {
  if (model !== 'auto') return model
  return (await binding.hasHumans(config)) ? '4dhumans' : 'blazepose'
}

async function createEngine(config) {
  const { binding } = loadNative()
  const { model, variant } = native(() => binding.checkConfig(config))
  // What the caller does to it from here on changes nothing.
  const kept = config && structuredClone(config)
  try {
    if ((await choose(binding, model, kept)) === '4dhumans')
      return new PoseEngine(KEY, await binding.createHumans(kept))
    const { detector, landmark } = await readBlazePose(variant)
    return new PoseEngine(KEY, await binding.createEngine(kept, detector, landmark))
  } catch (error) {
    throw fromNative(error)
  }
}

module.exports = { PoseClip, PoseEngine, createEngine }
