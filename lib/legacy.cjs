'use strict'
// The field names of the old pose service, for code that still reads them.

/** A flat array of triples as nested arrays. */
function triples(flat) {
  const rows = []
  for (let i = 0; i + 2 < flat.length; i += 3) rows.push([flat[i], flat[i + 1], flat[i + 2]])
  return rows
}

/** What is not there is left out. */
const present = (fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/**
 * The first person of a frame as the old service described it.
 * @param {import('../index.js').PoseResult} result
 * @param {{ meshFaces: Uint32Array | null }} [engine] for `mesh_faces_data`
 */
function toLegacyResult(result, engine) {
  const person = result.persons[0]
  const vertices = person?.mesh?.vertices
  const faces = vertices && engine?.meshFaces
  return present({
    frameNumber: result.frameNumber,
    frameWidth: result.frameWidth,
    frameHeight: result.frameHeight,
    keypoints: result.keypoints.map((keypoint) => ({ ...keypoint })),
    keypointCount: result.keypointCount,
    has3d: result.has3d,
    joints3dRaw: person?.joints3d && triples(person.joints3d),
    jointAngles3d: result.jointAngles3d && { ...result.jointAngles3d },
    cameraTranslation: result.cameraTranslation && [...result.cameraTranslation],
    trackingConfidence: result.trackingConfidence,
    meshVertices: vertices && vertices.length / 3,
    mesh_vertices_data: vertices && triples(vertices),
    mesh_faces_data: faces ? triples(faces) : undefined,
    processingTimeMs: result.processingTimeMs,
    modelVersion: result.modelVersion,
    error: result.error,
  })
}

module.exports = { toLegacyResult }
