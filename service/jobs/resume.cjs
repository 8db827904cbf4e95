'use strict'
// The one place that knows how a clip goes on where a killed process left it: with the engine's
// snapshots of clips where it has them, and otherwise from the first frame again.

/** Whether clips of this engine can be kept and gone on with. */
const canKeep = (clip) => typeof clip.snapshot === 'function'

/** The clip's state, as bytes; undefined where the engine cannot say it. */
const keep = async (clip) => (canKeep(clip) ? clip.snapshot() : undefined)

/** A snapshot brings its clip's settings along. One of another model or version is of no use. */
function reopen(engine, snapshot) {
  try {
    return engine.openClip({ snapshot })
  } catch (error) {
    if (error.code === 'ERR_POSE4D_SNAPSHOT') return undefined
    throw error
  }
}

/**
 * `{ clip, done }`: a clip that has seen `done` frames, whose results are in the store. What was stored
 * and cannot be gone on from is forgotten.
 */
async function resume(engine, store, job, options) {
  const snapshot = job.frames_done > 0 ? await store.snapshot(job.id) : undefined
  const clip = snapshot && reopen(engine, snapshot)
  if (clip) return { clip, done: job.frames_done }
  if (job.frames_done > 0) await store.forget(job.id)
  return { clip: engine.openClip(options), done: 0 }
}

module.exports = { keep, resume }
