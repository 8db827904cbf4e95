'use strict'
// The field names of the old pose service, for code that still reads them, and the mistakes in its
// names for whom must keep them for a while.

const { invalid } = require('./errors.cjs')

/** SMPL's joints, in its order: what the old service called the first 24 of HMR2's 44. */
const SMPL24 = [
  ['pelvis', 'left_hip', 'right_hip', 'spine1', 'left_knee', 'right_knee', 'spine2', 'left_ankle'],
  [
    'right_ankle',
    'spine3',
    'left_foot',
    'right_foot',
    'neck',
    'left_collar',
    'right_collar',
    'head',
  ],
  ['left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist'],
  ['left_hand', 'right_hand'],
].flat()
/** The old service's angles, between joints by those names. */
const OLD_ANGLES = {
  left_knee: ['left_hip', 'left_knee', 'left_ankle'],
  right_knee: ['right_hip', 'right_knee', 'right_ankle'],
  left_hip: ['spine1', 'left_hip', 'left_knee'],
  right_hip: ['spine1', 'right_hip', 'right_knee'],
  left_elbow: ['left_shoulder', 'left_elbow', 'left_wrist'],
  right_elbow: ['right_shoulder', 'right_elbow', 'right_wrist'],
  left_shoulder: ['neck', 'left_shoulder', 'left_elbow'],
  right_shoulder: ['neck', 'right_shoulder', 'right_elbow'],
  spine: ['pelvis', 'spine2', 'neck'],
}
const HMR2_JOINTS = 44
/** Height to width of the crop that HMR2 sees of a square. */
const CROP_RATIO = 4 / 3

/** A flat array of triples as nested arrays. */
function triples(flat) {
  const rows = []
  for (let i = 0; i + 2 < flat.length; i += 3) rows.push([flat[i], flat[i + 1], flat[i + 2]])
  return rows
}

/** What is not there is left out. */
const present = (fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/** Degrees at `b`. */
function angleAt(a, b, c) {
  const [to, from] = [a, c].map((end) => end.map((value, axis) => value - b[axis]))
  const dot = to[0] * from[0] + to[1] * from[1] + to[2] * from[2]
  const cosine = dot / (Math.hypot(...to) * Math.hypot(...from) + 1e-6)
  return (Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI
}

/**
 * A person's keypoints and angles as the old service named them: SMPL's names on the first 24 of
 * HMR2's 44 joints, which are others ("pelvis" is the nose). Everything else about them is right.
 */
function mislabelled({ keypoints, joints3d }) {
  const joints = joints3d ? joints3d.length / 3 : HMR2_JOINTS
  if (keypoints.length !== HMR2_JOINTS || joints !== HMR2_JOINTS)
    throw invalid(
      `legacyNames needs HMR2's ${HMR2_JOINTS} joints: an engine with model: '4dhumans' and keypoints: 'native'; these are ${keypoints.length}`,
    )
  return {
    keypoints: SMPL24.map((name, i) => ({ ...keypoints[i], name })),
    jointAngles3d: joints3d && oldAngles(triples(joints3d)),
  }
}

/** Degrees between joints by the names that they do not have. */
function oldAngles(joints) {
  const places = new Map(SMPL24.map((name, i) => [name, joints[i]]))
  const angle = (names) => angleAt(...names.map((name) => places.get(name)))
  return Object.fromEntries(Object.entries(OLD_ANGLES).map(([name, names]) => [name, angle(names)]))
}

/** The square of the image around a box, as HMR2 cuts it: `{ center: [x, y], side }`, pixels. */
function squareOf([x1, y1, x2, y2]) {
  return {
    center: [(x1 + x2) / 2, (y1 + y2) / 2],
    side: Math.max(y2 - y1, (x2 - x1) * CROP_RATIO),
  }
}

/**
 * The weak-perspective camera of that square, of which `camera.translation` is the full image's:
 * `tz = 2 f / (side * scale)`, `tx = 2 (cx - w / 2) / (side * scale) + params.tx`.
 */
function cameraParamsOf({ box, camera }) {
  if (!camera) return undefined
  const { center, side } = squareOf(box)
  const [x, y, z] = camera.translation
  const across = (2 * camera.focalLength) / z
  const offset = (axis, value) => value - (2 * (center[axis] - camera.center[axis])) / across
  const scale = across / side
  return { scale, tx: offset(0, x), ty: offset(1, y), type: 'weak_perspective' }
}

/**
 * The first person of a frame as the old service described it.
 * @param {import('../index.js').PoseResult} result
 * @param {{ meshFaces: Uint32Array | null }} [engine] for `mesh_faces_data`
 * @param {{ legacyNames?: boolean }} [options] `legacyNames`: its wrong names, too
 */
function toLegacyResult(result, engine, { legacyNames = false } = {}) {
  const person = result.persons[0]
  const vertices = person?.mesh?.vertices
  const faces = vertices && engine?.meshFaces
  const { keypoints, jointAngles3d } = legacyNames && person ? mislabelled(person) : result
  return present({
    frameNumber: result.frameNumber,
    frameWidth: result.frameWidth,
    frameHeight: result.frameHeight,
    keypoints: keypoints.map((keypoint) => ({ ...keypoint })),
    keypointCount: keypoints.length,
    has3d: result.has3d,
    joints3dRaw: person?.joints3d && triples(person.joints3d),
    jointAngles3d: jointAngles3d && { ...jointAngles3d },
    cameraTranslation: result.cameraTranslation && [...result.cameraTranslation],
    cameraParams: person && cameraParamsOf(person),
    trackingConfidence: result.trackingConfidence,
    meshVertices: vertices && vertices.length / 3,
    mesh_vertices_data: vertices && triples(vertices),
    mesh_faces_data: faces ? triples(faces) : undefined,
    processingTimeMs: result.processingTimeMs,
    modelVersion: result.modelVersion,
    error: result.error,
  })
}

module.exports = { cameraParamsOf, mislabelled, present, squareOf, toLegacyResult, triples }
