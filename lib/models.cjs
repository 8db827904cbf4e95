'use strict'
// The model files: where they lie and whether they are there.

const fs = require('node:fs')
const { Pose4DError } = require('./errors.cjs')

const LICENCE = 'Apache-2.0'
const PACKAGE = '@mediapipe/pose'
const FILES = {
  'blazepose-detector': 'pose_solution_packed_assets.data',
  'blazepose-lite': 'pose_landmark_lite.tflite',
  'blazepose-full': 'pose_landmark_full.tflite',
  'blazepose-heavy': 'pose_landmark_heavy.tflite',
}

/** Through Node's own resolution, so that workspaces and Yarn's PnP work. */
function locate(file) {
  try {
    return require.resolve(`${PACKAGE}/${file}`)
  } catch {
    return null
  }
}

function status(name) {
  const file = FILES[name]
  if (!file) {
    const names = Object.keys(FILES).join(', ')
    throw new Pose4DError(
      'ERR_POSE4D_INVALID_ARGUMENT',
      `there is no model ${JSON.stringify(name)}; there are: ${names}`,
    )
  }
  const path = locate(file)
  // Not stat's null: a file inside an archive (PnP) has a size, too.
  const bytes = path ? (fs.statSync(path, { throwIfNoEntry: false })?.size ?? null) : null
  return {
    name,
    family: 'blazepose',
    file,
    package: PACKAGE,
    licence: LICENCE,
    path,
    bytes,
    available: bytes !== null,
  }
}

const list = () => Object.keys(FILES).map(status)

async function read(name) {
  const { path, file } = status(name)
  try {
    if (path) return await fs.promises.readFile(path)
  } catch (cause) {
    throw new Pose4DError('ERR_POSE4D_MODEL_FILE', `cannot read ${path}: ${cause.message}`, {
      cause,
    })
  }
  throw new Pose4DError(
    'ERR_POSE4D_MODEL_UNAVAILABLE',
    `the model file ${file} of the npm package ${PACKAGE} was not found; it is a dependency of pose4d: run npm install`,
  )
}

/** The networks of one landmark variant ('lite', 'full', 'heavy'). */
async function readBlazePose(variant) {
  const [detector, landmark] = await Promise.all([
    read('blazepose-detector'),
    read(`blazepose-${variant}`),
  ])
  return { detector, landmark }
}

module.exports = { models: { list, status }, readBlazePose }
