'use strict'
// Tracks in the layout of PHALP's results (`results/demo_<name>.pkl`), for code that reads those.
//
// Source: brjathu/PHALP @96f7e6c, phalp/trackers/PHALP.py (`track`, `get_human_features`) and
// phalp/utils/utils.py (`smpl_to_pose_camera_vector`).

const { writeWhole } = require('./files.cjs')
const { NumpyArray, Real, pickle } = require('./pickle.cjs')
const { SEEN } = require('./timeline.cjs')

/** Of upstream's camera, which sees squares of 256 pixels. */
const UPSTREAM_FOCAL_PER_SIDE = 5000 / 256
const HMR_JOINTS = 44

const floats = (values, ...shape) => new NumpyArray(Float32Array.from(values), shape)

/** Upstream's own names of extracted frames begin at 1. */
const framePath = ({ file, number }) => file ?? `${String(number + 1).padStart(6, '0')}.jpg`

function smplOf({ smpl }) {
  if (!smpl) return null
  return {
    global_orient: floats(smpl.globalOrient, 1, 3, 3),
    body_pose: floats(smpl.bodyPose, 23, 3, 3),
    betas: floats(smpl.betas, 10),
  }
}

/** Height and width; a frame that could not be read has none, but the camera looks at its middle. */
function sizeOf({ frameHeight, frameWidth }, { camera }) {
  if (frameHeight > 0 || !camera) return [frameHeight, frameWidth]
  return [Math.round(2 * camera.center[1]), Math.round(2 * camera.center[0])]
}

/** The body's place as upstream's camera sees it: depth goes with the focal length. */
function cameraOf({ smpl, camera }, [height, width]) {
  if (!smpl || !camera) return null
  const [x, y, z] = camera.translation
  return [x, y, (z * UPSTREAM_FOCAL_PER_SIDE * Math.max(height, width)) / camera.focalLength]
}

/** `hmr44` and, as upstream's 45th, the body's origin. */
function jointsOf(person) {
  const { joints3d, smpl, keypoints } = person
  const known = smpl && keypoints.length === HMR_JOINTS && joints3d?.length === 3 * HMR_JOINTS
  return known ? [...joints3d, 0, 0, 0] : null
}

/** The same 45 in the picture padded to a square of side 1. */
function pointsOf(person, [height, width]) {
  const { camera, keypoints, keypointSource } = person
  if (!jointsOf(person) || !camera || keypointSource !== 'projected') return null
  const side = Math.max(height, width)
  const [left, top] = [Math.floor((side - width) / 2), Math.floor((side - height) / 2)]
  const [x, y, z] = camera.translation
  const origin = {
    x: (camera.focalLength * x) / z + camera.center[0],
    y: (camera.focalLength * y) / z + camera.center[1],
  }
  return [...keypoints, origin].flatMap((point) => [
    (point.x + left) / side,
    (point.y + top) / side,
  ])
}

function poseOf({ smpl }, camera) {
  if (!smpl || !camera) return null
  const place = [camera[0], camera[1], camera[2] / 200]
  return [...smpl.globalOrient, ...smpl.bodyPose, ...smpl.betas, ...place]
}

const maybe = (values) => values && floats(values, values.length)

/** One person's entries, by upstream's keys. */
function entry(person, path, size) {
  const [x1, y1, x2, y2] = person.box
  const camera = cameraOf(person, size)
  const joints = jointsOf(person)
  const points = pointsOf(person, size)
  const location = camera && points && [...points, ...camera, ...camera, ...camera]
  return {
    tid: person.trackId,
    bbox: floats([x1, y1, x2 - x1, y2 - y1], 4),
    appe: null,
    loca: maybe(location),
    pose: maybe(poseOf(person, camera)),
    center: floats([(x1 + x2) / 2, (y1 + y2) / 2], 2),
    scale: floats([x2 - x1, y2 - y1], 2),
    size,
    img_path: path,
    img_name: path.split('/').at(-1),
    class_name: 0,
    conf: new Real(person.score),
    annotations: [],
    smpl: smplOf(person),
    camera: maybe(camera),
    camera_bbox: null,
    '3d_joints': joints && floats(joints, HMR_JOINTS + 1, 3),
    '2d_joints': maybe(points),
    mask: null,
    extra_data: null,
    // Ours beside upstream's: how the record came about.
    source: person.source,
    tracking_confidence: new Real(person.trackingConfidence),
  }
}

const KEYS = ['tracked_ids', 'tracked_bbox', 'tracked_time']

class PhalpExport {
  #target
  #pathOf
  #frames = []

  static async open(target, { framePath: given }) {
    const made = new PhalpExport()
    made.#target = target
    made.#pathOf = given ?? framePath
    return made
  }

  add(frame, note) {
    const { result } = frame
    // Of a frame that could not be read, but for people who were filled in from both sides.
    if (frame.failed && result.persons.length === 0) return
    const path = String(this.#pathOf({ file: frame.file, number: frame.number }))
    const people = result.persons.map((person) => {
      note.wrote(person)
      return entry(person, path, sizeOf(result, person))
    })
    this.#frames.push({ frame, path, people })
  }

  async close() {
    this.#frames.sort((a, b) => a.frame.index - b.frame.index)
    const lastSeen = new Map()
    const file = new Map()
    for (const { frame, path, people } of this.#frames)
      file.set(path, this.#record(frame, path, people, lastSeen))
    await writeWhole(this.#target, pickle(file))
    return [this.#target]
  }

  /** Lists that go together: a place in each of them is one person. */
  #record({ index }, path, people, lastSeen) {
    const lists = Object.fromEntries(KEYS.map((key) => [key, []]))
    const names = people.length > 0 ? Object.keys(people[0]) : Object.keys(NOBODY)
    for (const name of names) lists[name] = people.map((person) => person[name])
    for (const { tid, bbox, source } of people) {
      if (SEEN.has(source)) {
        lists.tracked_ids.push(tid)
        lists.tracked_bbox.push(bbox)
        lastSeen.set(tid, index)
      }
      // Frames since the last sighting; −1 for what upstream's post-processing would fill in.
      const before = lastSeen.get(tid)
      const since = source === 'interpolated' || before === undefined ? -1 : index - before
      lists.tracked_time.push(since)
    }
    return { time: index, shot: 0, frame_path: path, ...lists }
  }
}

/** Every key of a record, of a frame in which nobody is. */
const NOBODY = entry({ box: [0, 0, 0, 0], keypoints: [] }, '', [0, 0])

module.exports = { PhalpExport }
