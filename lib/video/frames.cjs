'use strict'
// A video's frames before the engine and after it: what becomes of the damaged ones.

const { VIDEO_FRAME } = require('./errors.cjs')

const NOTHING = new Uint8Array(0)

/** Damaged frames are empty ones: they have their place in the clip, and no people of their own. */
const asFrame = ({ problem, problemCode, ...frame }) =>
  problem
    ? { frameNumber: frame.frameNumber, timestampMs: frame.timestampMs, image: NOTHING }
    : frame

/** The frame's result, with its own time, and what is wrong with the frame. */
function finished(result, { timestampMs, problem, problemCode = VIDEO_FRAME, width, height }) {
  result.timestampMs = timestampMs
  if (!problem) return result
  result.errorCode = problemCode
  result.error = problem
  result.frameWidth = width
  result.frameHeight = height
  return result
}

module.exports = { asFrame, finished }
