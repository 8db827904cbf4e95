'use strict'
// PNG pictures of plain numbers: grey of 8 or 16 bits, or RGB.

const { crc32, deflate } = require('node:zlib')
const { promisify } = require('node:util')

const packed = promisify(deflate)
const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
const COLOUR_TYPES = { grey: 0, rgb: 2 }
/** Rows that are filtered before others have their turn in Node's loop. */
const ROWS = 256

function chunk(name, data) {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(data.length)
  head.write(name, 4, 'latin1')
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(data, crc32(head.subarray(4))))
  return [head, data, check]
}

const text = (key, value) => chunk('tEXt', Buffer.from(`${key}\0${value}`, 'latin1'))

/**
 * @param colour 'grey' or 'rgb'
 * @param depth bits of a sample, 8 or 16
 * @param bytes row-major samples, those of 16 bits most significant byte first
 * @param notes texts by keyword, Latin-1
 */
async function encodePng({ width, height, colour, depth, bytes, notes = {} }) {
  const step = (colour === 'rgb' ? 3 : 1) * (depth / 8)
  const length = width * step
  if (bytes.length !== length * height)
    throw new RangeError(`${bytes.length} bytes do not fill ${width} x ${height} pixels`)
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width)
  head.writeUInt32BE(height, 4)
  head[8] = depth
  head[9] = COLOUR_TYPES[colour]
  const rows = Buffer.alloc((length + 1) * height)
  for (let y = 0; y < height; y++) {
    if (y % ROWS === ROWS - 1) await new Promise(setImmediate)
    const [from, to] = [y * length, y * (length + 1)]
    // Differences to the left neighbour: what is smooth packs small.
    rows[to] = 1
    for (let x = 0; x < length; x++)
      rows[to + 1 + x] = bytes[from + x] - (x < step ? 0 : bytes[from + x - step])
  }
  return Buffer.concat([
    SIGNATURE,
    ...chunk('IHDR', head),
    ...Object.entries(notes).flatMap(([key, value]) => text(key, value)),
    ...chunk('IDAT', await packed(rows)),
    ...chunk('IEND', Buffer.alloc(0)),
  ])
}

module.exports = { encodePng }
