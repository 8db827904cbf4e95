'use strict'
// Bodies and answers of the video endpoints.

const build = require('./build.cjs')

const { closed, filled, flag, integer, list, map, number, oneOf, open, orNull, ref, text, vector } =
  build

const maxFrames = integer('At most so many frames, spread over the video; without it all', {
  minimum: 1,
  maximum: 10_000_000,
})
const JOB = {
  job_id: text('To ask for'),
  status: oneOf(['queued', 'processing'], 'Where it is'),
  message: text('In words'),
  queue_position: integer('Jobs before it'),
}
const PROGRESS = {
  frames_done: integer('Kept so far'),
  frames_total: orNull(integer('In all; null: not known yet')),
}
const warning = orNull(
  text('What is wrong with the file, where it could be processed all the same'),
)
const coverage = orNull({
  type: 'object',
  description: 'The coverage certificate (docs/results.md)',
})

const trackFrame = closed(
  {
    frame_number: integer('In the video, from 0'),
    timestamp: number('Seconds'),
    frame_width: integer('Pixels'),
    frame_height: integer('Pixels'),
    persons: list(ref('Person'), 'By track_id'),
    error: text('Why nobody could be looked for'),
    error_code: text('Stable, ERR_POSE4D_…'),
  },
  { optional: ['error', 'error_code'] },
)

const trackResult = closed(
  {
    status: { const: 'success' },
    job_id: JOB.job_id,
    video_path: text('As given'),
    pkl_path: { type: 'null', description: 'No pickle is written' },
    total_frames: integer('Results'),
    fps: orNull(number('Of the video')),
    resolution: vector(2, '[width, height] pixels'),
    model_version: orNull(text('What measured it')),
    warning,
    frames: list(ref('VideoFrame')),
    mesh_faces: list(list({ type: 'integer' }), 'The triangles, once for all'),
    coverage,
    processing_time_seconds: number('From the first to the last moment of work'),
    parsing_time_seconds: number('Reading the results'),
  },
  { optional: ['mesh_faces'] },
)

const timelineEntry = closed({
  frameNumber: integer('From 0, without gaps'),
  originalFrameNumber: integer('In the video'),
  timestamp: number('Seconds'),
  confidence: number('Of the primary person; 0: nobody'),
  keypoints: list(ref('Keypoint')),
  joints3D: orNull(list(vector(3), '[J][3] metres')),
  jointAngles: map({ type: 'number' }, 'Degrees'),
  has3D: flag('Whether there are joints'),
  meshRendered: flag('Surfaces in the drawn video'),
  trackId: orNull(integer('Identity of the primary person')),
  source: orNull(text('detected, recovered, predicted or interpolated')),
  imageBase64: { type: 'null', description: 'See /frame/{job}/{i}' },
  persons: list(ref('Person')),
  error: orNull(text('Why the frame failed')),
  vertices: orNull(list(vector(3), '[6890][3] metres')),
  faces: orNull(list(list({ type: 'integer' }))),
})

const processData = closed(
  {
    output_path: orNull(text('The drawn video, where the service keeps it; see /output/{job}')),
    output_base64: text('The drawn video, where output_format is base64'),
    total_frames: integer('In the video'),
    processed_frames: integer('Results'),
    fps: orNull(number('Of the video')),
    resolution: vector(2, '[width, height] pixels'),
    processing_time_seconds: number('Seconds'),
    output_size_mb: number('Of the drawn video'),
    video_duration: orNull(number('Seconds')),
    model_version: orNull(text('What measured it')),
    warning,
    frame_acceptance: list(
      closed({
        frameNumber: integer('From 0'),
        originalFrameNumber: integer('In the video'),
        accepted: flag('Whether it could be processed'),
        persons: integer('Found in it'),
        reason: orNull(text('Why not')),
      }),
    ),
    pose_timeline: list(ref('TimelineEntry')),
    frames: list(
      closed({
        frameNumber: integer('From 0'),
        timestamp: number('Seconds'),
        vertices: orNull(list(vector(3))),
        faces: orNull(list(list({ type: 'integer' }))),
      }),
    ),
  },
  { optional: ['output_base64'] },
)

const accepted = closed({ status: { const: 'accepted' }, job_id: JOB.job_id, message: JOB.message })

const videoStatus = closed(
  {
    job_id: JOB.job_id,
    status: oneOf(['queued', 'processing', 'completed', 'error'], 'Where it is'),
    video_path: text('As given'),
    queue_position: integer('Jobs before it'),
    queued_at: number('Unix time, seconds'),
    started_at: orNull(number('Unix time, seconds')),
    completed_at: orNull(number('Unix time, seconds')),
    ...PROGRESS,
    error: orNull(text('Why it failed')),
    error_code: text('Stable, ERR_POSE4D_…'),
    result: { oneOf: [ref('VideoResult'), { type: 'null' }] },
  },
  { optional: ['error_code'] },
)

const jobStatus = closed(
  {
    job_id: JOB.job_id,
    status: oneOf(['queued', 'processing', 'complete', 'error'], 'Where it is'),
    queue_position: integer('Jobs before it'),
    ...PROGRESS,
    elapsed_time: number('Seconds since it began'),
    processing_time: number('Seconds it took'),
    output_path: orNull(text('The drawn video')),
    error: text('Why it failed'),
    error_code: text('Stable, ERR_POSE4D_…'),
    result: ref('ProcessData'),
  },
  {
    optional: ['elapsed_time', 'processing_time', 'output_path', 'error', 'error_code', 'result'],
  },
)

const multipart = open(
  {
    video: text('The file', { contentMediaType: 'application/octet-stream' }),
    max_frames: maxFrames,
    output_format: oneOf(['file_path', 'base64'], 'base64: the drawn video in the answer, too'),
    mesh: oneOf(
      ['true', 'false'],
      'Vertices in results, of a model that has them; true without it',
    ),
  },
  { required: ['video'] },
)

const FLAG = oneOf(['true', 'false'])

module.exports = {
  components: {
    VideoFrame: trackFrame,
    VideoResult: trackResult,
    VideoStatus: videoStatus,
    VideoQueued: closed(JOB),
    TimelineEntry: timelineEntry,
    ProcessData: processData,
    ProcessResult: closed({ status: { const: 'success' }, data: ref('ProcessData') }),
    JobAccepted: accepted,
    JobStatus: jobStatus,
    JobRemoved: closed({ job_id: JOB.job_id, status: { const: 'removed' } }),
    VideoError: {
      allOf: [
        ref('Error'),
        {
          type: 'object',
          properties: { status: { const: 'error' }, job_id: JOB.job_id },
          required: ['status'],
        },
      ],
    },
  },
  requests: {
    track: open(
      {
        video_path: filled('A file below one of the service’s roots'),
        max_frames: maxFrames,
        mesh: flag('Vertices in results, of a model that has them', { default: true }),
      },
      { required: ['video_path'] },
    ),
    multipart,
    job: {
      type: 'object',
      properties: { id: text('Of the job', { pattern: '^[0-9a-fA-F-]{36}$' }) },
      required: ['id'],
    },
    frame: {
      type: 'object',
      properties: {
        job: text('Of the job', { pattern: '^[0-9a-fA-F-]{36}$' }),
        i: text('Number of the result, from 0', { pattern: '^[0-9]{1,9}$' }),
      },
      required: ['job', 'i'],
    },
    output: {
      type: 'object',
      properties: { job: text('Of the job', { pattern: '^[0-9a-fA-F-]{36}$' }) },
      required: ['job'],
    },
    resultQuery: {
      type: 'object',
      properties: {
        result: { ...FLAG, description: 'false: only where it is' },
        mesh: { ...FLAG, description: 'false: without vertices and faces' },
      },
    },
    waitQuery: {
      type: 'object',
      properties: {
        wait: { ...FLAG, description: 'false: answer with 202 at once' },
        mesh: { ...FLAG, description: 'false: without vertices and faces in the answer' },
      },
    },
    drawnQuery: {
      type: 'object',
      properties: { overlay: { ...FLAG, description: 'false: the frame as it is' } },
    },
  },
}
