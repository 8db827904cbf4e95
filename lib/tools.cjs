'use strict'
// What the command line shows: drawn frames, versions, the machine.

const { loadNative } = require('./native.cjs')
const { fromNative, native } = require('./errors.cjs')

async function renderOverlay(frame, result, options) {
  const { binding } = loadNative()
  try {
    return await native(() => binding.renderOverlay({ ...frame, frameNumber: 0 }, result, options))
  } catch (error) {
    throw fromNative(error)
  }
}

const runtimeInfo = () => native(() => loadNative().binding.runtimeInfo())

const { version } = require('../package.json')

module.exports = { renderOverlay, runtimeInfo, version }
