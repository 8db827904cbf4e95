'use strict'
// The test stand of `pose4d bench`: requests and answers are plain objects.

const { fromNative, native } = require('./errors.cjs')
const { loadNative } = require('./native.cjs')

/** A thread in the addon that loads one network at a time and times its stages. */
class Stand {
  #native

  constructor(threads) {
    this.#native = native(() => new (loadNative().binding.NativeBench)(threads))
  }

  async ask(request) {
    try {
      return JSON.parse(await this.#native.ask(JSON.stringify(request)))
    } catch (error) {
      throw fromNative(error)
    }
  }
}

/** Writes random files that are not in `folder` yet; answers the path of each. */
async function randomWeights(folder, { tiny = false, precision = 'fp32' } = {}) {
  try {
    return JSON.parse(await loadNative().binding.randomWeights(folder, tiny, precision))
  } catch (error) {
    throw fromNative(error)
  }
}

/** A made-up result with meshes, handed over as the engine's are. */
const meshResult = (people) => native(() => loadNative().binding.meshResult(people))

module.exports = { Stand, meshResult, randomWeights }
