'use strict'
// Engines as the old clients expect them: with SMPL's 24 joint names where the model measures them.

const { createEngine } = require('../lib/engine.cjs')
const { invalid } = require('../lib/errors.cjs')

/** What old clients read, and what `legacyNames` is made of. */
const OLD_SET = 'smpl24'
const RAW_SET = 'hmr44'

/** `legacyNames` repeats mistakes made with HMR2's joints; a model without them cannot make them. */
function checkNames(engine, { legacyNames }) {
  const { model } = engine.health()
  if (!legacyNames || model === '4dhumans') return
  throw invalid(
    `legacyNames repeats mistakes that the old service made with HMR2's joints; the model is ${model}, which has none: leave it away, or use model: '4dhumans'`,
  )
}

async function create(config, { legacyNames }) {
  const { keypoints } = config
  if (legacyNames && keypoints !== undefined && !['native', RAW_SET].includes(keypoints))
    throw invalid(`legacyNames needs keypoints: '${RAW_SET}', but they are '${keypoints}'`)
  if (keypoints !== undefined) return createEngine(config)
  try {
    return await createEngine({ ...config, keypoints: legacyNames ? RAW_SET : OLD_SET })
  } catch (error) {
    if (error.code !== 'ERR_POSE4D_KEYPOINT_SET') throw error
    // A model that measures others answers with its own.
    return createEngine(config)
  }
}

async function makeEngine(config = {}, { legacyNames = false, maxPixels } = {}) {
  const engine = await create({ ...(maxPixels && { maxPixels }), ...config }, { legacyNames })
  try {
    checkNames(engine, { legacyNames })
    return engine
  } catch (error) {
    await engine.close()
    throw error
  }
}

module.exports = { checkNames, makeEngine }
