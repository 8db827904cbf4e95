'use strict'
// A depth map as a file: 16-bit PNG, NumPy array, coloured picture.

const { INFERNO } = require('./inferno.cjs')
const { array, npy } = require('./npy.cjs')
const { encodePng } = require('./png.cjs')

const MOST = 0xffff

/** Numbers that are none count as farthest. */
const part = (value, min, span) => (value > min ? Math.min((value - min) / span, 1) : 0)

/** From the farthest (0) to the nearest pixel (65535); `min` and `max` of the map are in its texts. */
async function toPng({ depth, width, height, range: { min, max }, model }) {
  const bytes = Buffer.alloc(2 * depth.length)
  const span = max - min || 1
  for (let i = 0; i < depth.length; i++)
    bytes.writeUInt16BE(Math.round(MOST * part(depth[i], min, span)), 2 * i)
  const notes = {
    Title: 'Relative inverse depth: larger is nearer',
    Source: model,
    'pose4d:min': String(min),
    'pose4d:max': String(max),
  }
  return encodePng({ width, height, colour: 'grey', depth: 16, bytes, notes })
}

/** `[height, width]`, float32, as the network says it. */
async function toNpy({ depth, width, height }) {
  return Buffer.concat(npy(array(depth, [height, width])))
}

/** For the eye: bright is near. */
async function toPreview({ depth, width, height, range: { min, max }, model }) {
  const bytes = Buffer.alloc(3 * depth.length)
  const span = max - min || 1
  for (let i = 0; i < depth.length; i++) {
    const from = 3 * Math.round(255 * part(depth[i], min, span))
    bytes[3 * i] = INFERNO[from]
    bytes[3 * i + 1] = INFERNO[from + 1]
    bytes[3 * i + 2] = INFERNO[from + 2]
  }
  const notes = { Title: 'Relative inverse depth: bright is near', Source: model }
  return encodePng({ width, height, colour: 'rgb', depth: 8, bytes, notes })
}

/** What a map can be written as: the end of the file's name, and its bytes. */
const DEPTH_FORMATS = {
  png: { suffix: '.png', encode: toPng },
  npy: { suffix: '.npy', encode: toNpy },
  preview: { suffix: '-preview.png', encode: toPreview },
}

module.exports = { DEPTH_FORMATS }
