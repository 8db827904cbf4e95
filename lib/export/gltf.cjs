'use strict'
// A glTF 2.0 document put together piece by piece, and written as one binary file (.glb).

const FLOAT = 5126
const COMPONENTS = new Map([
  [Float32Array, FLOAT],
  [Uint8Array, 5121],
  [Uint16Array, 5123],
  [Uint32Array, 5125],
])
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT4: 16 }
/** What a buffer view is for. */
const VERTICES = 34962
const INDICES = 34963

function bounds(data, width) {
  const min = Array.from(data.subarray(0, width))
  const max = min.slice()
  for (let at = width; at < data.length; at++) {
    const axis = at % width
    if (data[at] < min[axis]) min[axis] = data[at]
    if (data[at] > max[axis]) max[axis] = data[at]
  }
  return { min, max }
}

class Document {
  #bytes = []
  #length = 0
  json

  constructor(generator) {
    this.json = {
      asset: { version: '2.0', generator },
      scene: 0,
      scenes: [{ nodes: [] }],
      nodes: [],
    }
  }

  /** Adds to one of the document's lists, and gives the number it has there. */
  put(list, value) {
    this.json[list] ??= []
    return this.json[list].push(value) - 1
  }

  /** A node of the scene itself. */
  root(node) {
    const at = this.put('nodes', node)
    this.json.scenes[0].nodes.push(at)
    return at
  }

  /** `type`: SCALAR, VEC3, …; `use`: vertices, indices, or nothing. */
  accessor(data, type, { use, bounded = false } = {}) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const padding = (4 - (bytes.length % 4)) % 4
    const bufferView = this.put('bufferViews', {
      buffer: 0,
      byteOffset: this.#length,
      byteLength: bytes.length,
      ...(use && { target: use }),
    })
    this.#bytes.push(bytes, Buffer.alloc(padding))
    this.#length += bytes.length + padding
    return this.put('accessors', {
      bufferView,
      componentType: COMPONENTS.get(data.constructor),
      count: data.length / WIDTHS[type],
      type,
      ...(bounded && bounds(data, WIDTHS[type])),
    })
  }

  /** The parts of the file. */
  toGlb() {
    if (this.#length > 0) this.json.buffers = [{ byteLength: this.#length }]
    const text = Buffer.from(JSON.stringify(this.json), 'utf8')
    const spaces = Buffer.alloc((4 - (text.length % 4)) % 4, ' ')
    const chunk = (type, length) => {
      const head = Buffer.alloc(8)
      head.writeUInt32LE(length, 0)
      head.write(type, 4, 'latin1')
      return head
    }
    const parts = [chunk('JSON', text.length + spaces.length), text, spaces]
    if (this.#length > 0) parts.push(chunk('BIN\0', this.#length), ...this.#bytes)
    const head = Buffer.alloc(12)
    head.write('glTF', 0, 'latin1')
    head.writeUInt32LE(2, 4)
    head.writeUInt32LE(
      parts.reduce((sum, part) => sum + part.length, head.length),
      8,
    )
    return [head, ...parts]
  }
}

module.exports = { Document, INDICES, VERTICES }
