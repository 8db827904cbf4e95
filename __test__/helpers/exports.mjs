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
