// Small videos made on the spot with ffmpeg, whole, turned, uneven and broken ones.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

function hasFfmpeg() {
  try {
    for (const tool of ['ffmpeg', 'ffprobe']) execFileSync(tool, ['-version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export const needsFfmpeg = {
  skip: hasFfmpeg() ? false : 'ffmpeg and ffprobe are not on the PATH: video is not tested here',
}

/** 45 frames of people walking, 640 × 360, 30 a second. */
export const CLIP = fileURLToPath(new URL('../fixtures/clip.mp4', import.meta.url))

export const ffmpeg = (...args) =>
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  })

const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p']

/** The test card, with a key frame every `gop` frames and frames stored out of order. */
export const card = (path, { size = '160x120', rate = 30, seconds = 2, gop = 15 } = {}) => {
  const input = `testsrc=size=${size}:rate=${rate}:duration=${seconds}`
  const fast = ['-movflags', '+faststart']
  ffmpeg('-f', 'lavfi', '-i', input, ...H264, '-bf', '2', '-g', String(gop), ...fast, path)
  return path
}

/** One second at ten frames a second, then one at twenty-five: 35 frames, in ticks of a millisecond. */
export function uneven(path, codec = [...H264, '-bf', '0']) {
  const source = (rate) => ['-f', 'lavfi', '-i', `testsrc=size=160x120:rate=${rate}:duration=1`]
  const filter = '[0]settb=1/1000[a];[1]settb=1/1000[b];[a][b]concat'
  const flags = ['-fps_mode', 'passthrough', '-enc_time_base', '1/1000']
  // Its end would be reckoned from the first rate, and the last frame lie behind it.
  if (/\.(mp4|mov)$/.test(path)) flags.push('-use_editlist', '0')
  ffmpeg(...source(10), ...source(25), '-filter_complex', filter, ...flags, ...codec, path)
  return path
}
export const UNEVEN_TIMES = [
  ...Array.from({ length: 10 }, (_, i) => 100 * i),
  ...Array.from({ length: 25 }, (_, i) => 1000 + 40 * i),
]

/** What ffprobe says of each frame in order: seconds. */
export const frameTimes = (path) =>
  execFileSync('ffprobe', [
    ...[
      '-v',
      'error',
      '-select_streams',
      'v:0',
      '-show_entries',
      'frame=best_effort_timestamp_time',
    ],
    ...['-of', 'csv=p=0', path],
  ])
    .toString()
    .trim()
    .split('\n')
    .map((line) => Number.parseFloat(line))
    .filter((seconds) => !Number.isNaN(seconds))

export const probe = (path) =>
  JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-of', 'json', '-show_streams', '-count_frames', path]),
  ).streams.find((stream) => stream.codec_type === 'video')

/** Where the nth packet's bytes lie: `{ pos, size }`. */
function packet(path, index) {
  const args = ['-v', 'error', '-select_streams', 'v:0', '-show_packets', '-of', 'json', path]
  const { pos, size, pts_time } = JSON.parse(execFileSync('ffprobe', args)).packets[index]
  return { pos: Number(pos), size: Number(size), seconds: Number(pts_time) }
}

/**
 * Writes over the nth stored packet. Returns when its frame is shown, seconds. In Matroska a block's head
 * comes first, which `head: true` breaks too: the demuxer then loses more than the one.
 */
export function breakPacket(path, index, to, { head = false } = {}) {
  const { pos, size, seconds } = packet(path, index)
  const bytes = readFileSync(path)
  bytes.fill(0xff, pos + (head || !path.endsWith('.mkv') ? 0 : 16), pos + size)
  writeFileSync(to, bytes)
  return seconds
}

/** The first part of a file. */
export function cutOff(path, share, to) {
  const bytes = readFileSync(path)
  writeFileSync(to, bytes.subarray(0, Math.round(bytes.length * share)))
  return to
}

/** Rows of 2 × 2 as the track header of an MP4 has them, by clockwise degrees. */
const TURNS = {
  90: [0, 1, -1, 0],
  180: [-1, 0, 0, -1],
  270: [0, -1, 1, 0],
}

/** Asks to be shown turned: by the display matrix in the header of an MP4's track, as phones write it. */
export function turn(path, degrees, to) {
  const bytes = readFileSync(path)
  const header = bytes.indexOf('tkhd') + 4
  const version = bytes[header]
  const matrix = header + (version === 1 ? 52 : 40)
  const [a, b, c, d] = TURNS[degrees]
  for (const [i, value] of [a, b, 0, c, d, 0, 0, 0].entries())
    bytes.writeInt32BE(value * 65536, matrix + 4 * i)
  bytes.writeInt32BE(1 << 30, matrix + 32)
  writeFileSync(to, bytes)
  return to
}
