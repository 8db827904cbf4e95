// The old backend's functions, unchanged, against the service with real photos: every field that they
// read, its type and its unit; each endpoint against its own description.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'

import { createEngine, toLegacyResult } from '../index.mjs'
import { humansCache, SEES } from './helpers/humans.mjs'
import { png, sample } from './helpers/images.mjs'
import { oldClient } from './helpers/old_client.mjs'
import { cutouts, describedBy, serve } from './helpers/service.mjs'

const require = createRequire(import.meta.url)
const { Validator } = require('@seriousme/openapi-schema-validator')

const photo = sample().toString('base64')
const SIZE = { width: 1768, height: 994 }
const SMPL24 = [
  ...['pelvis', 'left_hip', 'right_hip', 'spine1', 'left_knee', 'right_knee', 'spine2'],
  ...['left_ankle', 'right_ankle', 'spine3', 'left_foot', 'right_foot', 'neck', 'left_collar'],
  ...['right_collar', 'head', 'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow'],
  ...['left_wrist', 'right_wrist', 'left_hand', 'right_hand'],
]
const OLD_ANGLES = ['left_knee', 'right_knee', 'left_hip', 'right_hip', 'left_elbow', 'right_elbow']
OLD_ANGLES.push('left_shoulder', 'right_shoulder', 'spine')

const finite = (values) => values.every(Number.isFinite)
const near = (a, b, within, what) =>
  assert.ok(Math.abs(a - b) <= within, `${what}: ${a} is not within ${within} of ${b}`)

/** What every reader of a frame relies on. */
function checkFrame(frame, frameNumber) {
  assert.equal(frame.error, undefined)
  assert.equal(frame.frameNumber, frameNumber)
  assert.deepEqual([frame.frameWidth, frame.frameHeight], [SIZE.width, SIZE.height])
  assert.equal(frame.keypointCount, frame.keypoints.length)
  assert.ok(frame.keypoints.length > 0)
  for (const { name, x, y, z, confidence } of frame.keypoints) {
    assert.equal(typeof name, 'string')
    assert.ok(finite([x, y, z]))
    assert.ok(confidence >= 0 && confidence <= 1)
  }
  assert.ok(frame.processingTimeMs > 0)
  assert.equal(typeof frame.modelVersion, 'string')
}

/** A joint in 3D, seen by the camera that is in the answer, is where its keypoint is. */
function checkProjection(answer, within) {
  const { camera_full: camera, joints_3d_raw: joints, keypoints } = answer
  const middle = [camera.img_width / 2, camera.img_height / 2]
  joints.forEach(([x, y, z], i) => {
    const depth = z + camera.tz
    const u = (camera.focal_length * (x + camera.tx)) / depth + middle[0]
    const v = (camera.focal_length * (y + camera.ty)) / depth + middle[1]
    near(u, keypoints[i].x, within, keypoints[i].name)
    near(v, keypoints[i].y, within, keypoints[i].name)
  })
}

/** 4D-Humans' own formula from the crop's camera to the image's. */
function checkWeakPerspective(answer) {
  const { scale, tx, ty, type } = answer.camera_params
  const { box_center: center, box_size: size } = answer.detection
  const { focal_length: focal, img_width: w, img_height: h } = answer.camera_full
  const across = size * scale
  assert.equal(type, 'weak_perspective')
  const expected = [
    (2 * (center[0] - w / 2)) / across + tx,
    (2 * (center[1] - h / 2)) / across + ty,
    (2 * focal) / across,
  ]
  answer.camera_translation.forEach((value, i) => {
    near(value, expected[i], 1e-4 * Math.max(1, Math.abs(value)), `translation ${i}`)
  })
}

const post = async (url, path, body, headers) => {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

describe('with the embedded model', () => {
  let engine
  let service
  let api
  before(async () => {
    engine = await createEngine({ model: 'blazepose' })
    service = await serve({ engine })
    api = await describedBy(service.app)
  })
  after(async () => {
    await service.close()
    await engine.close()
  })

  test('health and status: not ready before a frame has gone through, then ready', async () => {
    const client = oldClient(service.url)
    assert.equal(await client.checkPoseServiceHealth(), false)
    const cold = await fetch(`${service.url}/api/pose/health`)
    assert.equal(cold.status, 503)
    const initializing = await cold.json()
    assert.equal(initializing.status, 'initializing')
    api.check('/api/pose/health', 'get', 503, initializing)

    const warm = await fetch(`${service.url}/warmup`, { method: 'POST' })
    const report = await warm.json()
    assert.equal(warm.status, 200)
    api.check('/warmup', 'post', 200, report)
    assert.equal(report.status, 'ready')
    assert.equal(report.blazepose.status, 'loaded')
    assert.ok(report.blazepose.load_time_seconds >= 0)

    assert.equal(await client.checkPoseServiceHealth(), true)
    assert.deepEqual(await client.getPoseServiceStatus(), {
      status: 'ready',
      models: { hmr2: 'not_loaded', vitdet: 'not_loaded', blazepose: 'loaded' },
      ready: true,
    })
    const health = await (await fetch(`${service.url}/health`)).json()
    api.check('/health', 'get', 200, health)
    near(health.timestamp, Date.now() / 1000, 60, 'Unix seconds')
    const ready = await (await fetch(`${service.url}/api/pose/health`)).json()
    api.check('/api/pose/health', 'get', 200, ready)
    assert.equal(ready.status, 'healthy')
    assert.equal(ready.models.blazepose, true)
  })

  test('a service that is not there', async () => {
    const gone = await serve({ engine })
    await gone.close()
    const client = oldClient(gone.url, { retryDelay: 1 })
    assert.equal(await client.checkPoseServiceHealth(), false)
    assert.equal((await client.getPoseServiceStatus()).status, 'offline')
    assert.match((await client.detectPose(photo, 3)).error, /not available/)
  })

  test('detectPose', async () => {
    const client = oldClient(service.url)
    const frame = await client.detectPose(photo, 7)
    checkFrame(frame, 7)
    const nose = client.getKeypoint(frame, 'nose')
    assert.ok(nose.x > 0 && nose.x < SIZE.width && nose.y > 0 && nose.y < SIZE.height)
    assert.equal(client.getKeypoints(frame, ['left_knee', 'no_such', 'right_knee']).length, 2)
    assert.ok(client.getAverageConfidence(frame) > 0.5)
  })

  test('detectPoseParallel: each picture its own answer', async () => {
    const pictures = await cutouts(6)
    const frames = pictures.map((bytes, i) => ({
      imageBase64: bytes.toString('base64'),
      frameNumber: 10 + i,
    }))
    const results = await oldClient(service.url).detectPoseParallel(frames)
    const direct = await engine.processFrames(
      pictures.map((image, i) => ({ frameNumber: 10 + i, image })),
      { tracking: false },
    )
    results.forEach((result, i) => {
      assert.equal(result.frameNumber, 10 + i)
      assert.deepEqual(
        result.keypoints.map(({ name, x, y, z, confidence }) => ({ name, x, y, z, confidence })),
        direct[i].keypoints.map(({ name, x, y, z, confidence }) => ({ name, x, y, z, confidence })),
      )
    })
  })

  test('detectPoseHybrid', async () => {
    const frame = await oldClient(service.url).detectPoseHybrid(photo, 3)
    checkFrame(frame, 3)
    assert.equal(frame.has3d, true)
    assert.equal(frame.joints3dRaw.length, frame.keypoints.length)
    assert.ok(frame.joints3dRaw.every((joint) => joint.length === 3 && finite(joint)))
    const heights = frame.joints3dRaw.map(([, y]) => y)
    const tall = Math.max(...heights) - Math.min(...heights)
    assert.ok(tall > 0.5 && tall < 3, `metres: ${tall}`)
    for (const degrees of Object.values(frame.jointAngles3d))
      assert.ok(degrees >= 0 && degrees <= 180)
    assert.ok(Object.keys(frame.jointAngles3d).includes('left_knee'))
    assert.equal(frame.cameraTranslation.length, 3)
    assert.ok(frame.cameraTranslation[2] > 1 && frame.cameraTranslation[2] < 100, 'metres away')
    assert.equal(frame.trackingConfidence, 1)
    assert.equal(frame.visualization, undefined)
    assert.equal(frame.mesh_vertices_data, undefined, 'BlazePose has no mesh')
  })

  test('visualize: the picture, drawn', async () => {
    const frame = await oldClient(service.url).detectPoseHybrid(photo, 3, true)
    const [, base64] = /^data:image\/png;base64,(.+)$/.exec(frame.visualization)
    const bytes = Buffer.from(base64, 'base64')
    assert.equal(bytes.subarray(1, 4).toString(), 'PNG')
    assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [SIZE.width, SIZE.height])

    const { body } = await post(service.url, '/detect_pose_with_visualization', {
      image: photo,
      frame_number: 3,
    })
    api.check('/detect_pose_with_visualization', 'post', 200, body)
    assert.equal(body.visualization, frame.visualization)
    assert.equal(body.visualization, `data:image/png;base64,${body.visualization_base64}`)
    assert.equal(body.mesh_rendered, false)
  })

  test('detectPoseHybridBatch keeps the order', async () => {
    const frames = [5, 4, 9].map((frameNumber) => ({ imageBase64: photo, frameNumber }))
    const results = await oldClient(service.url).detectPoseHybridBatch(frames)
    assert.deepEqual(
      results.map(({ frameNumber }) => frameNumber),
      [5, 4, 9],
    )
    for (const result of results) assert.deepEqual(result.keypoints, results[0].keypoints)
  })

  test('everybody is in persons, and equals the direct call', async () => {
    const { status, body } = await post(service.url, '/pose/hybrid', { image_base64: photo })
    assert.equal(status, 200)
    api.check('/pose/hybrid', 'post', 200, body)
    const [direct] = await engine.processFrames([{ frameNumber: 0, image: sample() }], {
      tracking: false,
    })
    assert.equal(body.persons.length, 2)
    assert.equal(body.detection.num_persons_detected, 2)
    body.persons.forEach((person, i) => {
      const expected = direct.persons[i]
      assert.deepEqual(person.bbox, [...expected.box])
      assert.equal(person.confidence, expected.score)
      assert.deepEqual(person.keypoints_3d.flat(), [...expected.joints3d])
      assert.deepEqual(person.joint_angles_3d, expected.jointAngles3d)
    })
    assert.deepEqual(body.keypoints, body.persons[0].keypoints)
    assert.deepEqual(body.joints_3d_raw, body.persons[0].keypoints_3d)
    assert.deepEqual(
      body.keypoints.map((k) => [k.x_3d, k.y_3d, k.z_3d]),
      body.joints_3d_raw,
    )
    checkWeakPerspective(body)
  })

  test('nobody in the picture is no error', async () => {
    const blank = png(320, 240).toString('base64')
    const { status, body } = await post(service.url, '/pose/hybrid', { image_base64: blank })
    assert.equal(status, 200)
    api.check('/pose/hybrid', 'post', 200, body)
    assert.deepEqual([body.has_3d, body.keypoints, body.persons], [false, [], []])
    assert.equal(body.error, null)
  })

  const refusals = [
    ['no image', {}, 400, /image_base64/, 'ERR_POSE4D_REQUEST'],
    ['an image that is a number', { image_base64: 7 }, 400, /string/, 'ERR_POSE4D_REQUEST'],
    [
      'an empty image',
      { image_base64: '' },
      400,
      /image_base64 must not be empty/,
      'ERR_POSE4D_REQUEST',
    ],
    [
      'a negative frame',
      { image_base64: 'a', frame_number: -1 },
      400,
      />= 0/,
      'ERR_POSE4D_REQUEST',
    ],
    ['not base64', { image_base64: '***' }, 422, /base64/, 'ERR_POSE4D_IMAGE_BASE64'],
    ['not an image', { image_base64: 'aGVsbG8=' }, 422, /expected JPEG/, 'ERR_POSE4D_IMAGE_FORMAT'],
    [
      'a bomb',
      { image_base64: png(1, 1, { claimed: { width: 60000, height: 60000 } }).toString('base64') },
      413,
      /pixels/,
      'ERR_POSE4D_IMAGE_TOO_LARGE',
    ],
    [
      'half an image',
      { image_base64: sample().subarray(0, 5000).toString('base64'), frame_number: 4 },
      422,
      /./,
      'ERR_POSE4D_IMAGE_CORRUPT',
    ],
  ]
  for (const [name, body, status, words, code] of refusals) {
    test(`an error is in the body where clients read it: ${name}`, async () => {
      const answer = await post(service.url, '/pose/hybrid', body)
      assert.equal(answer.status, status)
      api.check('/pose/hybrid', 'post', status, answer.body)
      assert.match(answer.body.error, words)
      assert.equal(answer.body.error_code, code)
      assert.deepEqual([answer.body.keypoints, answer.body.has_3d], [[], false])
      const frameNumber = Number.isInteger(body.frame_number) ? Math.max(0, body.frame_number) : 0
      assert.equal(answer.body.frame_number, frameNumber)
      assert.equal(answer.headers.get('x-request-id'), answer.body.request_id)
      const frame = await oldClient(service.url).detectPoseHybrid(body.image_base64, 4)
      assert.match(frame.error, /status code 4\d\d/)
    })
  }

  test('the pool’s state', async () => {
    const body = await (await fetch(`${service.url}/api/pose/pool-status`)).json()
    api.check('/api/pose/pool-status', 'get', 200, body)
    assert.deepEqual(body.pool, {
      gpu_busy: false,
      max_workers: 4,
      active_workers: 0,
      available_workers: 4,
    })
    assert.equal(body.queue.estimated_wait_time_seconds, 0)
  })

  test('the description is valid OpenAPI 3.1 and names every endpoint of the contract', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(api.document))
    assert.ok(valid, JSON.stringify(errors))
    assert.equal(api.document.openapi, '3.1.0')
    const paths = [
      ...['/health', '/warmup', '/pose', '/pose/hybrid', '/detect_pose_with_visualization'],
      ...['/api/pose/health', '/api/pose/pool-status', '/pose/video', '/pose/video/status/{id}'],
      ...['/process_video', '/process_video_async', '/job_status/{id}', '/frame/{job}/{i}'],
      ...['/api/models/cache/info', '/api/models/status', '/api/models/cache/clear'],
      ...['/api/models/cache/optimize', '/api/models/export/{name}'],
    ]
    for (const path of paths) assert.ok(api.document.paths[path], path)
  })
})

describe('with a mesh: 4D-Humans in small', () => {
  let cache
  let config
  let engine
  let service
  let api
  before(async () => {
    cache = humansCache()
    config = { model: '4dhumans', cacheDir: cache.cacheDir, precision: 'fp32', humans: SEES }
    service = await serve({ engineConfig: config })
    api = await describedBy(service.app)
    engine = await createEngine({ ...config, keypoints: 'smpl24' })
  })
  after(async () => {
    await service.close()
    await engine.close()
    cache.remove()
  })

  test('the mesh under its old names, once for all the triangles', async () => {
    const frame = await oldClient(service.url).detectPoseHybrid(photo, 2)
    checkFrame(frame, 2)
    assert.deepEqual(
      frame.keypoints.map(({ name }) => name),
      SMPL24,
    )
    assert.equal(frame.meshVertices, 6890)
    assert.equal(frame.mesh_vertices_data.length, 6890)
    assert.ok(frame.mesh_vertices_data.every((vertex) => vertex.length === 3 && finite(vertex)))
    assert.equal(frame.mesh_faces_data.length, 13776)
    assert.ok(frame.mesh_faces_data.flat().every((i) => Number.isInteger(i) && i >= 0 && i < 6890))
    for (const name of OLD_ANGLES) assert.ok(frame.jointAngles3d[name] >= 0, name)
    assert.equal(frame.cameraParams.type, 'weak_perspective')
  })

  test('right where the old ones were wrong: names, projection, camera, angles', async () => {
    const { body } = await post(service.url, '/pose/hybrid', { image_base64: photo })
    api.check('/pose/hybrid', 'post', 200, body)
    checkProjection(body, 0.05)
    checkWeakPerspective(body)
    const [direct] = await engine.processFrames([{ frameNumber: 0, image: sample() }], {
      tracking: false,
    })
    assert.deepEqual(body.mesh_vertices_data.flat(), [...direct.persons[0].mesh.vertices])
    assert.deepEqual(body.mesh_faces_data.flat(), [...engine.meshFaces])
    assert.deepEqual(body.joint_angles_3d, direct.jointAngles3d)
    assert.ok(body.persons.length > 1)
    assert.equal(body.persons[0].mesh_vertices, undefined, 'it is in mesh_vertices_data')
    assert.equal(body.persons[1].mesh_vertices.length, 6890)
    assert.deepEqual(
      [body.persons[0].smpl.body_pose, body.persons[0].smpl.global_orient].map((a) => [
        a.length,
        a[0].length,
        a[0][0].length,
      ]),
      [
        [23, 3, 3],
        [1, 3, 3],
      ],
    )
    assert.equal(body.persons[0].confidence, direct.persons[0].score, 'and not always 1.0')
  })

  test('mesh and faces can be left out', async () => {
    const ask = async (more) =>
      (await post(service.url, '/pose/hybrid', { image_base64: photo, ...more })).body
    const noFaces = await ask({ mesh_faces: false })
    assert.equal(noFaces.mesh_vertices_data.length, 6890)
    assert.equal(noFaces.mesh_faces_data, undefined)
    const noMesh = await ask({ mesh: false })
    assert.equal(noMesh.mesh_vertices_data, undefined)
    assert.ok(noMesh.persons.every((person) => person.mesh_vertices === undefined))
    assert.deepEqual(noMesh.joints_3d_raw, noFaces.joints_3d_raw)
  })

  test('legacyNames: the old mistakes, and nothing else changed', async () => {
    const legacy = await serve({ engineConfig: config, legacyNames: true })
    const raw = await createEngine({ ...config, keypoints: 'native' })
    try {
      const { body } = await post(legacy.url, '/pose/hybrid', { image_base64: photo })
      const frame = { frameNumber: 0, image: sample() }
      const [direct] = await raw.processFrames([frame], { tracking: false })
      assert.deepEqual(
        body.keypoints.map(({ name }) => name),
        SMPL24,
      )
      const [nose] = direct.keypoints
      assert.equal(nose.name, 'nose')
      assert.deepEqual([body.keypoints[0].x, body.keypoints[0].y], [nose.x, nose.y], 'pelvis: nose')
      assert.equal(body.joints_3d_raw.length, 44)
      assert.deepEqual(Object.keys(body.joint_angles_3d).sort(), [...OLD_ANGLES].sort())
      const [neck, wrist, other] = [1, 4, 7].map((i) => body.joints_3d_raw[i])
      near(body.joint_angles_3d.left_knee, angle(neck, wrist, other), 1e-3, 'neck, wrist, wrist')
      const camel = toLegacyResult(direct, raw, { legacyNames: true })
      assert.deepEqual(camel.jointAngles3d, body.joint_angles_3d)
      assert.deepEqual(camel.cameraParams, body.camera_params)
      const guessed = { ...direct, persons: [{ ...direct.persons[0], joints3d: undefined }] }
      const guess = toLegacyResult(guessed, raw, { legacyNames: true })
      assert.deepEqual([guess.keypoints[0].name, guess.jointAngles3d], ['pelvis', undefined])
      assert.throws(() => toLegacyResult(wrongSet(direct), raw, { legacyNames: true }), {
        code: 'ERR_POSE4D_INVALID_ARGUMENT',
      })
    } finally {
      await raw.close()
      await legacy.close()
    }
  })

  test('legacyNames with a model that has no such joints is refused', async () => {
    const refused = await serve({ engineConfig: { model: 'blazepose' }, legacyNames: true })
    try {
      const { status, body } = await post(refused.url, '/pose/hybrid', { image_base64: photo })
      assert.equal(status, 503, 'no fault of the client')
      assert.match(body.error, /legacyNames/)
    } finally {
      await refused.close()
    }
  })
})

const wrongSet = (result) => ({
  ...result,
  persons: result.persons.map((person) => ({ ...person, keypoints: person.keypoints.slice(3) })),
})

function angle(a, b, c) {
  const [u, v] = [a, c].map((end) => end.map((value, i) => value - b[i]))
  const dot = u.reduce((sum, value, i) => sum + value * v[i], 0)
  return (Math.acos(dot / (Math.hypot(...u) * Math.hypot(...v))) * 180) / Math.PI
}
