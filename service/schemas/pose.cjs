'use strict'
// Frames in, poses out: bodies and answers of /pose, /pose/hybrid and /detect_pose_with_visualization.

const { PRIORITIES } = require('../queue.cjs')
const build = require('./build.cjs')

const { closed, filled, flag, integer, list, map, number, oneOf, open, orNull, ref, text, vector } =
  build

const ANGLES = map({ type: 'number' }, 'Degrees by name (docs/results.md)')
const POINTS = 'metres, camera axes: x right, y down, z forward'

const frameNumber = integer('Of the frame; comes back in the answer', {
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  default: 0,
})
const image = filled('JPEG, PNG or WebP as base64, plain or as a data: URL')
const shared = {
  frame_number: frameNumber,
  mesh: flag('Vertices in the answer, of a model that has them', { default: true }),
  mesh_faces: flag('Triangles in the answer, where there are vertices', { default: true }),
}
const visualize = (usual) =>
  flag('The picture with its people drawn in, as `visualization`', { default: usual })

const requests = {
  pose: open(
    {
      image_base64: image,
      ...shared,
      mesh: { ...shared.mesh, default: false },
      visualize: visualize(false),
    },
    { required: ['image_base64'] },
  ),
  hybrid: open(
    { image_base64: image, ...shared, visualize: visualize(false) },
    { required: ['image_base64'] },
  ),
  visualization: open({ image, ...shared, visualize: visualize(true) }, { required: ['image'] }),
}

/** Of every request that waits in the queue. */
const headers = {
  type: 'object',
  properties: {
    'x-priority': oneOf(PRIORITIES, 'Before whom it waits; `normal` without it'),
    'x-client-id': text('On whose behalf: clients take turns. Without it the address counts', {
      minLength: 1,
      maxLength: 128,
    }),
    'x-timeout-ms': text(
      'Milliseconds, 100 or more, until the answer is no longer wanted; at most the service’s own',
      {
        pattern: '^[1-9][0-9]{2,8}$',
      },
    ),
  },
}

const keypoint = closed(
  {
    name: text('Joint'),
    x: number('Pixels from the left'),
    y: number('Pixels from the top'),
    z: number('Metres from the pelvis, away from the camera positive'),
    confidence: number('0 to 1'),
    x_3d: number(`Of the joint in 3D: ${POINTS}`),
    y_3d: number('As x_3d'),
    z_3d: number('As x_3d'),
  },
  { optional: ['z', 'x_3d', 'y_3d', 'z_3d'] },
)

const person = closed(
  {
    track_id: integer('Identity in a video; in a single frame a running number'),
    confidence: number('Of the detector, 0 to 1'),
    tracking_confidence: number('1: seen in this frame; less the longer ago'),
    source: oneOf(['detected', 'recovered', 'predicted', 'interpolated'], 'How it came about'),
    box_source: text('Who found the box; of 4D-Humans'),
    keypoint_source: oneOf(['measured', 'projected'], 'Found in the image, or 3D joints projected'),
    bbox: vector(4, '[x1, y1, x2, y2] pixels'),
    keypoints: list(ref('Keypoint')),
    keypoints_2d: list(vector(3), '[x, y, confidence] for each keypoint: pixels, 0 to 1'),
    keypoints_3d: list(vector(3), `For each keypoint: ${POINTS}`),
    joint_angles_3d: ANGLES,
    camera: closed(
      {
        tx: number('Metres'),
        ty: number('Metres'),
        tz: number('Metres'),
        focal_length: number('Pixels'),
        cx: number('Principal point, pixels'),
        cy: number('Principal point, pixels'),
      },
      { description: 'A joint seen by it: focal_length * (x + tx) / (z + tz) + cx' },
    ),
    smpl: closed({
      betas: list({ type: 'number' }, 'Shape', { minItems: 10, maxItems: 10 }),
      body_pose: list(list(vector(3)), '[23][3][3] rotations'),
      global_orient: list(list(vector(3)), '[1][3][3] rotation'),
    }),
    mesh_vertices: list(vector(3), '[6890][3] metres, around the origin of keypoints_3d'),
  },
  {
    optional: [
      'box_source',
      'keypoint_source',
      'joint_angles_3d',
      'camera',
      'smpl',
      'mesh_vertices',
    ],
  },
)

const pose = closed(
  {
    frame_number: integer('As given'),
    frame_width: integer('Pixels, upright'),
    frame_height: integer('Pixels, upright'),
    keypoints: list(ref('Keypoint'), 'Of the primary person; empty where nobody was found'),
    keypoint_count: integer('How many'),
    has_3d: flag('Whether there are 3D joints'),
    joints_3d_raw: orNull(list(vector(3), `[J][3], in the order of the keypoints: ${POINTS}`)),
    joint_angles_3d: ANGLES,
    camera_translation: vector(3, '[tx, ty, tz] metres, of the full image’s pinhole camera'),
    camera_params: closed(
      {
        scale: number('Of the square in `detection`'),
        tx: number('Metres'),
        ty: number('Metres'),
        type: { const: 'weak_perspective' },
      },
      { description: 'The same camera as weak perspective of the square around the person' },
    ),
    camera_full: closed(
      {
        tx: number('Metres'),
        ty: number('Metres'),
        tz: number('Metres'),
        focal_length: number('Pixels'),
        img_width: integer('Pixels'),
        img_height: integer('Pixels'),
        type: { const: 'perspective' },
      },
      { description: 'The same camera as a pinhole in the middle of the image' },
    ),
    scaled_focal_length: number('Pixels of the full image'),
    tracking_confidence: number('1: seen in this frame'),
    mesh_vertices: integer('How many'),
    mesh_vertices_data: list(vector(3), '[6890][3] metres, around the origin of the joints'),
    mesh_faces_data: list(list({ type: 'integer' }), '[13776][3] vertex numbers'),
    detection: closed(
      {
        box_center: vector(2, 'Of the square around the primary person, pixels'),
        box_size: number('Its side, pixels'),
        vitdet_used: flag('Whether ViTDet found them'),
        num_persons_detected: integer('Persons in this frame'),
      },
      { optional: ['box_center', 'box_size'] },
    ),
    phalp_available: flag('Whether PHALP’s networks are loaded'),
    persons: list(
      ref('Person'),
      'Everybody, the primary person first (whose mesh is not repeated)',
    ),
    timings_ms: map({ type: 'number' }, 'Milliseconds in each stage'),
    processing_time_ms: number('Work on the frame, milliseconds; waiting is not counted'),
    model_version: text('What measured it'),
    visualization: text('data:image/png;base64,…'),
    visualization_base64: text('The same without its head'),
    visualization_error: text('Why there is no picture'),
    mesh_rendered: flag('Whether the picture shows surfaces'),
    error: orNull(text('Null: it went well')),
    request_id: text('As in the log'),
  },
  {
    optional: [
      'camera_translation',
      'camera_params',
      'camera_full',
      'scaled_focal_length',
      'tracking_confidence',
      'mesh_vertices',
      'mesh_vertices_data',
      'mesh_faces_data',
      'visualization',
      'visualization_base64',
      'visualization_error',
      'mesh_rendered',
    ],
  },
)

/** A refusal where a pose was asked for: what a client reads of a frame is there, and empty. */
const poseError = {
  type: 'object',
  properties: {
    error: text('What was expected, what was found, what to do'),
    error_code: text('Stable, ERR_POSE4D_… (docs/errors.md)'),
    request_id: text('As in the log'),
    frame_number: integer('As given'),
    frame_width: integer('Pixels; 0: nothing could be decoded'),
    frame_height: integer('Pixels'),
    keypoints: list(ref('Keypoint'), 'Empty'),
    keypoint_count: integer('0'),
    has_3d: flag('False'),
    persons: list(ref('Person'), 'Empty'),
    processing_time_ms: number('Milliseconds'),
    model_version: text('`unknown` where no model saw it'),
  },
  required: ['error', 'error_code', 'request_id', 'frame_number', 'keypoints', 'has_3d'],
}

module.exports = {
  components: { Keypoint: keypoint, Person: person, Pose: pose, PoseError: poseError },
  headers,
  requests,
}
