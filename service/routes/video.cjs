'use strict'
// Videos: /pose/video, /process_video, /process_video_async, their states, frames and drawn files.

const fs = require('node:fs')
const { Readable } = require('node:stream')
const { facesText } = require('../answers.cjs')
const { JOBS_OFF, NOT_FOUND, REQUEST, serviceError } = require('../errors.cjs')
const { VIDEO_FRAME, VIDEO_NOT_FOUND } = require('../../lib/video/errors.cjs')
const { framePicture } = require('../jobs/picture.cjs')
const { ref } = require('../schemas/build.cjs')
const { headers } = require('../schemas/pose.cjs')
const { requests } = require('../schemas/video.cjs')
const { object, processData, secondsOf, trackResult } = require('../video_answers.cjs')
const { receive } = require('../upload.cjs')

const JSON_TYPE = 'application/json; charset=utf-8'
const now = () => Date.now() / 1000

/** JSON as pieces, so that no answer has to fit into one text. */
const send = (reply, pieces) =>
  reply.type(JSON_TYPE).send(Readable.from(pieces, { objectMode: false }))

function failure({ id, error, error_code: code }) {
  return serviceError(code, error, { body: { job_id: id } })
}

/** Until when a caller waits for a job: its own deadline, the service's, or its leaving. */
function patience({ headers: given, gone }, { timeoutMs }) {
  const asked = Number(given['x-timeout-ms'] ?? Number.POSITIVE_INFINITY)
  return AbortSignal.any([gone, AbortSignal.timeout(Math.min(asked, timeoutMs))])
}

/** What the endpoints share. */
class Videos {
  constructor({ settings, jobs, host, queue, roots }) {
    Object.assign(this, { settings, jobs, host, queue, roots })
  }

  async find(id) {
    const job = await this.jobs.get(id)
    if (job) return job
    throw serviceError(NOT_FOUND, `Job ${id} not found`, { body: { job_id: id } })
  }

  results(job) {
    return () => this.jobs.results(job.id)
  }

  /** Faces are the engine's, which may not be made yet after a restart. */
  async answerOptions({ mesh }) {
    const faces = mesh === 'false' ? undefined : (await this.host.get()).meshFaces
    return {
      mesh: mesh !== 'false',
      legacyNames: this.settings.legacyNames,
      facesText: faces ? facesText(faces) : undefined,
    }
  }

  async track(job, query, more) {
    return trackResult(job, this.results(job), await this.answerOptions(query), more)
  }

  async process(job, query) {
    return processData(job, this.results(job), await this.answerOptions(query))
  }

  async waiting(job) {
    return {
      status: job.status === 'processing' ? 'processing' : 'queued',
      job_id: job.id,
      message: `Ask /pose/video/status/${job.id} or /job_status/${job.id} how far it is.`,
      queue_position: await this.jobs.ahead(job),
    }
  }

  async accept(request, kind) {
    if (request.isMultipart()) return receive(request, this.jobs, kind)
    const { body } = request
    if (kind !== 'track' || !body)
      throw serviceError(
        REQUEST,
        'A video file is required: multipart/form-data with a field `video`',
      )
    const video = await this.roots.toRead(body.video_path, VIDEO_NOT_FOUND)
    const options = { mesh: body.mesh, maxFrames: body.max_frames }
    return this.jobs.add({ kind, video, name: body.video_path, options })
  }

  /** The job when it has ended. A caller who left without knowing its name takes it along. */
  async outcome(job, request) {
    const ended = await this.jobs.ended(job.id, patience(request, this.settings))
    if (request.gone.aborted) {
      await this.jobs.remove(job.id)
      throw request.gone.reason
    }
    if (ended?.status === 'error') throw failure(ended)
    return ended ?? job
  }
}

async function poseVideo(videos, request, reply) {
  const job = await videos.accept(request, 'track')
  const busy = (await videos.jobs.ahead(job)) > 0
  if (busy || request.query.wait === 'false') return reply.code(202).send(await videos.waiting(job))
  const ended = await videos.outcome(job, request)
  if (ended.status !== 'complete') return reply.code(202).send(await videos.waiting(ended))
  return send(reply, await videos.track(ended, request.query))
}

async function processVideo(videos, request, reply) {
  const job = await videos.accept(request, 'process')
  if (request.query.wait === 'false') return reply.code(202).send(await videos.waiting(job))
  const ended = await videos.outcome(job, request)
  if (ended.status !== 'complete') return reply.code(202).send(await videos.waiting(ended))
  const data = await videos.process(ended, request.query)
  return send(reply, object({ status: 'success', data }))
}

async function processVideoAsync(videos, request) {
  const { id } = await videos.accept(request, 'process')
  return {
    status: 'accepted',
    job_id: id,
    message: `Video processing started. Poll /job_status/${id} for progress.`,
  }
}

async function videoStatus(videos, { params, query }, reply) {
  const job = await videos.find(params.id)
  const done = job.status === 'complete' && query.result !== 'false'
  const state = {
    job_id: job.id,
    status: job.status === 'complete' ? 'completed' : job.status,
    video_path: job.name,
    queue_position: await videos.jobs.ahead(job),
    queued_at: job.created,
    started_at: job.started,
    completed_at: job.finished,
    frames_done: job.frames_done,
    frames_total: job.frames_total,
    error: job.error,
    error_code: job.error_code ?? undefined,
    result: done ? await videos.track(job, query) : null,
  }
  return send(reply, object(state))
}

async function jobStatus(videos, { params, query }, reply) {
  const job = await videos.find(params.id)
  const { status } = job
  const complete = status === 'complete'
  const done = complete && query.result !== 'false'
  const state = {
    job_id: job.id,
    status,
    queue_position: await videos.jobs.ahead(job),
    frames_done: job.frames_done,
    frames_total: job.frames_total,
    elapsed_time: status === 'processing' ? now() - job.started : undefined,
    processing_time: complete ? secondsOf(job) : undefined,
    output_path: complete ? job.output : undefined,
    error: job.error ?? undefined,
    error_code: job.error_code ?? undefined,
    result: done ? await videos.process(job, query) : undefined,
  }
  return send(reply, object(state))
}

async function jobRemove(videos, { params }) {
  await videos.find(params.id)
  await videos.jobs.remove(params.id)
  return { job_id: params.id, status: 'removed' }
}

async function jobFrame(videos, { params, query, gone, ip }, reply) {
  const job = await videos.find(params.job)
  const result = await videos.jobs.result(job.id, Number(params.i))
  if (!result) {
    const has = `it has ${job.frames_done} so far`
    throw serviceError(NOT_FOUND, `Job ${job.id} has no frame ${params.i}; ${has}`)
  }
  const drawn = query.overlay !== 'false'
  const picture = await videos.queue.run(
    () => framePicture({ video: job.video, result, signal: gone, drawn }),
    { client: ip, signal: gone },
  )
  if (picture) return reply.type('image/jpeg').send(picture)
  throw serviceError(VIDEO_FRAME, result.error ?? 'The frame cannot be decoded')
}

async function jobOutput(videos, { params }, reply) {
  const { output } = await videos.find(params.job)
  const size = output && fs.statSync(output, { throwIfNoEntry: false })?.size
  if (!size) throw serviceError(NOT_FOUND, `Job ${params.job} has no drawn video`)
  reply.header('content-length', size).type('video/mp4')
  return reply.send(fs.createReadStream(output))
}

const answer = (description, name) => ({ description, schema: ref(name) })
const file = (description, contentType) => ({
  description,
  contentType,
  schema: { type: 'string', contentMediaType: contentType },
})

const ENDPOINTS = [
  {
    route: ['POST', '/pose/video', poseVideo],
    upload: true,
    operationId: 'poseVideo',
    summary: 'Poses of the people in a video, with identities',
    description:
      'Answers with the results when they are there within the deadline and nothing else is at work, else with 202.',
    headers,
    body: { content: { 'application/json': { schema: requests.track } } },
    multipart: requests.multipart,
    querystring: requests.waitQuery,
    response: {
      200: answer('Results', 'VideoResult'),
      202: answer('Accepted; ask later', 'VideoQueued'),
    },
  },
  {
    route: ['POST', '/process_video', processVideo],
    upload: true,
    operationId: 'processVideo',
    summary: 'A video drawn, and its poses',
    headers,
    multipart: requests.multipart,
    querystring: requests.waitQuery,
    response: {
      200: answer('Results', 'ProcessResult'),
      202: answer('Not done within the deadline; ask later', 'VideoQueued'),
    },
  },
  {
    route: ['POST', '/process_video_async', processVideoAsync],
    upload: true,
    operationId: 'processVideoAsync',
    summary: 'The same; answers when the video is accepted',
    multipart: requests.multipart,
    response: { 200: answer('Accepted', 'JobAccepted') },
  },
  {
    route: ['GET', '/pose/video/status/:id', videoStatus],
    operationId: 'videoStatus',
    summary: 'Where a video is, and its results',
    params: requests.job,
    querystring: requests.resultQuery,
    response: { 200: answer('State', 'VideoStatus') },
  },
  {
    route: ['GET', '/job_status/:id', jobStatus],
    operationId: 'jobStatus',
    summary: 'Where a video is, and its results, as /process_video has them',
    params: requests.job,
    querystring: requests.resultQuery,
    response: { 200: answer('State', 'JobStatus') },
  },
  {
    route: ['DELETE', '/job_status/:id', jobRemove],
    operationId: 'jobRemove',
    summary: 'End a job and forget it, with its files',
    params: requests.job,
    response: { 200: answer('Gone', 'JobRemoved') },
  },
  {
    route: ['GET', '/frame/:job/:i', jobFrame],
    operationId: 'jobFrame',
    summary: 'A frame of a video, with its people drawn in',
    params: requests.frame,
    querystring: requests.drawnQuery,
    response: { 200: file('JPEG', 'image/jpeg') },
  },
  {
    route: ['GET', '/output/:job', jobOutput],
    operationId: 'jobOutput',
    summary: 'The drawn video',
    params: requests.output,
    response: { 200: file('MP4', 'video/mp4') },
  },
]

const videoRoutes = (app, parts) => {
  const videos = new Videos(parts)
  for (const { route, upload = false, ...schema } of ENDPOINTS) {
    const [method, url, handler] = route
    app.route({
      method,
      url,
      config: { answers: 'video', upload },
      schema: { tags: ['video'], ...schema },
      preValidation: async () => {
        if (parts.jobs) return
        throw serviceError(JOBS_OFF, 'This service does no videos: it was started without jobs.')
      },
      handler: (request, reply) => handler(videos, request, reply),
    })
  }
}

module.exports = videoRoutes
