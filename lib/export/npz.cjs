'use strict'
// Everything in the results as numpy arrays: a row per person and frame.

const { invalid } = require('./faults.cjs')
const { writeWhole } = require('./files.cjs')
const { ordered } = require('./csv.cjs')
const { array, booleans, integers, npz, strings } = require('./npy.cjs')

/** Of each row, how many numbers, and where they are in a person. */
const FIELDS = {
  box: [[4], (person) => person.box],
  score: [[], (person) => [person.score]],
  tracking_confidence: [[], (person) => [person.trackingConfidence]],
  global_orient: [[3, 3], (person) => person.smpl?.globalOrient],
  body_pose: [[23, 3, 3], (person) => person.smpl?.bodyPose],
  betas: [[10], (person) => person.smpl?.betas],
  camera_translation: [[3], (person) => person.camera?.translation],
  focal_length: [[], (person) => person.camera && [person.camera.focalLength]],
  camera_center: [[2], (person) => person.camera?.center],
}

const product = (shape) => shape.reduce((all, side) => all * side, 1)

/** Rows of numbers, NaN where a row has none. */
function column(rows, shape, pick) {
  const width = product(shape)
  const data = new Float32Array(rows.length * width).fill(Number.NaN)
  rows.forEach((row, at) => {
    const values = pick(row)
    if (values)
      data.set(
        Float32Array.from(values, (v) => v ?? Number.NaN),
        at * width,
      )
  })
  return array(data, [rows.length, ...shape])
}

const points = (person) =>
  person.keypoints.flatMap(({ x, y, z, confidence }) => [x, y, z ?? Number.NaN, confidence])

/** What of a person is kept until the file is written; typed arrays are shared, not copied. */
function kept(person, mesh) {
  const { trackId, source, box, score, trackingConfidence, joints3d, smpl, camera } = person
  return {
    trackId,
    source,
    box,
    score,
    trackingConfidence,
    joints3d,
    smpl,
    camera,
    points: Float32Array.from(points(person)),
    angles: person.jointAngles3d,
    vertices: mesh ? person.mesh?.vertices : undefined,
  }
}

class NpzExport {
  #target
  #mesh
  #rows = []
  #names
  #angles = new Set()

  static async open(target, { mesh }) {
    const made = new NpzExport()
    made.#target = target
    made.#mesh = mesh
    return made
  }

  add(frame, note) {
    const { result } = frame
    frame.size = [result.frameWidth, result.frameHeight]
    frame.errorCode = result.errorCode ?? ''
    for (const person of result.persons) {
      this.#checkNames(person, frame)
      for (const name of Object.keys(person.jointAngles3d ?? {})) this.#angles.add(name)
      this.#rows.push({ frame, person: kept(person, this.#mesh) })
      note.wrote(person)
    }
  }

  /** One file has one keypoint set. */
  #checkNames({ keypoints }, { number }) {
    const names = keypoints.map(({ name }) => name)
    this.#names ??= names
    if (names.length === this.#names.length && names.every((name, i) => name === this.#names[i]))
      return
    throw invalid(
      `frame ${number} has ${names.length} keypoints (${names[0]}, …), frames before it ${this.#names.length} (${this.#names[0]}, …); one file holds one keypoint set`,
    )
  }

  async close({ frames }) {
    const rows = this.#rows.sort((a, b) => a.frame.index - b.frame.index)
    await writeWhole(this.#target, npz({ ...this.#frameArrays(frames), ...this.#rowArrays(rows) }))
    return [this.#target]
  }

  #frameArrays(frames) {
    return {
      frame_number: integers(frames.map(({ number }) => number)),
      frame_time_s: array(
        Float64Array.from(frames, ({ timeS }) => timeS),
        [frames.length],
      ),
      frame_size: array(Int32Array.from(frames.flatMap(({ size }) => size)), [frames.length, 2]),
      frame_error: strings(frames.map(({ errorCode }) => errorCode)),
    }
  }

  #rowArrays(rows) {
    const people = rows.map(({ person }) => person)
    const names = this.#names ?? []
    const angles = ordered(this.#angles)
    const fields = Object.entries(FIELDS).map(([name, [shape, pick]]) => [
      name,
      column(people, shape, pick),
    ])
    const surface = people.find(({ vertices }) => vertices)?.vertices.length
    return {
      frame: integers(rows.map(({ frame }) => frame.number)),
      time_s: array(
        Float64Array.from(rows, ({ frame }) => frame.timeS),
        [rows.length],
      ),
      track_id: integers(people.map(({ trackId }) => trackId)),
      source: strings(people.map(({ source }) => source)),
      ...Object.fromEntries(fields),
      has_smpl: booleans(people.map(({ smpl }) => Boolean(smpl))),
      has_camera: booleans(people.map(({ camera }) => Boolean(camera))),
      has_joints3d: booleans(people.map(({ joints3d }) => Boolean(joints3d))),
      keypoints: column(people, [names.length, 4], (person) => person.points),
      joints3d: column(people, [names.length, 3], (person) => person.joints3d),
      keypoint_names: strings(names),
      angles: column(people, [angles.length], (person) =>
        angles.map((name) => person.angles?.[name]),
      ),
      angle_names: strings(angles),
      ...(surface && {
        vertices: column(people, [surface / 3, 3], (person) => person.vertices),
      }),
    }
  }
}

module.exports = { NpzExport }
