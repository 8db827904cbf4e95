'use strict'
// Frames of requests on their way through the queue and the engine, with deadlines and measures.

const { renderOverlay } = require('../lib/tools.cjs')
const { Pose4DError } = require('../lib/errors.cjs')
const { serviceError } = require('./errors.cjs')

/** The old service's overlay was a PNG. */
const OVERLAY = { format: 'png' }

const timeout = (timeoutMs) =>
  new Pose4DError(
    'ERR_POSE4D_TIMEOUT',
    `No answer within ${timeoutMs} ms, waiting in the queue included.`,
  )

class Frames {
  #host
  #queue
  #metrics

  constructor({ host, queue, metrics }) {
    this.#host = host
    this.#queue = queue
    this.#metrics = metrics
  }

  /**
   * `work(engine, signal)` when its turn has come; `signal` is aborted when the caller goes away or
   * the time is over.
   */
  async #turn(work, { client, priority, signal, timeoutMs }) {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(timeout(timeoutMs)), timeoutMs)
    const either = AbortSignal.any([late.signal, ...(signal ? [signal] : [])])
    try {
      return await this.#queue.run(
        async () => {
          const engine = await this.#host.get()
          either.throwIfAborted()
          return work(engine, either)
        },
        { client, priority, signal: either },
      )
    } finally {
      clearTimeout(timer)
    }
  }

  /** Results of frames that are independent of one another, unless `tracking`. */
  process(frames, { tracking = false, mesh = true }, concern) {
    return this.#turn(async (engine, signal) => {
      const results = await engine.processFrames(frames, { tracking, mesh, signal })
      this.#metrics.frames(results)
      return results
    }, concern)
  }

  /**
   * One frame: a fault of it is thrown, with its result. `visualize`: `{ result, picture }`, the PNG
   * with its people drawn in.
   */
  async one(frame, { mesh, visualize }, concern) {
    return this.#turn(async (engine, signal) => {
      const [result] = await engine.processFrames([frame], { tracking: false, mesh, signal })
      this.#metrics.frames([result])
      if (result.errorCode)
        throw serviceError(result.errorCode, result.error, {
          body: {
            frame_width: result.frameWidth,
            frame_height: result.frameHeight,
            processing_time_ms: result.processingTimeMs,
            model_version: result.modelVersion,
          },
        })
      if (!visualize) return { result, engine }
      return { result, engine, ...(await draw(frame, result)) }
    }, concern)
  }
}

/** A picture that could not be drawn does not take the answer with it. */
async function draw(frame, result) {
  try {
    return { picture: await renderOverlay(frame, result, OVERLAY) }
  } catch (error) {
    return { pictureError: error.message }
  }
}

module.exports = { Frames }
