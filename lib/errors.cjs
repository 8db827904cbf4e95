'use strict'
// The one error class, and how the addon's errors become it.

/** Worth trying again as it is, later or with less at once. */
const RETRYABLE = new Set([
  'ERR_POSE4D_DOWNLOAD',
  'ERR_POSE4D_QUEUE_FULL',
  'ERR_POSE4D_REDIS',
  'ERR_POSE4D_TIMEOUT',
])

/** What every function of pose4d throws or rejects with. */
class Pose4DError extends Error {
  /**
   * @param {string} code stable, `ERR_POSE4D_…`
   * @param {string} message what was expected, what was found, what to do
   * @param {{ frameNumber?: number, cause?: unknown }} [details]
   */
  constructor(code, message, { frameNumber, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'Pose4DError'
    this.code = code
    this.retryable = RETRYABLE.has(code)
    if (frameNumber !== undefined) this.frameNumber = frameNumber
  }
}

const invalid = (message) => new Pose4DError('ERR_POSE4D_INVALID_ARGUMENT', message)

/** The addon puts the code before the message, since a rejected promise carries nothing else. */
function fromNative(error) {
  const [, code, message] = /^(ERR_POSE4D_[A-Z0-9_]+): ([\s\S]*)$/.exec(error?.message ?? '') ?? []
  return code ? new Pose4DError(code, message) : error
}

/** Runs a call into the addon; its errors are ours. */
function native(work) {
  try {
    return work()
  } catch (error) {
    throw fromNative(error)
  }
}

module.exports = { Pose4DError, fromNative, invalid, native }
