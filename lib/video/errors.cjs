'use strict'
// What can be wrong with a video, with its code.

const { Pose4DError } = require('../errors.cjs')

const FFMPEG_MISSING = 'ERR_POSE4D_FFMPEG_MISSING'
const FFMPEG = 'ERR_POSE4D_FFMPEG'
const VIDEO_NOT_FOUND = 'ERR_POSE4D_VIDEO_NOT_FOUND'
const VIDEO_FORMAT = 'ERR_POSE4D_VIDEO_FORMAT'
const VIDEO_TRUNCATED = 'ERR_POSE4D_VIDEO_TRUNCATED'
/** Of a frame: it is in its result. */
const VIDEO_FRAME = 'ERR_POSE4D_VIDEO_FRAME'

const videoError = (code, message, cause) => new Pose4DError(code, message, { cause })

module.exports = {
  FFMPEG,
  FFMPEG_MISSING,
  VIDEO_FORMAT,
  VIDEO_FRAME,
  VIDEO_NOT_FOUND,
  VIDEO_TRUNCATED,
  videoError,
}
