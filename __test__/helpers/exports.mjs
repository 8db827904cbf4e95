// Reads the files of exports as another program would, and makes results to export.

import { readFileSync } from 'node:fs'

const WIDTHS = { SCALAR: 1, VEC3: 3, VEC4: 4, MAT4: 16 }
const ARRAYS = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array }

const multiply = (a, b) => [
  a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
  a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
  a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
  a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2],
]

function turn([x, y, z, w], [a, b, c]) {
  const [tx, ty, tz] = [2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)]
  return [a + w * tx + y * tz - z * ty, b + w * ty + z * tx - x * tz, c + w * tz + x * ty - y * tx]
}

/** A .glb file: its JSON, its accessors, and where every node is at a keyframe. */
export class Glb {
  constructor(path) {
    const bytes = readFileSync(path)
    const length = bytes.readUInt32LE(12)
    this.bytes = bytes
    this.json = JSON.parse(bytes.toString('utf8', 20, 20 + length))
    this.binary = 20 + length + 8
  }

  accessor(at) {
    const { bufferView, componentType, count, type } = this.json.accessors[at]
    const { byteOffset } = this.json.bufferViews[bufferView]
    const Kind = ARRAYS[componentType]
    const start = this.bytes.byteOffset + this.binary + byteOffset
    const copy = this.bytes.buffer.slice(
      start,
      start + count * WIDTHS[type] * Kind.BYTES_PER_ELEMENT,
    )
    return new Kind(copy)
  }

  node(name) {
    return this.json.nodes.findIndex((node) => node.name === name)
  }

  channel(node, path) {
    const [animation] = this.json.animations ?? []
    const found = animation?.channels.find(
      ({ target }) => target.node === node && target.path === path,
    )
    if (!found) return undefined
    const { input, output, interpolation } = animation.samplers[found.sampler]
    return { times: this.accessor(input), values: this.accessor(output), interpolation }
  }

  /** As a viewer holds it at the last keyframe not after `time`. */
  value(node, path, time, otherwise) {
    const channel = this.channel(node, path)
    if (!channel) return this.json.nodes[node][path] ?? otherwise
    const { times, values } = channel
    const width = values.length / times.length
    let key = 0
    while (key + 1 < times.length && times[key + 1] <= time + 1e-4) key += 1
    return Array.from(values.subarray(key * width, (key + 1) * width))
  }

  /** Place and turn of a node in the scene. */
  world(node, time) {
    const parent = this.json.nodes.findIndex(({ children }) => children?.includes(node))
    const place = this.value(node, 'translation', time, [0, 0, 0])
    const rotation = this.value(node, 'rotation', time, [0, 0, 0, 1])
    if (parent < 0) return { place, rotation }
    const above = this.world(parent, time)
    const moved = turn(above.rotation, place)
    return {
      place: moved.map((part, axis) => part + above.place[axis]),
      rotation: multiply(above.rotation, rotation),
    }
  }
}

export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])

/** A joint in the camera's space, in the axes of glTF and BVH. */
export function placed(person, joint) {
  const { translation } = person.camera
  const [x, y, z] = [0, 1, 2].map((axis) => person.joints3d[3 * joint + axis] + translation[axis])
  return [x, -y, -z]
}

/** Arrays of a .npz file as written without compression: `{ name: { descr, shape, bytes } }`. */
export function readNpz(path) {
  const bytes = readFileSync(path)
  const arrays = {}
  let at = 0
  while (bytes.readUInt32LE(at) === 0x04034b50) {
    const [size, nameLength, extra] = [
      bytes.readUInt32LE(at + 18),
      bytes.readUInt16LE(at + 26),
      bytes.readUInt16LE(at + 28),
    ]
    const name = bytes.toString('utf8', at + 30, at + 30 + nameLength)
    const file = bytes.subarray(at + 30 + nameLength + extra).subarray(0, size)
    const head = file.toString('latin1', 10, 10 + file.readUInt16LE(8))
    const [, descr] = /'descr': '([^']+)'/.exec(head)
    const [, shape] = /'shape': \(([^)]*)\)/.exec(head)
    arrays[name.replace(/\.npy$/, '')] = {
      descr,
      shape: shape
        .split(',')
        .filter((side) => side.trim() !== '')
        .map(Number),
      bytes: Buffer.from(file.subarray(10 + file.readUInt16LE(8))),
    }
    at += 30 + nameLength + extra + size
  }
  return arrays
}

export const floatsOf = ({ bytes }) =>
  new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)

export function stringsOf({ descr, bytes }) {
  const width = Number(descr.slice(2))
  const codes = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return Array.from({ length: codes.length / width }, (_, row) =>
    String.fromCodePoint(...codes.subarray(row * width, (row + 1) * width)).replace(/\0+$/, ''),
  )
}

const AXES = { x: [1, 0, 0], y: [0, 1, 0], z: [0, 0, 1] }

/** A rotation matrix, row-major: degrees about an axis. */
export function about(axis, degrees) {
  const [a, b, c] = AXES[axis]
  const [sine, cosine] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)]
  const rest = 1 - cosine
  return [
    cosine + a * a * rest,
    a * b * rest - c * sine,
    a * c * rest + b * sine,
    b * a * rest + c * sine,
    cosine + b * b * rest,
    b * c * rest - a * sine,
    c * a * rest - b * sine,
    c * b * rest + a * sine,
    cosine + c * c * rest,
  ]
}

const SMPL24 =
  'pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hand right_hand'.split(
    ' ',
  )

const times = (m, v) =>
  [0, 3, 6].map((row) => m[row] * v[0] + m[row + 1] * v[1] + m[row + 2] * v[2])
const after = (a, b) => {
  const columns = [0, 1, 2].map((column) => times(a, [b[column], b[column + 3], b[column + 6]]))
  return [0, 1, 2].flatMap((row) => columns.map((column) => column[row]))
}

/**
 * Somebody as 4D-Humans would give them: `turns` by joint's name, each against its parent; `pelvis` against
 * the camera's axes. Joints are posed here, by matrices, apart from the code under test.
 */
export function bodyPerson(
  body,
  { trackId = 1, betas = new Float32Array(10), turns = {}, place = [0, 0, 5] },
) {
  const { joints, parents } = body.bodyModel(betas)
  const own = SMPL24.map((name) => turns[name] ?? about('x', 0))
  const world = []
  const posed = []
  SMPL24.forEach((_, joint) => {
    const at = Array.from(joints.subarray(3 * joint, 3 * joint + 3))
    const parent = parents[joint]
    if (parent < 0) {
      world.push(own[joint])
      posed.push(at)
      return
    }
    const step = at.map((part, axis) => part - joints[3 * parent + axis])
    world.push(after(world[parent], own[joint]))
    posed.push(times(world[parent], step).map((part, axis) => part + posed[parent][axis]))
  })
  const focalLength = 1000
  const keypoints = SMPL24.map((name, joint) => {
    const [x, y, z] = posed[joint].map((part, axis) => part + place[axis])
    return {
      name,
      x: 320 + (focalLength * x) / z,
      y: 240 + (focalLength * y) / z,
      z: 0,
      confidence: 0.9,
    }
  })
  return {
    trackId,
    box: Float32Array.of(200, 50, 440, 460),
    score: 0.875,
    source: 'detected',
    trackingConfidence: 1,
    keypoints,
    keypointSource: 'projected',
    joints3d: Float32Array.from(posed.flat()),
    jointAngles3d: { left_knee: 171.5, right_knee: 169.25 },
    camera: {
      translation: Float32Array.from(place),
      focalLength,
      center: Float32Array.of(320, 240),
    },
    smpl: {
      globalOrient: Float32Array.from(own[0]),
      bodyPose: Float32Array.from(own.slice(1).flat()),
      betas: Float32Array.from(betas),
    },
  }
}

/** A frame with these people. */
export const frameOf = (frameNumber, persons, more) => ({
  frameNumber,
  frameWidth: 640,
  frameHeight: 480,
  persons,
  keypoints: persons[0]?.keypoints ?? [],
  keypointCount: persons[0]?.keypoints.length ?? 0,
  has3d: Boolean(persons[0]?.joints3d),
  processingTimeMs: 1,
  timings: {},
  modelVersion: 'test',
  ...more,
})

/** Somebody who faces the camera, walks on the spot and raises the left arm. */
export function walker(body, frames, options) {
  return Array.from({ length: frames }, (_, at) => {
    const swing = 30 * Math.sin((2 * Math.PI * at) / 20)
    const turns = {
      pelvis: about('x', 180),
      left_hip: about('x', -swing),
      right_hip: about('x', swing),
      left_knee: about('x', 20 + swing / 2),
      right_knee: about('x', 20 - swing / 2),
      left_shoulder: about('z', -70 + (140 * at) / frames),
      right_shoulder: about('z', 70),
      left_elbow: about('y', -15),
      neck: about('y', swing / 2),
    }
    return bodyPerson(body, { turns, place: [0.01 * at, 0.3, 5], ...options })
  })
}
