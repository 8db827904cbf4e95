'use strict'
// The old process pool's methods on top of the engine: no processes, the same queue and errors.

const { invalid } = require('../lib/errors.cjs')
const { toLegacyResult } = require('../lib/legacy.cjs')
const { checkNames, makeEngine } = require('./engines.cjs')

const SHUTDOWN_MS = 30_000

const count = (config, name, usual, least = 1) => {
  const value = config[name]
  // The old pool took 0 for "not given".
  if (value === undefined || value === null || value === 0) return usual
  if (Number.isSafeInteger(value) && value >= least) return value
  throw invalid(
    `PoseProcessPool: ${name} must be a whole number, ${least} or more, but is ${value}`,
  )
}

/** Frames as the old pool's clients send them. */
function framesOf(frames) {
  if (!Array.isArray(frames)) throw invalid(`frames must be an array, but is ${typeof frames}`)
  return frames.map((frame) => {
    if (frame === null || typeof frame !== 'object') return frame
    const { imageBase64, imagePath } = frame
    // Both were allowed, and the bytes were what counted.
    return imageBase64 && imagePath ? { ...frame, imagePath: undefined } : frame
  })
}

class PoseProcessPool {
  #options
  #engine
  #own
  #queue = []
  #active = 0
  #processed = 0
  #errors = 0
  #started = Date.now()
  #closing
  #drained = () => {}

  /**
   * `{ maxConcurrentProcesses, queueMaxSize, processTimeoutMs }` as of the old pool; `engine` or
   * `engineConfig`; `legacyNames`, `tracking`, `mesh`. The old pool's other fields mean nothing here.
   */
  constructor(config = {}) {
    if (config === null || typeof config !== 'object') throw invalid('config must be an object')
    if (config.engine && config.engineConfig)
      throw invalid('PoseProcessPool takes an engine or an engineConfig, not both')
    this.#options = {
      concurrency: count(config, 'maxConcurrentProcesses', 2),
      maxQueue: count(config, 'queueMaxSize', 100),
      timeoutMs: count(config, 'processTimeoutMs', 120_000),
      legacyNames: config.legacyNames ?? false,
      tracking: config.tracking ?? false,
      mesh: config.mesh ?? true,
      engineConfig: config.engineConfig,
    }
    this.#own = !config.engine
    if (config.engine) {
      checkNames(config.engine, this.#options)
      this.#engine = Promise.resolve(config.engine)
    }
  }

  /** The engine is made with the first request; a failure is not kept. */
  #open() {
    if (!this.#engine) {
      const made = makeEngine(this.#options.engineConfig, this.#options)
      made.catch(() => {
        if (this.#engine === made) this.#engine = undefined
      })
      this.#engine = made
    }
    return this.#engine
  }

  /** One result for each frame, in order; a frame that failed has `error`. */
  async processRequest(frames) {
    if (this.#closing) throw new Error('Pool is shutting down, not accepting new requests')
    if (this.#active < this.#options.concurrency) return this.#process(frames)
    const { maxQueue } = this.#options
    if (this.#queue.length >= maxQueue) throw new Error(`Queue full (max ${maxQueue} requests)`)
    return new Promise((resolve, reject) => {
      this.#queue.push({ frames, resolve, reject })
    })
  }

  /** As of the old wrappers, so that the pool stands in their place, too. */
  getPoseInfo(frames) {
    return this.processRequest(frames)
  }

  async cleanup() {
    await this.shutdown()
  }

  async #process(frames) {
    this.#active += 1
    try {
      const results = await this.#run(frames)
      this.#processed += 1
      this.#errors += results.filter(({ error }) => error).length
      return results
    } catch (error) {
      this.#errors += 1
      throw error
    } finally {
      this.#active -= 1
      this.#next()
    }
  }

  async #run(frames) {
    const { timeoutMs, tracking, mesh, legacyNames } = this.#options
    const given = framesOf(frames)
    const engine = await this.#open()
    try {
      const results = await engine.processFrames(given, { timeoutMs, tracking, mesh })
      return results.map((result) => toLegacyResult(result, engine, { legacyNames }))
    } catch (error) {
      if (error.code !== 'ERR_POSE4D_TIMEOUT') throw error
      throw new Error(`Process timeout after ${timeoutMs}ms`, { cause: error })
    }
  }

  #next() {
    if (!this.#closing && this.#queue.length > 0 && this.#active < this.#options.concurrency) {
      const { frames, resolve, reject } = this.#queue.shift()
      this.#process(frames).then(resolve, reject)
    }
    if (this.#active === 0) this.#drained()
  }

  getStatus() {
    return {
      activeProcesses: this.#active,
      queuedRequests: this.#queue.length,
      totalProcessed: this.#processed,
      totalErrors: this.#errors,
      uptime: Date.now() - this.#started,
    }
  }

  /** Rejects what waits, and waits for what runs, half a minute at most. */
  shutdown() {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  async #shutDown() {
    for (const { reject } of this.#queue.splice(0)) reject(new Error('Pool is shutting down'))
    if (this.#active > 0) {
      let timer
      await new Promise((resolve) => {
        this.#drained = resolve
        timer = setTimeout(resolve, SHUTDOWN_MS)
      })
      clearTimeout(timer)
    }
    if (!this.#own || !this.#engine) return
    const engine = await this.#engine.catch(() => undefined)
    await engine?.close()
  }
}

module.exports = { PoseProcessPool }
