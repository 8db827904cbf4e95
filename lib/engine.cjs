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
}

class PoseEngine {
  #native
  #closing

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

  /** BlazePose has no mesh. */
  get meshFaces() {
    return null
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

async function createEngine(config) {
  const { binding } = loadNative()
  const variant = native(() => binding.checkConfig(config))
  const { detector, landmark } = await readBlazePose(variant)
  try {
    return new PoseEngine(KEY, await binding.createEngine(config, detector, landmark))
  } catch (error) {
    throw fromNative(error)
  }
}

module.exports = { PoseClip, PoseEngine, createEngine }
