'use strict'
// What can go wrong in the service, and the HTTP status each code of pose4d answers with.

const { Pose4DError } = require('../lib/errors.cjs')

const REQUEST = 'ERR_POSE4D_REQUEST'
const UNAUTHORIZED = 'ERR_POSE4D_UNAUTHORIZED'
const FORBIDDEN = 'ERR_POSE4D_FORBIDDEN'
const NOT_FOUND = 'ERR_POSE4D_NOT_FOUND'
const BODY_TOO_LARGE = 'ERR_POSE4D_BODY_TOO_LARGE'
const BODY_TOO_SLOW = 'ERR_POSE4D_BODY_TOO_SLOW'
const SHUTTING_DOWN = 'ERR_POSE4D_SHUTTING_DOWN'
const JOBS_OFF = 'ERR_POSE4D_JOBS_OFF'
const REDIS = 'ERR_POSE4D_REDIS'
const WORKER = 'ERR_POSE4D_WORKER'

/** By code without its `ERR_POSE4D_`. What is not here is a fault of ours: 500. */
const STATUS = {
  REQUEST: 400,
  INVALID_ARGUMENT: 400,
  FRAME_SOURCE: 400,
  FRAME_NUMBER: 400,
  FRAME_ORDER: 400,
  FRAME_DUPLICATE: 400,
  KEYPOINT_SET: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  LICENCE: 403,
  NOT_FOUND: 404,
  MODEL_UNKNOWN: 404,
  IMAGE_NOT_FOUND: 404,
  VIDEO_NOT_FOUND: 404,
  BODY_TOO_SLOW: 408,
  BODY_TOO_LARGE: 413,
  IMAGE_TOO_LARGE: 413,
  IMAGE_EMPTY: 422,
  IMAGE_FORMAT: 422,
  IMAGE_CORRUPT: 422,
  IMAGE_BASE64: 422,
  VIDEO_FORMAT: 422,
  VIDEO_FRAME: 422,
  VIDEO_TRUNCATED: 422,
  QUEUE_FULL: 429,
  // nginx's: the client went away; nobody reads it.
  ABORTED: 499,
  FFMPEG_MISSING: 501,
  JOBS_OFF: 501,
  DOWNLOAD: 502,
  CLOSED: 503,
  DEVICE: 503,
  LOAD: 503,
  MEMORY: 503,
  MODEL_CORRUPT: 503,
  MODEL_FILE: 503,
  MODEL_HOSTILE: 503,
  MODEL_UNAVAILABLE: 503,
  OFFLINE: 503,
  REDIS: 503,
  RUNTIME_MISSING: 503,
  SHUTTING_DOWN: 503,
  TIMEOUT: 504,
  DISK_FULL: 507,
}

const statusOf = (code) => STATUS[String(code).replace('ERR_POSE4D_', '')] ?? 500

/** An error with more fields for the answer's body, or with headers. */
function serviceError(code, message, { cause, body, headers } = {}) {
  return Object.assign(new Pose4DError(code, message, { cause }), { body, headers })
}

const shuttingDown = () => new Pose4DError(SHUTTING_DOWN, 'The service is shutting down.')

/** So many video jobs wait that no more are taken. */
const jobsFull = (queued) =>
  serviceError(
    'ERR_POSE4D_QUEUE_FULL',
    `${queued} video jobs wait, which is all. Try again later.`,
    { headers: { 'retry-after': '60' } },
  )

/** fastify's own refusals, under our codes. */
const FASTIFY = {
  FST_ERR_CTP_BODY_TOO_LARGE: BODY_TOO_LARGE,
  FST_REQ_FILE_TOO_LARGE: BODY_TOO_LARGE,
  FST_FILES_LIMIT: REQUEST,
  FST_FIELDS_LIMIT: REQUEST,
  FST_PARTS_LIMIT: REQUEST,
}

/** `{ code, status, message }` of anything thrown in a handler. */
function classify(error) {
  const { code } = error ?? {}
  if (typeof code === 'string' && code.startsWith('ERR_POSE4D_'))
    return { code, status: error.httpStatus ?? statusOf(code), message: error.message }
  if (FASTIFY[code])
    return { code: FASTIFY[code], status: statusOf(FASTIFY[code]), message: error.message }
  // Malformed bodies and everything that fails validation.
  if (error?.statusCode >= 400 && error.statusCode < 500)
    return { code: REQUEST, status: error.statusCode, message: error.message }
  return {
    code: 'ERR_POSE4D_INTERNAL',
    status: 500,
    message: 'Something went wrong in the service; its log says what.',
  }
}

module.exports = {
  BODY_TOO_LARGE,
  BODY_TOO_SLOW,
  FORBIDDEN,
  JOBS_OFF,
  NOT_FOUND,
  REDIS,
  REQUEST,
  SHUTTING_DOWN,
  UNAUTHORIZED,
  WORKER,
  classify,
  jobsFull,
  serviceError,
  shuttingDown,
  statusOf,
}
