'use strict'
// One frame in, its people out: /pose, /pose/hybrid, /detect_pose_with_visualization.

const { answerText, poseAnswer } = require('../answers.cjs')
const { ref } = require('../schemas/build.cjs')
const { headers, requests } = require('../schemas/pose.cjs')

const ENDPOINTS = [
  {
    url: '/pose',
    operationId: 'pose',
    summary: 'Keypoints of the people in a picture',
    body: requests.pose,
    image: 'image_base64',
  },
  {
    url: '/pose/hybrid',
    operationId: 'poseHybrid',
    summary: 'Keypoints, 3D joints, angles, camera and mesh of the people in a picture',
    body: requests.hybrid,
    image: 'image_base64',
  },
  {
    url: '/detect_pose_with_visualization',
    operationId: 'poseWithVisualization',
    summary: 'The same, with the picture drawn',
    body: requests.visualization,
    image: 'image',
  },
]

/** On whose behalf, how urgent, until when. */
function concernOf({ headers, ip, gone }, { timeoutMs }) {
  const asked = Number(headers['x-timeout-ms'] ?? Number.POSITIVE_INFINITY)
  return {
    client: headers['x-client-id'] ?? ip,
    priority: headers['x-priority'] ?? 'normal',
    timeoutMs: Math.min(asked, timeoutMs),
    signal: gone,
  }
}

/** The old service's names for the drawn picture. */
function pictureFields({ picture, pictureError }) {
  const base64 = picture?.toString('base64')
  return {
    ...(base64 && {
      visualization: `data:image/png;base64,${base64}`,
      visualization_base64: base64,
    }),
    ...(pictureError && { visualization_error: pictureError }),
    // Skeletons are drawn, not surfaces.
    mesh_rendered: false,
  }
}

const poseRoutes = (app, { settings, frames, host }) => {
  for (const { url, operationId, summary, body, image } of ENDPOINTS) {
    app.route({
      method: 'POST',
      url,
      bodyLimit: settings.maxBodyBytes,
      config: { answers: 'pose' },
      schema: {
        operationId,
        tags: ['pose'],
        summary,
        description:
          'The old fields carry the primary person, `persons` everybody. Nobody found: has_3d false, no keypoints.',
        headers,
        body,
        response: { 200: { description: 'What was found', schema: ref('Pose') } },
      },
      handler: async (request, reply) => {
        const { frame_number: frameNumber, mesh, mesh_faces, visualize } = request.body
        request.logFields = { frame: frameNumber }
        const frame = { frameNumber, imageBase64: request.body[image] }
        const made = await frames.one(frame, { mesh, visualize }, concernOf(request, settings))
        const answer = {
          ...poseAnswer(made.result, {
            mesh,
            legacyNames: settings.legacyNames,
            models: host.models(),
          }),
          ...(visualize && pictureFields(made)),
          request_id: request.id,
        }
        const faces = mesh && mesh_faces ? made.engine.meshFaces : undefined
        return reply.type('application/json; charset=utf-8').send(answerText(answer, faces))
      },
    })
  }
}

module.exports = poseRoutes
