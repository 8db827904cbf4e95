'use strict'
// Results as the old service put them into JSON: its fields with the primary person, and `persons`
// with everybody.

const { cameraParamsOf, mislabelled, present, squareOf, triples } = require('../lib/legacy.cjs')

const rows = (flat, width) =>
  Array.from({ length: flat.length / width }, (_, i) =>
    Array.from(flat.subarray(i * width, (i + 1) * width)),
  )
const rotations = (flat) => rows(flat, 9).map((matrix) => rows(Float32Array.from(matrix), 3))

function smplOf(smpl) {
  if (!smpl) return undefined
  return {
    betas: Array.from(smpl.betas),
    body_pose: rotations(smpl.bodyPose),
    global_orient: rotations(smpl.globalOrient),
  }
}

/** Keypoints with the joints beside them, as the old service had them. */
function withPlaces(keypoints, joints3d) {
  return keypoints.map((keypoint, i) => {
    if (!joints3d) return { ...keypoint }
    const [x_3d, y_3d, z_3d] = joints3d.subarray(3 * i, 3 * i + 3)
    return { ...keypoint, x_3d, y_3d, z_3d }
  })
}

function cameraOf(camera) {
  if (!camera) return undefined
  const [tx, ty, tz] = camera.translation
  const [cx, cy] = camera.center
  return { tx, ty, tz, focal_length: camera.focalLength, cx, cy }
}

/** One of `persons`. `mesh`: with `mesh_vertices`. */
function personAnswer(person, { mesh, legacyNames }) {
  const named = legacyNames ? mislabelled(person) : person
  return present({
    track_id: person.trackId,
    confidence: person.score,
    tracking_confidence: person.trackingConfidence,
    source: person.source,
    box_source: person.boxSource,
    keypoint_source: person.keypointSource,
    bbox: Array.from(person.box),
    keypoints: withPlaces(named.keypoints, person.joints3d),
    keypoints_2d: person.keypoints.map(({ x, y, confidence }) => [x, y, confidence]),
    keypoints_3d: person.joints3d ? triples(person.joints3d) : [],
    joint_angles_3d: named.jointAngles3d,
    camera: cameraOf(person.camera),
    smpl: smplOf(person.smpl),
    mesh_vertices: mesh && person.mesh ? triples(person.mesh.vertices) : undefined,
  })
}

/** What the old service said of the camera beside the translation. */
function cameraFields(person, { frameWidth, frameHeight }) {
  const { camera } = person
  if (!camera) return {}
  const [tx, ty, tz] = camera.translation
  return {
    camera_translation: [tx, ty, tz],
    camera_params: cameraParamsOf(person),
    camera_full: {
      tx,
      ty,
      tz,
      focal_length: camera.focalLength,
      img_width: frameWidth,
      img_height: frameHeight,
      type: 'perspective',
    },
    scaled_focal_length: camera.focalLength,
  }
}

/**
 * A frame's result under the old names. `mesh`: whether vertices are wanted; the primary person's are
 * `mesh_vertices_data` and not repeated in `persons`.
 */
function poseAnswer(result, { mesh = true, legacyNames = false, models = {} } = {}) {
  const [person] = result.persons
  const persons = result.persons.map((each, i) =>
    personAnswer(each, { mesh: mesh && i > 0, legacyNames }),
  )
  const vertices = mesh ? person?.mesh?.vertices : undefined
  const square = person && squareOf(person.box)
  return present({
    frame_number: result.frameNumber,
    frame_width: result.frameWidth,
    frame_height: result.frameHeight,
    keypoints: persons[0]?.keypoints ?? [],
    keypoint_count: persons[0]?.keypoints.length ?? 0,
    has_3d: result.has3d,
    joints_3d_raw: person?.joints3d ? triples(person.joints3d) : null,
    joint_angles_3d: persons[0]?.joint_angles_3d ?? {},
    ...(person ? cameraFields(person, result) : {}),
    tracking_confidence: result.trackingConfidence,
    mesh_vertices: vertices && vertices.length / 3,
    mesh_vertices_data: vertices && triples(vertices),
    detection: {
      box_center: square?.center,
      box_size: square?.side,
      vitdet_used: person?.boxSource === 'vitdet',
      num_persons_detected: result.persons.length,
    },
    phalp_available: models.phalp === 'loaded',
    persons,
    timings_ms: result.timings,
    processing_time_ms: result.processingTimeMs,
    model_version: result.modelVersion,
    error: result.error ?? null,
    error_code: result.errorCode,
  })
}

/** Of a frame that came to nothing: what a client reads of it is there, and empty. */
const emptyPose = (frameNumber) => ({
  frame_number: frameNumber,
  frame_width: 0,
  frame_height: 0,
  keypoints: [],
  keypoint_count: 0,
  has_3d: false,
  persons: [],
  processing_time_ms: 0,
  model_version: 'unknown',
})

/** The triangles as JSON: made once for an engine, since they never change. */
const texts = new WeakMap()
function facesText(faces) {
  let text = texts.get(faces)
  if (!text) {
    text = JSON.stringify(triples(faces))
    texts.set(faces, text)
  }
  return text
}

/** An answer as JSON, with `mesh_faces_data` where there is a mesh. */
function answerText(answer, faces) {
  const text = JSON.stringify(answer)
  if (!answer.mesh_vertices_data || !faces) return text
  return `${text.slice(0, -1)},"mesh_faces_data":${facesText(faces)}}`
}

module.exports = { answerText, emptyPose, facesText, personAnswer, poseAnswer }
