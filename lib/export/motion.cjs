'use strict'
// People as moving skeletons: results → for each person a rest pose, and in each frame the turn and place of
// every joint. Axes are those of glTF and BVH: x right, y up, z towards the camera; metres.

const { invalid } = require('./faults.cjs')
const landmarks = require('./landmarks.cjs')
const { REASON } = require('./timeline.cjs')
const { add, fromMatrix, inverse, multiply, sub, turn } = require('./rotations.cjs')

/** SMPL's joints, and on which each hangs. */
const SMPL_JOINTS = [
  ['pelvis', -1],
  ['left_hip', 0],
  ['right_hip', 0],
  ['spine1', 0],
  ['left_knee', 1],
  ['right_knee', 2],
  ['spine2', 3],
  ['left_ankle', 4],
  ['right_ankle', 5],
  ['spine3', 6],
  ['left_foot', 7],
  ['right_foot', 8],
  ['neck', 9],
  ['left_collar', 9],
  ['right_collar', 9],
  ['head', 12],
  ['left_shoulder', 13],
  ['right_shoulder', 14],
  ['left_elbow', 16],
  ['right_elbow', 17],
  ['left_wrist', 18],
  ['right_wrist', 19],
  ['left_hand', 20],
  ['right_hand', 21],
]
const BETAS = 10

/** From the camera's axes (y down, z away) to ours: half a turn about x. */
const flip = ([x, y, z]) => [x, -y, -z]
const FLIP = [1, 0, 0, 0]

const triple = (flat, at) => [flat[3 * at], flat[3 * at + 1], flat[3 * at + 2]]
const finite = (values) => values && Array.prototype.every.call(values, Number.isFinite)

function median(values) {
  const sorted = values.slice().sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

const medians = (vectors) => [0, 1, 2].map((axis) => median(vectors.map((vector) => vector[axis])))

/**
 * Joints of the rest pose as a function of the shape: they are linear in it, so that eleven questions to the
 * body answer all.
 */
function jointShapes(body) {
  const ask = (betas) => Float64Array.from(body.bodyModel(betas).joints)
  const mean = ask(new Float32Array(BETAS))
  const changes = Array.from({ length: BETAS }, (_, k) => {
    const one = new Float32Array(BETAS)
    one[k] = 1
    return ask(one).map((value, i) => value - mean[i])
  })
  return (betas) =>
    mean.map((value, i) => changes.reduce((sum, d, k) => sum + d[i] * betas[k], value))
}

/** What is kept of a person in a frame. */
class Track {
  names
  records = []

  constructor(trackId) {
    this.trackId = trackId
  }
}

/** Gathers people as frames come; `motions()` once all are there. */
class Motions {
  #tracks = new Map()
  #space
  #shape
  #body

  /** `space`: camera or person; `shape`: frame or mean; `body`: whose `bodyModel(betas)` is SMPL's. */
  constructor({ space, shape, body }) {
    this.#space = space
    this.#shape = shape
    this.#body = body
  }

  add(frame) {
    for (const person of frame.result.persons) {
      if (!this.#tracks.has(person.trackId))
        this.#tracks.set(person.trackId, new Track(person.trackId))
      const track = this.#tracks.get(person.trackId)
      track.names ??= person.keypoints.map(({ name }) => name)
      // Every set has another number of points.
      if (person.keypoints.length !== track.names.length)
        throw invalid(
          `person ${person.trackId} has ${person.keypoints.length} keypoints in frame ${frame.number} and ${track.names.length} before; one file holds one keypoint set`,
        )
      const { smpl, joints3d, camera, source, trackId } = person
      track.records.push({ frame, trackId, smpl, joints3d, source, place: camera?.translation })
    }
  }

  /** One for each person of whom there is something to show. */
  motions(note) {
    const shapes = this.#body?.bodyModel() ? jointShapes(this.#body) : undefined
    const tracks = [...this.#tracks.values()].sort((a, b) => a.trackId - b.trackId)
    const made = tracks.map((track) => {
      track.records.sort((a, b) => a.frame.index - b.frame.index)
      const positions = SMPL_JOINTS.map(([name]) => track.names.indexOf(name))
      const known = shapes || !positions.includes(-1)
      const isBody = known && track.records.some(({ smpl }) => rotationsOf(smpl))
      return isBody
        ? this.#bodyMotion(track, shapes, positions, note)
        : this.#pointMotion(track, note)
    })
    return made.filter(Boolean)
  }

  /** Those that can be placed; the others are counted. */
  #placed(records, lacks, note) {
    return records.filter((record) => {
      const reason = lacks(record) ?? (this.#isPlaced(record) ? undefined : REASON.NO_CAMERA)
      if (reason) note.leftOut(record, reason)
      else note.wrote(record)
      return !reason
    })
  }

  #isPlaced({ place }) {
    return this.#space === 'person' || (place?.length === 3 && finite(place))
  }

  #origin({ place }) {
    return this.#space === 'person' ? [0, 0, 0] : Array.from(place)
  }

  #bodyMotion(track, shapes, positions, note) {
    const lacks = ({ smpl, joints3d }) => {
      if (!rotationsOf(smpl)) return REASON.NO_SMPL
      return shapes || finite(joints3d) ? undefined : REASON.NO_JOINTS
    }
    const records = this.#placed(track.records, lacks, note)
    if (records.length === 0) return null
    const parents = SMPL_JOINTS.map(([, parent]) => parent)
    const shape = Array.from({ length: BETAS }, (_, k) => {
      const sum = records.reduce((all, { smpl }) => all + smpl.betas[k], 0)
      return sum / records.length
    })
    const frames = records.map((record) => {
      const turns = rotationsOf(record.smpl)
      const steps = shapes
        ? stepsAtRest(shapes(record.smpl.betas), parents)
        : stepsOfPosed(record.joints3d, positions, turns, parents)
      turns[0] = multiply(FLIP, turns[0])
      const root = flip(add(steps[0], this.#origin(record)))
      return {
        index: record.frame.index,
        frame: record.frame,
        source: record.source,
        turns,
        steps,
        root,
      }
    })
    const rest = shapes
      ? stepsAtRest(shapes(shape), parents)
      : parents.map((_, joint) => medians(frames.map(({ steps }) => steps[joint])))
    const names = SMPL_JOINTS.map(([name]) => name)
    const steps = ({ steps: own, root }) => [
      root,
      ...(this.#shape === 'mean' ? rest : own).slice(1),
    ]
    return {
      kind: 'smpl',
      trackId: track.trackId,
      names,
      parents,
      rest,
      betas: Float32Array.from(shape),
      frames: frames.map((one) => ({ ...one, steps: steps(one) })),
    }
  }

  #pointMotion(track, note) {
    const joints = landmarks.plan(track.names)
    const needed = joints && [...new Set(joints.flatMap(({ place }) => place))]
    const lacks = ({ joints3d }) =>
      joints && joints3d && needed.every((at) => finite(triple(joints3d, at)))
        ? undefined
        : REASON.NO_JOINTS
    const records = this.#placed(track.records, lacks, note)
    if (records.length === 0) return null
    const parents = joints.map(({ parent }) => parent)
    const frames = records.map((record) => {
      const origin = this.#origin(record)
      const points = track.names.map((_, at) => flip(add(triple(record.joints3d, at), origin)))
      const { places, turns } = landmarks.solve(joints, points)
      const own = turns.map((q, joint) =>
        parents[joint] < 0 ? q : multiply(inverse(turns[parents[joint]]), q),
      )
      const steps = places.map((place, joint) => {
        const parent = parents[joint]
        return parent < 0 ? place : turn(inverse(turns[parent]), sub(place, places[parent]))
      })
      const { frame, source } = record
      return { index: frame.index, frame, source, turns: own, steps, root: steps[0] }
    })
    const rest = joints.map((_, joint) =>
      joint === 0 ? [0, 0, 0] : medians(frames.map(({ steps }) => steps[joint])),
    )
    return {
      kind: 'points',
      trackId: track.trackId,
      names: joints.map(({ name }) => name),
      parents,
      rest,
      frames,
    }
  }
}

/**
 * Of all 24 joints against their parents, the pelvis against the camera's axes; `null` where a number is missing or
 * a matrix is no rotation.
 */
function rotationsOf(smpl) {
  if (!smpl || !finite(smpl.betas)) return null
  const all = [...smpl.globalOrient, ...smpl.bodyPose]
  const turns = SMPL_JOINTS.map((_, joint) => fromMatrix(all.slice(9 * joint, 9 * joint + 9)))
  return turns.includes(null) ? null : turns
}

/** From each joint's parent to it, in SMPL's own axes, which are ours. */
function stepsAtRest(joints, parents) {
  return parents.map((parent, joint) =>
    parent < 0 ? triple(joints, joint) : sub(triple(joints, joint), triple(joints, parent)),
  )
}

/** The same, found from the joints of the posed body; the camera's axes taken out by its own turns. */
function stepsOfPosed(joints3d, positions, turns, parents) {
  const place = (joint) => triple(joints3d, positions[joint])
  const world = []
  parents.forEach((parent, joint) => {
    world.push(parent < 0 ? turns[joint] : multiply(world[parent], turns[joint]))
  })
  return parents.map((parent, joint) =>
    parent < 0 ? place(joint) : turn(inverse(world[parent]), sub(place(joint), place(parent))),
  )
}

/** Runs of frames without a gap between them, as lists of a motion's frames. */
function runs(frames) {
  const found = []
  for (const frame of frames) {
    const last = found.at(-1)
    if (last && frame.index === last.at(-1).index + 1) last.push(frame)
    else found.push([frame])
  }
  return found
}

module.exports = { Motions, runs }
