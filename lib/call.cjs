'use strict'
// One call into the addon that can be aborted and has a time limit.

const { loadNative } = require('./native.cjs')
const { fromNative, invalid, native } = require('./errors.cjs')

function checkSignal(signal) {
  if (signal === undefined || signal === null) return
  if (typeof signal.addEventListener === 'function' && typeof signal.aborted === 'boolean') return
  throw invalid(`options.signal must be an AbortSignal, but is ${typeof signal}`)
}

/** Takes `options` apart: what concerns the job, and what the addon is to see. */
function split(options) {
  if (options === undefined || options === null) return { rest: {} }
  if (typeof options !== 'object' || Array.isArray(options)) {
    throw invalid(
      `options must be an object, but is ${Array.isArray(options) ? 'an array' : typeof options}`,
    )
  }
  const { signal, timeoutMs, ...rest } = options
  checkSignal(signal)
  return { signal, timeoutMs, rest }
}

/** A job of the addon that follows an AbortSignal until it is released. */
class Job {
  constructor({ signal, timeoutMs }) {
    signal?.throwIfAborted()
    const { NativeJob } = loadNative().binding
    this.native = native(() => new NativeJob({ timeoutMs }))
    this.signal = signal
    this.onAbort = () => this.native.cancel()
    signal?.addEventListener('abort', this.onAbort, { once: true })
  }

  /** What the caller is told: the signal's own reason where it is what ended the job. */
  reason(error) {
    const ours = fromNative(error)
    return this.signal?.aborted && ours.code === 'ERR_POSE4D_ABORTED' ? this.signal.reason : ours
  }

  release() {
    this.signal?.removeEventListener('abort', this.onAbort)
  }
}

/** `start(nativeJob, rest)` in the same tick: calls keep the order in which they were made. */
async function call(options, start) {
  const { rest, ...concerns } = split(options)
  const job = new Job(concerns)
  try {
    return await start(job.native, rest)
  } catch (error) {
    throw job.reason(error)
  } finally {
    job.release()
  }
}

module.exports = { Job, call, checkSignal, split }
