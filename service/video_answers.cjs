'use strict'
// A video's results as the old service put them into JSON, frame by frame: a long video's answer is
// longer than one text can be.

const fs = require('node:fs')
const { present, triples } = require('../lib/legacy.cjs')
const { personAnswer } = require('./answers.cjs')

const MB = 2 ** 20
/** Bytes that make whole base64 groups. */
const BASE64_PIECE = 3 * 2 ** 16

/** Pieces of a JSON array; the items may be some that come later. */
async function* array(items, write) {
  yield '['
  let first = true
  for await (const item of items) {
    yield first ? write(item) : `,${write(item)}`
    first = false
  }
  yield ']'
}

const isPieces = (value) =>
  typeof value?.[Symbol.asyncIterator] === 'function' ||
  (typeof value?.[Symbol.iterator] === 'function' && typeof value !== 'string')

/** Pieces of a JSON object: values as they are, or generators of pieces. */
async function* object(fields) {
  let separator = '{'
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    yield `${separator}${JSON.stringify(name)}:`
    if (isPieces(value)) yield* value
    else yield JSON.stringify(value)
    separator = ','
  }
  yield separator === '{' ? '{}' : '}'
}

/** Of a JSON text that is there already. */
function* ready(text) {
  yield text
}

/** A file as one JSON text of base64. */
function* base64Of(file) {
  const handle = fs.openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(BASE64_PIECE)
    yield '"'
    for (;;) {
      let filled = 0
      let read
      do {
        read = fs.readSync(handle, buffer, filled, buffer.length - filled)
        filled += read
      } while (read > 0 && filled < buffer.length)
      yield buffer.subarray(0, filled).toString('base64')
      if (filled < buffer.length) break
    }
    yield '"'
  } finally {
    fs.closeSync(handle)
  }
}

const secondsOf = ({ started, finished }) =>
  started === null || finished === null ? 0 : finished - started

/** A frame of /pose/video. */
const trackFrame = (result, options) =>
  present({
    frame_number: result.frameNumber,
    timestamp: result.timestampMs / 1000,
    frame_width: result.frameWidth,
    frame_height: result.frameHeight,
    persons: result.persons.map((person) => personAnswer(person, options)),
    error: result.error,
    error_code: result.errorCode,
  })

/** The result of /pose/video as pieces of JSON. `more`: fields before it. */
async function* trackResult(job, results, options, more = {}) {
  const began = performance.now()
  yield* object({
    status: 'success',
    ...more,
    job_id: job.id,
    video_path: job.name,
    pkl_path: null,
    total_frames: job.frames_done,
    fps: job.info.fps ?? null,
    resolution: ready(JSON.stringify([job.info.width, job.info.height])),
    model_version: job.model_version,
    warning: job.warning,
    frames: array(results(), (result) => JSON.stringify(trackFrame(result, options))),
    mesh_faces: options.facesText && options.mesh ? ready(options.facesText) : undefined,
    coverage: job.summary,
    processing_time_seconds: secondsOf(job),
    parsing_time_seconds: (performance.now() - began) / 1000,
  })
}

/** An entry of /process_video's `pose_timeline`. */
function timelineEntry(result, i, options) {
  const [person] = result.persons
  const persons = result.persons.map((each) => personAnswer(each, { ...options, mesh: false }))
  const vertices = options.mesh ? person?.mesh?.vertices : undefined
  const entry = {
    frameNumber: i,
    originalFrameNumber: result.frameNumber,
    timestamp: result.timestampMs / 1000,
    confidence: person?.score ?? 0,
    keypoints: persons[0]?.keypoints ?? [],
    joints3D: person?.joints3d ? triples(person.joints3d) : null,
    jointAngles: persons[0]?.joint_angles_3d ?? {},
    has3D: result.has3d,
    meshRendered: false,
    trackId: person?.trackId ?? null,
    source: person?.source ?? null,
    imageBase64: null,
    persons,
    error: result.error ?? null,
    vertices: vertices ? triples(vertices) : null,
  }
  const faces = vertices && options.facesText ? options.facesText : 'null'
  return `${JSON.stringify(entry).slice(0, -1)},"faces":${faces}}`
}

function meshFrame(result, i, options) {
  const vertices = options.mesh ? result.persons[0]?.mesh?.vertices : undefined
  const frame = {
    frameNumber: i,
    timestamp: result.timestampMs / 1000,
    vertices: vertices ? triples(vertices) : null,
  }
  const faces = vertices && options.facesText ? options.facesText : 'null'
  return `${JSON.stringify(frame).slice(0, -1)},"faces":${faces}}`
}

const acceptance = (result, i) =>
  JSON.stringify({
    frameNumber: i,
    originalFrameNumber: result.frameNumber,
    accepted: !result.errorCode,
    persons: result.persons.length,
    reason: result.error ?? null,
  })

const numbered = (write) => {
  let i = 0
  return (result) => write(result, i++)
}

/** `data` of /process_video as pieces of JSON. */
async function* processData(job, results, options) {
  const { info, output } = job
  const size = output ? fs.statSync(output, { throwIfNoEntry: false })?.size : undefined
  const base64 = job.options.outputFormat === 'base64' && size !== undefined
  yield* object({
    output_path: output,
    output_base64: base64 ? base64Of(output) : undefined,
    total_frames: info.frames ?? job.frames_done,
    processed_frames: job.frames_done,
    fps: info.fps ?? null,
    resolution: ready(JSON.stringify([info.width, info.height])),
    processing_time_seconds: secondsOf(job),
    output_size_mb: size === undefined ? 0 : Math.round((size / MB) * 100) / 100,
    video_duration: info.seconds ?? null,
    model_version: job.model_version,
    warning: job.warning,
    frame_acceptance: array(results(), numbered(acceptance)),
    pose_timeline: array(
      results(),
      numbered((result, i) => timelineEntry(result, i, options)),
    ),
    frames: array(
      results(),
      numbered((result, i) => meshFrame(result, i, options)),
    ),
  })
}

module.exports = { object, processData, secondsOf, trackResult }
