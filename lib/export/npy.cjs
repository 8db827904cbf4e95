'use strict'
// Arrays as numpy stores them: .npy, and .npz, which is a ZIP of those.

const { crc32 } = require('node:zlib')
const { invalid } = require('./faults.cjs')

const DTYPES = new Map([
  [Float32Array, '<f4'],
  [Float64Array, '<f8'],
  [Int32Array, '<i4'],
  [BigInt64Array, '<i8'],
  [Uint8Array, '|u1'],
  [Uint32Array, '<u4'],
])

const bytesOf = (data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

/** `{ dtype, shape, bytes }` of a typed array, row-major. */
function array(data, shape) {
  const dtype = DTYPES.get(data.constructor)
  const size = shape.reduce((product, side) => product * side, 1)
  if (!dtype || size !== data.length)
    throw new RangeError(`${data.length} elements do not fill [${shape}]`)
  return { dtype, shape, bytes: bytesOf(data) }
}

/** Booleans, one byte each. */
const booleans = (values) => ({
  dtype: '|b1',
  shape: [values.length],
  bytes: Buffer.from(values.map(Number)),
})

const integers = (values) => array(BigInt64Array.from(values, BigInt), [values.length])

/** Strings of one width, UTF-32, as numpy's `<U` has them. */
function strings(values) {
  const letters = values.map((value) => Array.from(value))
  const width = letters.reduce((most, { length }) => Math.max(most, length), 1)
  const codes = new Uint32Array(values.length * width)
  letters.forEach((word, row) => {
    word.forEach((letter, at) => {
      codes[row * width + at] = letter.codePointAt(0)
    })
  })
  return { dtype: `<U${width}`, shape: [values.length], bytes: bytesOf(codes) }
}

/** The head of a .npy file (version 1.0); the elements follow. */
function npyHead({ dtype, shape }) {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${sides}), }`
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10
  const head = Buffer.alloc(10 + length, ' ')
  head.write('\x93NUMPY\x01\x00', 'latin1')
  head.writeUInt16LE(length, 8)
  head.write(text, 10, 'latin1')
  head.write('\n', head.length - 1, 'latin1')
  return head
}

/** Parts of a .npy file. */
const npy = (made) => [npyHead(made), made.bytes]

const LARGEST = 0xffff_ffff

/** Parts of a .npz file, uncompressed as `numpy.savez` writes it: `{ name: array }`. */
function npz(arrays) {
  const parts = []
  const directory = []
  let offset = 0
  for (const [name, made] of Object.entries(arrays)) {
    const file = Buffer.from(`${name}.npy`, 'utf8')
    const head = npyHead(made)
    const size = head.length + made.bytes.length
    if (offset + size > LARGEST)
      throw invalid(
        `the .npz file would be larger than 4 GiB at '${name}'; export fewer frames at a time, or without meshes`,
      )
    const about = Buffer.alloc(26)
    about.writeUInt16LE(20, 0)
    // The date of every file is the oldest there is: equal results give equal bytes.
    about.writeUInt16LE(0x21, 8)
    about.writeUInt32LE(crc32(made.bytes, crc32(head)), 10)
    about.writeUInt32LE(size, 14)
    about.writeUInt32LE(size, 18)
    about.writeUInt16LE(file.length, 22)
    parts.push(Buffer.from('PK\x03\x04', 'latin1'), about, file, head, made.bytes)
    const entry = Buffer.alloc(46)
    entry.write('PK\x01\x02', 'latin1')
    entry.writeUInt16LE(20, 4)
    about.copy(entry, 6)
    entry.writeUInt32LE(offset, 42)
    directory.push(entry, file)
    offset += 30 + file.length + size
  }
  const table = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(directory.length / 2, 8)
  end.writeUInt16LE(directory.length / 2, 10)
  end.writeUInt32LE(table.length, 12)
  end.writeUInt32LE(offset, 16)
  return [...parts, table, end]
}

module.exports = { array, booleans, integers, npy, npz, strings }
