// The web page on a server, with answers from a real engine.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import { createEngine } from '../../index.mjs'

const require = createRequire(import.meta.url)
const { registerWeb } = require('../../service/web.cjs')
const SERVICE = fileURLToPath(new URL('../../service/server.cjs', import.meta.url))

const rows = (values, width) =>
  Array.from({ length: values.length / width }, (_, i) =>
    Array.from(values.subarray(width * i, width * (i + 1))),
  )

const cameraOverHttp = ({ translation: [tx, ty, tz], center: [cx, cy], focalLength }) => ({
  ...{ tx, ty, tz, cx, cy },
  focal_length: focalLength,
})

/** A person as the service spells it over HTTP. */
const personOverHttp = (person) => ({
  track_id: person.trackId,
  confidence: person.score,
  tracking_confidence: person.trackingConfidence,
  source: person.source,
  bbox: Array.from(person.box),
  keypoints: person.keypoints,
  keypoints_3d: rows(person.joints3d, 3),
  joint_angles_3d: person.jointAngles3d,
  ...(person.camera && { camera: cameraOverHttp(person.camera) }),
})

const frameOverHttp = (result) => ({
  frame_number: result.frameNumber,
  ...(result.timestampMs !== undefined && { timestamp: result.timestampMs / 1000 }),
  frame_width: result.frameWidth,
  frame_height: result.frameHeight,
  persons: result.persons.map(personOverHttp),
  processing_time_ms: result.processingTimeMs,
  model_version: result.modelVersion,
  error: result.error ?? null,
  error_code: result.errorCode,
})

/** The uploaded file of a form, as the platform itself reads forms. */
async function uploaded({ headers, body }) {
  const form = await new Response(body, {
    headers: { 'content-type': headers['content-type'] },
  }).formData()
  return Buffer.from(await form.get('video').arrayBuffer())
}

/** Runs a video through the engine and keeps count. */
async function runJob(engine, job, file) {
  const video = engine.processVideo(file)
  try {
    const { frames } = await video.info
    job.frames_total = frames
    for await (const result of video) {
      if (job.removed) return
      job.frames.push(frameOverHttp(result))
      job.frames_done = job.frames.length
    }
    job.status = 'completed'
  } catch (error) {
    Object.assign(job, { status: 'error', error: error.message })
  }
}

function poseRoutes(app, engine, { folder, token }) {
  const jobs = new Map()
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_, body, done) =>
    done(null, body),
  )
  app.addHook('onRequest', async (request, reply) => {
    if (!token || request.routeOptions.config.open) return
    if (request.headers.authorization !== `Bearer ${token}`)
      return reply.code(401).send({ error: 'a token is needed' })
  })
  app.get('/health', { config: { open: true } }, async () => ({ status: 'ready', ready: true }))
  app.post('/pose', async (request) => {
    const { image_base64: imageBase64, frame_number: frameNumber } = request.body
    const frame = { frameNumber, imageBase64 }
    const [result] = await engine.processFrames([frame], { tracking: false })
    return frameOverHttp(result)
  })
  app.post('/pose/video', async (request, reply) => {
    const id = String(jobs.size + 1)
    const file = path.join(folder, `${id}.mp4`)
    writeFileSync(file, await uploaded(request))
    const job = { job_id: id, status: 'processing', frames: [], frames_done: 0, frames_total: null }
    jobs.set(id, job)
    runJob(engine, job, file)
    return reply.code(202).send({ status: 'queued', job_id: id })
  })
  app.get('/pose/video/status/:id', async (request, reply) => {
    const job = jobs.get(request.params.id)
    if (!job) return reply.code(404).send({ error: 'no such job' })
    const { frames, ...answer } = job
    const done = job.status === 'completed' && request.query.result !== 'false'
    return { ...answer, result: done ? { frames, model_version: frames[0]?.model_version } : null }
  })
  app.get('/frame/:id/:i', async (request, reply) => {
    const { id, i } = request.params
    const from = ['-v', 'error', '-i', path.join(folder, `${id}.mp4`), '-vf', `select=eq(n\\,${i})`]
    const jpeg = execFileSync('ffmpeg', [...from, '-frames:v', '1', '-f', 'mjpeg', '-'])
    return reply.type('image/jpeg').send(jpeg)
  })
  app.delete('/job_status/:id', async ({ params: { id } }) => {
    jobs.get(id).removed = true
    return { job_id: id, status: 'removed' }
  })
}

/** The page without the service: its routes answer as the service does, as far as the page asks. */
async function standIn({ engine, folder, prefix, token }) {
  const app = fastify({ bodyLimit: 64 << 20, forceCloseConnections: true })
  await app.register(
    async (part) => {
      registerWeb(part)
      poseRoutes(part, engine, { folder, token })
    },
    { prefix },
  )
  return app
}

/**
 * The page as `pose4d serve` has it. Below a prefix, which the service does not take, and in a checkout without the
 * service, it is beside routes of the same answers; the engine is a real one in any case.
 */
export async function serveWeb({ prefix = '', token } = {}) {
  const engine = await createEngine({ model: 'blazepose' })
  const folder = mkdtempSync(path.join(tmpdir(), 'pose4d-web-'))
  const real = existsSync(SERVICE) && prefix === ''
  const app = real
    ? await require(SERVICE).createServer({
        engine,
        token,
        dataDir: path.join(folder, 'jobs'),
        drainMs: 1000,
      })
    : await standIn({ engine, folder, prefix, token })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    engine,
    folder,
    url: `${origin}${prefix}/`,
    async close() {
      await app.close()
      await engine.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
