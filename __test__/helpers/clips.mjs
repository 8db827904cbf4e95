// Frames of a real clip as pixels, and what hides people from the engine.

import { CLIP, ffmpeg } from './videos.mjs'

export const WIDTH = 640
export const HEIGHT = 360

/** The frames of the test clip, decoded anew: raw RGB. */
export function clipFrames() {
  const args = ['-i', CLIP, '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1']
  const bytes = ffmpeg('-nostdin', ...args)
  const size = WIDTH * HEIGHT * 3
  return Array.from({ length: bytes.length / size }, (_, frameNumber) => ({
    frameNumber,
    pixels: bytes.subarray(frameNumber * size, (frameNumber + 1) * size),
    width: WIDTH,
    height: HEIGHT,
  }))
}

/** The same frames; in those of `hidden` the engine is told that nobody is there. */
export const hide = (frames, hidden) =>
  frames.map((frame) => (hidden(frame.frameNumber) ? { ...frame, boxes: [] } : frame))

export const isSeen = ({ source }) => source === 'detected' || source === 'recovered'

/** Intersection over union. */
export function overlap(a, b) {
  const [width, height] = [0, 1].map((k) => Math.min(a[2 + k], b[2 + k]) - Math.max(a[k], b[k]))
  if (!(width > 0 && height > 0)) return 0
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1])
  return (width * height) / (area(a) + area(b) - width * height)
}

/** Mean distance of two people's joints, millimetres. */
export function apart(a, b) {
  const count = Math.min(a.joints3d.length, b.joints3d.length) / 3
  let sum = 0
  for (let i = 0; i < count; i++)
    sum += Math.hypot(...[0, 1, 2].map((k) => a.joints3d[3 * i + k] - b.joints3d[3 * i + k]))
  return (1000 * sum) / count
}

/**
 * A clip in which two people cross: somebody of `frames`, where `boxes` has them, and their double, mirrored
 * and in other colours, pasted over the scene and over them.
 */
export function crossing(frames, boxes) {
  return frames.map((frame, n) => {
    const pixels = Buffer.from(frame.pixels)
    const [x1, y1, x2, y2] = boxes[n].map(Math.round)
    for (let y = Math.max(0, y1); y < Math.min(HEIGHT, y2); y++) {
      for (let x = Math.max(0, x1); x < Math.min(WIDTH, x2); x++) {
        const from = 3 * (y * WIDTH + x)
        const to = 3 * (y * WIDTH + (WIDTH - 1 - x))
        // Red for blue: other clothes, as light as before.
        for (let k = 0; k < 3; k++) pixels[to + k] = frame.pixels[from + 2 - k]
      }
    }
    return { ...frame, pixels }
  })
}
