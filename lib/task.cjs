'use strict'
// One piece of work with files in the addon: told of its progress, ended by an AbortSignal.

const { Job, checkSignal } = require('./call.cjs')
const { Pose4DError, invalid, native } = require('./errors.cjs')

function checkListener(onProgress) {
  if (onProgress === undefined || onProgress === null || typeof onProgress === 'function') return
  throw invalid(`options.onProgress must be a function, but is ${typeof onProgress}`)
}

/**
 * Runs `start(nativeJob, tell, listened)`; the addon answers through `tell` with JSON: any number
 * of `{ progress }`, then `{ result }` or `{ error }`.
 */
async function task({ signal, onProgress }, start) {
  checkSignal(signal)
  checkListener(onProgress)
  const job = new Job({ signal })
  let thrown
  const listen = (progress) => {
    try {
      if (!thrown) onProgress(progress)
    } catch (error) {
      // The caller's own fault ends its own task.
      thrown = { error }
      job.native.cancel()
    }
  }
  try {
    const { result, error } = await new Promise((resolve) => {
      const tell = (text) => {
        const message = JSON.parse(text)
        if (message.progress) listen(message.progress)
        else resolve(message)
      }
      native(() => start(job.native, tell, Boolean(onProgress)))
    })
    // The work may have been done before it could be stopped.
    if (thrown) throw thrown.error
    if (error) throw new Pose4DError(error.code, error.message)
    return result
  } catch (error) {
    throw thrown ? thrown.error : job.reason(error)
  } finally {
    job.release()
  }
}

module.exports = { task }
