'use strict'
// What the wrapper keeps of a clip, beside the addon's snapshot of it: text that goes with the bytes.

const { Pose4DError } = require('./errors.cjs')
const { Summary } = require('./summary.cjs')

const VERSION = 1

const damaged = (what) =>
  new Pose4DError(
    'ERR_POSE4D_SNAPSHOT',
    `the snapshot is damaged: ${what}; keep the bytes as clip.snapshot() gave them`,
  )

/** `open`: frames of an offline clip that are not settled yet. */
function writeNote({ summary, settled, open }) {
  return JSON.stringify({
    version: VERSION,
    summary: summary.save(),
    settled: settled?.save(),
    open: open.map(({ frameNumber, timestampMs, mesh }) => [frameNumber, timestampMs, mesh]),
  })
}

const isNumber = (value) => typeof value === 'number' || value === undefined || value === null

function readOpen(open) {
  if (!Array.isArray(open)) throw damaged('its frames are no list')
  return open.map((frame) => {
    const [frameNumber, timestampMs, mesh] = Array.isArray(frame) ? frame : [Number.NaN, {}]
    if (!isNumber(frameNumber) || !isNumber(timestampMs) || typeof mesh !== 'boolean')
      throw damaged('one of its frames is none')
    return { frameNumber: frameNumber ?? undefined, timestampMs: timestampMs ?? undefined, mesh }
  })
}

/** `{ summary, settled, open }` of a note; `options`: of the new `Summary`. */
function readNote(text, options) {
  let note
  try {
    note = JSON.parse(text)
  } catch {
    throw damaged('its summary cannot be read')
  }
  if (note?.version !== VERSION)
    throw damaged(`its summary has version ${note?.version}, not ${VERSION}`)
  try {
    return {
      summary: Summary.restore(note.summary, options),
      settled: note.settled && Summary.restore(note.settled, options),
      open: readOpen(note.open),
    }
  } catch (error) {
    throw error.code ? error : damaged(`its summary cannot be read (${error.message})`)
  }
}

module.exports = { readNote, writeNote }
