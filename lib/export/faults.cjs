'use strict'
// What can go wrong with exports, and the codes that say so.

const { Pose4DError, invalid } = require('../errors.cjs')

/** Nobody in the results has what the format is made of. */
const EMPTY = 'ERR_POSE4D_EXPORT_EMPTY'
/** A file of results that cannot be read as one. */
const RESULTS_FILE = 'ERR_POSE4D_RESULTS_FILE'
const CACHE_IO = 'ERR_POSE4D_CACHE_IO'

const empty = (message) => new Pose4DError(EMPTY, message)
const unreadable = (message, cause) => new Pose4DError(RESULTS_FILE, message, { cause })
const unwritable = (path, cause) =>
  new Pose4DError(CACHE_IO, `cannot write ${path}: ${cause.message}`, { cause })

module.exports = { empty, invalid, unreadable, unwritable }
