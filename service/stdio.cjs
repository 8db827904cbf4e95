'use strict'
// The old process's conversation: `{frames: [...]}` as one JSON text in, the array of results out.

const { Pose4DError } = require('../lib/errors.cjs')
const { toLegacyResult } = require('../lib/legacy.cjs')

/** Of the text on stdin. */
const MAX_INPUT_BYTES = 512 * 2 ** 20

const wrong = (message) => new Pose4DError('ERR_POSE4D_REQUEST', message)

async function readAll(stream, limit = MAX_INPUT_BYTES) {
  const chunks = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > limit)
      throw wrong(`stdin holds more than ${limit} bytes; send fewer frames, or imagePath`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The frames of a request, or an error that says what was expected. */
function readRequest(bytes) {
  if (bytes.length === 0) throw wrong('stdin is empty; expected {"frames": [...]} as JSON')
  let request
  try {
    request = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw wrong(`stdin is not JSON (${error.message}); expected {"frames": [...]}`)
  }
  const frames = Array.isArray(request) ? request : request?.frames
  if (!Array.isArray(frames)) throw wrong('stdin has no "frames"; expected {"frames": [...]}')
  return frames.map((frame, i) => {
    if (frame === null || typeof frame !== 'object' || Array.isArray(frame))
      throw wrong(`frames[${i}] must be an object with frameNumber and imageBase64 or imagePath`)
    const { frameNumber = i, imageBase64, imagePath, timestampMs } = frame
    // The old service looked at the bytes where both were there.
    const image = imageBase64 ? { imageBase64 } : { imagePath }
    return { frameNumber, timestampMs, ...image }
  })
}

/**
 * Answers one request. `makeEngine()` is called once the request is understood. Frames that fail are
 * results with `error`; what concerns the whole request rejects.
 */
async function answer(
  input,
  { makeEngine, tracking = false, mesh = true, legacyNames = false, signal },
) {
  const frames = readRequest(await readAll(input))
  const engine = await makeEngine()
  try {
    const results = await engine.processFrames(frames, { tracking, mesh, signal })
    return results.map((result) => toLegacyResult(result, engine, { legacyNames }))
  } finally {
    await engine.close()
  }
}

module.exports = { answer, readRequest }
