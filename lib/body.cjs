'use strict'
// The SMPL body by itself: read from the user's file, without an engine.

const { loadNative } = require('./native.cjs')
const { fromNative, native } = require('./errors.cjs')
const { Pose4DError } = require('./errors.cjs')
const { models } = require('./models.cjs')

const NAME = 'smpl-neutral'

class Body {
  #native

  constructor(nativeBody) {
    this.#native = nativeBody
  }

  bodyModel(betas) {
    return native(() => this.#native.bodyModel(betas))
  }
}

/** Of the file `smplPath`, else of the one in the cache. */
async function loadBody(options) {
  const { available, path, problem, remedy } = models.status(NAME, options)
  if (!available)
    throw new Pose4DError(
      'ERR_POSE4D_LICENCE',
      [problem ?? 'the SMPL body model was not found', remedy].filter(Boolean).join('; '),
    )
  try {
    return new Body(await loadNative().binding.openBody(path))
  } catch (error) {
    throw fromNative(error)
  }
}

module.exports = { loadBody }
