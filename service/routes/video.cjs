'use strict'
// Videos: /pose/video, /process_video, /process_video_async, their states, frames and drawn files.

const fs = require('node:fs')
const { Readable } = require('node:stream')
const { facesText } = require('../answers.cjs')
const { JOBS_OFF, NOT_FOUND, REQUEST, serviceError } = require('../errors.cjs')
const { framePicture } = require('../jobs/picture.cjs')
const { ref } = require('../schemas/build.cjs')
const { headers } = require('../schemas/pose.cjs')
const { requests } = require('../schemas/video.cjs')
const { object, processData, secondsOf, trackResult } = require('../video_answers.cjs')
const { receive } = require('../upload.cjs')

const JSON_TYPE = 'application/json; charset=utf-8'
const VIDEO_NOT_FOUND = 'ERR_POSE4D_VIDEO_NOT_FOUND'
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

const videoRoutes = (app, { settings, jobs, host, queue, roots }) => {
  const route = (method, url, operationId, summary, schema, handler, config = {}) =>
    app.route({
      method,
      url,
      config: { answers: 'video', ...config },
      schema: { operationId, tags: ['video'], summary, ...schema },
      preValidation: async () => {
        if (jobs) return
        throw serviceError(JOBS_OFF, 'This service does no videos: it was started without jobs.')
      },
      handler,
    })
  const find = (id) => {
    const job = jobs.get(id)
    if (job) return job
    throw serviceError(NOT_FOUND, `Job ${id} not found`, { body: { job_id: id } })
  }
  const results = (job) => () => jobs.results(job.id)
  /** Faces are the engine's, which may not be made yet after a restart. */
  const answerOptions = async ({ mesh }) => {
    const faces = mesh === 'false' ? undefined : (await host.get()).meshFaces
    return {
      mesh: mesh !== 'false',
      legacyNames: settings.legacyNames,
      facesText: faces ? facesText(faces) : undefined,
    }
  }
  const waiting = (job) => ({
    status: job.status === 'processing' ? 'processing' : 'queued',
    job_id: job.id,
    message: `Ask /pose/video/status/${job.id} or /job_status/${job.id} how far it is.`,
    queue_position: jobs.ahead(job),
  })

  /** The job when it has ended. A caller who left without knowing its name takes it along. */
  async function outcome(job, request) {
    const ended = await jobs.ended(job.id, patience(request, settings))
    if (request.gone.aborted) {
      await jobs.remove(job.id)
      throw request.gone.reason
    }
    if (ended?.status === 'error') throw failure(ended)
    return ended ?? job
  }

  async function accept(request, kind) {
    if (request.isMultipart()) return receive(request, jobs, kind)
    const { body } = request
    if (kind !== 'track' || !body)
      throw serviceError(
        REQUEST,
        'A video file is required: multipart/form-data with a field `video`',
      )
    const video = await roots.toRead(body.video_path, VIDEO_NOT_FOUND)
    const options = { mesh: body.mesh, maxFrames: body.max_frames }
    return jobs.add({ kind, video, name: body.video_path, options })
  }

  route(
    'POST',
    '/pose/video',
    'poseVideo',
    'Poses of the people in a video, with identities',
    {
      description:
        'Answers with the results when they are there within the deadline and nothing else is at work, else with 202.',
      headers,
      body: { content: { 'application/json': { schema: requests.track } } },
      multipart: requests.multipart,
      querystring: requests.waitQuery,
      response: {
        200: { description: 'Results', schema: ref('VideoResult') },
        202: { description: 'Accepted; ask later', schema: ref('VideoQueued') },
      },
    },
    async (request, reply) => {
      const job = await accept(request, 'track')
      const busy = jobs.ahead(job) > 0
      if (busy || request.query.wait === 'false') return reply.code(202).send(waiting(job))
      const ended = await outcome(job, request)
      if (ended.status !== 'complete') return reply.code(202).send(waiting(ended))
      return send(reply, trackResult(ended, results(ended), await answerOptions(request.query)))
    },
    { upload: true },
  )

  route(
    'POST',
    '/process_video',
    'processVideo',
    'A video drawn, and its poses',
    {
      headers,
      multipart: requests.multipart,
      querystring: requests.waitQuery,
      response: {
        200: { description: 'Results', schema: ref('ProcessResult') },
        202: { description: 'Not done within the deadline; ask later', schema: ref('VideoQueued') },
      },
    },
    async (request, reply) => {
      const job = await accept(request, 'process')
      if (request.query.wait === 'false') return reply.code(202).send(waiting(job))
      const ended = await outcome(job, request)
      if (ended.status !== 'complete') return reply.code(202).send(waiting(ended))
      const data = processData(ended, results(ended), await answerOptions(request.query))
      return send(reply, object({ status: 'success', data }))
    },
    { upload: true },
  )

  route(
    'POST',
    '/process_video_async',
    'processVideoAsync',
    'The same; answers when the video is accepted',
    {
      multipart: requests.multipart,
      response: { 200: { description: 'Accepted', schema: ref('JobAccepted') } },
    },
    async (request) => {
      const { id } = await accept(request, 'process')
      return {
        status: 'accepted',
        job_id: id,
        message: `Video processing started. Poll /job_status/${id} for progress.`,
      }
    },
    { upload: true },
  )

  route(
    'GET',
    '/pose/video/status/:id',
    'videoStatus',
    'Where a video is, and its results',
    {
      params: requests.job,
      querystring: requests.resultQuery,
      response: { 200: { description: 'State', schema: ref('VideoStatus') } },
    },
    async ({ params, query }, reply) => {
      const job = find(params.id)
      const done = job.status === 'complete' && query.result !== 'false'
      const result = done ? trackResult(job, results(job), await answerOptions(query)) : null
      return send(
        reply,
        object({
          job_id: job.id,
          status: job.status === 'complete' ? 'completed' : job.status,
          video_path: job.name,
          queue_position: jobs.ahead(job),
          queued_at: job.created,
          started_at: job.started,
          completed_at: job.finished,
          frames_done: job.frames_done,
          frames_total: job.frames_total,
          error: job.error,
          error_code: job.error_code ?? undefined,
          result,
        }),
      )
    },
  )

  route(
    'GET',
    '/job_status/:id',
    'jobStatus',
    'Where a video is, and its results, as /process_video has them',
    {
      params: requests.job,
      querystring: requests.resultQuery,
      response: { 200: { description: 'State', schema: ref('JobStatus') } },
    },
    async ({ params, query }, reply) => {
      const job = find(params.id)
      const { status } = job
      const complete = status === 'complete'
      const done = complete && query.result !== 'false'
      const data = done ? processData(job, results(job), await answerOptions(query)) : undefined
      return send(
        reply,
        object({
          job_id: job.id,
          status,
          queue_position: jobs.ahead(job),
          frames_done: job.frames_done,
          frames_total: job.frames_total,
          elapsed_time: status === 'processing' ? now() - job.started : undefined,
          processing_time: complete ? secondsOf(job) : undefined,
          output_path: complete ? job.output : undefined,
          error: job.error ?? undefined,
          error_code: job.error_code ?? undefined,
          result: data,
        }),
      )
    },
  )

  route(
    'DELETE',
    '/job_status/:id',
    'jobRemove',
    'End a job and forget it, with its files',
    {
      params: requests.job,
      response: { 200: { description: 'Gone', schema: ref('JobRemoved') } },
    },
    async ({ params }) => {
      find(params.id)
      await jobs.remove(params.id)
      return { job_id: params.id, status: 'removed' }
    },
  )

  route(
    'GET',
    '/frame/:job/:i',
    'jobFrame',
    'A frame of a video, with its people drawn in',
    {
      params: requests.frame,
      querystring: requests.drawnQuery,
      response: {
        200: {
          description: 'JPEG',
          contentType: 'image/jpeg',
          schema: { type: 'string', contentMediaType: 'image/jpeg' },
        },
      },
    },
    async ({ params, query, gone, ip }, reply) => {
      const job = find(params.job)
      const result = jobs.result(job.id, Number(params.i))
      if (!result)
        throw serviceError(
          NOT_FOUND,
          `Job ${job.id} has no frame ${params.i}; it has ${job.frames_done} so far`,
        )
      const drawn = query.overlay !== 'false'
      const picture = await queue.run(
        () => framePicture({ video: job.video, result, signal: gone, drawn }),
        { client: ip, signal: gone },
      )
      if (picture) return reply.type('image/jpeg').send(picture)
      throw serviceError('ERR_POSE4D_VIDEO_FRAME', result.error ?? 'The frame cannot be decoded')
    },
  )

  route(
    'GET',
    '/output/:job',
    'jobOutput',
    'The drawn video',
    {
      params: requests.output,
      response: {
        200: {
          description: 'MP4',
          contentType: 'video/mp4',
          schema: { type: 'string', contentMediaType: 'video/mp4' },
        },
      },
    },
    async ({ params }, reply) => {
      const { output } = find(params.job)
      const size = output && fs.statSync(output, { throwIfNoEntry: false })?.size
      if (!size) throw serviceError(NOT_FOUND, `Job ${params.job} has no drawn video`)
      reply.header('content-length', size).type('video/mp4')
      return reply.send(fs.createReadStream(output))
    },
  )
}

module.exports = videoRoutes
