// Small pictures made on the spot, good ones and bad ones.

import { readFileSync } from 'node:fs'
import { crc32, deflateSync } from 'node:zlib'

export const SAMPLE = new URL('../../examples/sample.jpg', import.meta.url)
export const sample = () => readFileSync(SAMPLE)

function checksum(bytes) {
  if (crc32) return crc32(bytes)
  // Node 20 before 20.15 has none.
  let sum = ~0
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (0xedb88320 & -(sum & 1))
  }
  return ~sum >>> 0
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const ends = Buffer.alloc(8)
  ends.writeUInt32BE(data.length, 0)
  ends.writeUInt32BE(checksum(body), 4)
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)])
}

const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 }

/** A PNG of one tone. `color`: 0 grey, 2 RGB, 4 grey with alpha, 6 RGBA. */
export function png(width, height, { color = 2, depth = 8, tone = 120, claimed } = {}) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(claimed?.width ?? width, 0)
  header.writeUInt32BE(claimed?.height ?? height, 4)
  header[8] = depth
  header[9] = color
  const row = Buffer.alloc(1 + width * CHANNELS[color] * (depth / 8), tone)
  row[0] = 0
  const rows = Buffer.concat(Array.from({ length: height }, () => row))
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** Raw RGB of one tone. */
export const raw = (frameNumber, { width = 64, height = 48, tone = 90 } = {}) => ({
  frameNumber,
  pixels: new Uint8Array(width * height * 3).fill(tone),
  width,
  height,
})

export const rawFrames = (from, to, options) =>
  Array.from({ length: to - from }, (_, i) => raw(from + i, options))
