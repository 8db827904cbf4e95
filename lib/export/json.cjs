'use strict'
// Results as one JSON document or as JSON Lines, frame by frame, with nothing held back.
// The layout is described in docs/cli.md; `SCHEMA` changes when it does.

const { version } = require('../../package.json')
const { TextFile } = require('./files.cjs')

const SCHEMA = 1

const PIXEL_DIGITS = 3
const METRE_DIGITS = 5

const rounded = (value, digits) => (Number.isFinite(value) ? Number(value.toFixed(digits)) : null)
const list = (values, digits) => Array.from(values, (value) => rounded(value, digits))

function plainKeypoint({ name, x, y, z, confidence }) {
  const point = { name, x: rounded(x, PIXEL_DIGITS), y: rounded(y, PIXEL_DIGITS) }
  if (z !== undefined && z !== null) point.z = rounded(z, METRE_DIGITS)
  point.confidence = rounded(confidence, METRE_DIGITS)
  return point
}

const plainAngles = (angles) =>
  Object.fromEntries(
    Object.entries(angles).map(([name, value]) => [name, rounded(value, PIXEL_DIGITS)]),
  )

function plainCamera({ translation, focalLength, center }) {
  return {
    translation: list(translation, METRE_DIGITS),
    focalLength: rounded(focalLength, PIXEL_DIGITS),
    center: list(center, PIXEL_DIGITS),
  }
}

/** What is measured of a body, smoothed or not. */
function plainPose({ keypoints, joints3d, jointAngles3d, smpl, camera }) {
  return {
    keypoints: keypoints.map(plainKeypoint),
    ...(joints3d && { joints3d: list(joints3d, METRE_DIGITS) }),
    ...(jointAngles3d && { jointAngles3d: plainAngles(jointAngles3d) }),
    ...(smpl && {
      smpl: Object.fromEntries(
        Object.entries(smpl).map(([name, values]) => [name, list(values, METRE_DIGITS)]),
      ),
    }),
    ...(camera && { camera: plainCamera(camera) }),
  }
}

function plainPerson(person) {
  return {
    trackId: person.trackId,
    box: list(person.box, PIXEL_DIGITS),
    score: rounded(person.score, METRE_DIGITS),
    source: person.source,
    trackingConfidence: rounded(person.trackingConfidence, METRE_DIGITS),
    ...plainPose(person),
    ...(person.mesh && { mesh: { vertices: list(person.mesh.vertices, METRE_DIGITS) } }),
    ...(person.boxSource && { boxSource: person.boxSource }),
    ...(person.keypointSource && { keypointSource: person.keypointSource }),
    ...(person.raw && { raw: plainPose(person.raw) }),
    ...(person.depth && { depthOrder: person.depthOrder, depth: { ...person.depth } }),
  }
}

/**
 * One frame as plain data. The primary person's repeated fields are left out: they are those of
 * `persons[0]`.
 */
function plainFrame(result, { file, timestampMs } = {}) {
  return {
    frameNumber: result.frameNumber,
    ...(file !== undefined && { file }),
    ...(timestampMs !== undefined && { timestampMs }),
    frameWidth: result.frameWidth,
    frameHeight: result.frameHeight,
    persons: result.persons.map(plainPerson),
    ...(result.depth && { depth: result.depth }),
    ...(result.depthErrorCode && {
      depthErrorCode: result.depthErrorCode,
      depthError: result.depthError,
    }),
    processingTimeMs: rounded(result.processingTimeMs, PIXEL_DIGITS),
    timings: plainAngles(result.timings ?? {}),
    ...(result.errorCode && { errorCode: result.errorCode, error: result.error }),
  }
}

/**
 * Opens `path` (`-`: stdout), as JSON Lines where asked for or where the name says so. `header` is an
 * object without the model's version, which the first result brings.
 */
async function openOutput(path, header, { lines = false } = {}) {
  const file = await TextFile.open(path)
  return new Output(file, header, lines || /\.(jsonl|ndjson)$/i.test(path))
}

class Output {
  #file
  #header
  #lines
  #frames = 0
  #errors = 0
  #started = false

  constructor(file, header, lines) {
    this.#file = file
    this.#header = header
    this.#lines = lines
  }

  async write(result, extra) {
    await this.#begin(result.modelVersion ?? null)
    const frame = plainFrame(result, extra)
    if (this.#lines) await this.#file.write(`${JSON.stringify({ type: 'frame', ...frame })}\n`)
    else await this.#file.write(`${this.#frames > 0 ? ',' : ''}\n    ${JSON.stringify(frame)}`)
    this.#frames += 1
    if (result.errorCode) this.#errors += 1
  }

  /** Ends the document; `complete` is false where the run was cut short. */
  async close({ complete }) {
    await this.#begin(null)
    const end = { complete, frameCount: this.#frames, errorCount: this.#errors }
    if (this.#lines) await this.#file.write(`${JSON.stringify({ type: 'end', ...end })}\n`)
    else await this.#file.write(`\n  ],\n${JSON.stringify(end, null, 2).slice(2)}\n`)
    await this.#file.close()
  }

  async #begin(model) {
    if (this.#started) return
    this.#started = true
    const known = this.#header.model
    const header = { ...this.#header, model: { ...known, version: known?.version ?? model } }
    if (this.#lines) await this.#file.write(`${JSON.stringify({ type: 'header', ...header })}\n`)
    else await this.#file.write(`${JSON.stringify(header, null, 2).slice(0, -2)},\n  "frames": [`)
  }
}

/** A format of `exportPoses`: writes as frames come. */
class JsonExport {
  #output

  static async open(target, { lines, header, tracking }) {
    const plain = { schema: SCHEMA, generator: `pose4d ${version}`, source: {}, model: {} }
    const made = new JsonExport()
    made.#output = await openOutput(target, { ...plain, tracked: tracking, ...header }, { lines })
    return made
  }

  async add({ result, file, timestampMs }, note) {
    for (const person of result.persons) note.wrote(person)
    await this.#output.write(result, { file, timestampMs })
  }

  async close({ complete }) {
    await this.#output.close({ complete })
  }

  /** The file says that it is not whole. */
  async abandon() {
    await this.#output.close({ complete: false })
  }
}

module.exports = { JsonExport, SCHEMA, openOutput, plainFrame }
