'use strict'
// Raw RGB frames with their times as a Matroska stream: what goes down a pipe to ffmpeg when frames are not
// evenly spaced. Elements and ids: RFC 9559; V_UNCOMPRESSED with a FourCC is how ffmpeg reads raw frames.

/** Ticks of 1 µs. */
const TICK_NS = 1000

function uint(value) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  const first = bytes.findIndex((byte) => byte > 0)
  return bytes.subarray(first < 0 ? 7 : first)
}

/** A size in eight bytes: always enough. */
function sizeOf(length) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(length) | (1n << 56n))
  return bytes
}

const UNKNOWN_SIZE = Buffer.from('01ffffffffffffff', 'hex')

const element = (id, content) => {
  const body = Array.isArray(content) ? Buffer.concat(content) : Buffer.from(content)
  return Buffer.concat([Buffer.from(id, 'hex'), sizeOf(body.length), body])
}

/** What the stream begins with. `stepMs`: how long a frame lasts after which nothing comes. */
function head({ width, height, stepMs }) {
  const video = element('e0', [
    element('b0', uint(width)),
    element('ba', uint(height)),
    element('2eb524', Buffer.from([0x52, 0x47, 0x42, 24])),
  ])
  const track = element('ae', [
    element('d7', uint(1)),
    element('73c5', uint(1)),
    element('83', uint(1)),
    element('86', 'V_UNCOMPRESSED'),
    element('23e383', uint(Math.max(1, Math.round(stepMs * 1e6)))),
    video,
  ])
  return Buffer.concat([
    element('1a45dfa3', [
      element('4282', 'matroska'),
      element('4287', uint(4)),
      element('4285', uint(2)),
    ]),
    Buffer.from('18538067', 'hex'),
    UNKNOWN_SIZE,
    element('1549a966', [
      element('2ad7b1', uint(TICK_NS)),
      element('4d80', 'pose4d'),
      element('5741', 'pose4d'),
    ]),
    element('1654ae6b', [track]),
  ])
}

/** What stands before a frame's pixels. `timestampMs`: 0 or more. */
function frameHead(bytes, timestampMs) {
  const time = element('e7', uint(Math.round((timestampMs * 1e6) / TICK_NS)))
  // Track 1, at the cluster's own time, a key frame.
  const block = Buffer.from([0x81, 0, 0, 0x80])
  return Buffer.concat([
    Buffer.from('1f43b675', 'hex'),
    sizeOf(time.length + 1 + 8 + block.length + bytes),
    time,
    Buffer.from('a3', 'hex'),
    sizeOf(block.length + bytes),
    block,
  ])
}

module.exports = { frameHead, head }
