// What the user can take away: results as `pose4d process --out` writes them, and angles as CSV.

import { grouped } from './curves.mjs'

const PIXELS = 3
const METRES = 5

const rounded = (value, digits) => (Number.isFinite(value) ? Number(value.toFixed(digits)) : null)
const list = (values, digits) => Array.from(values, (value) => rounded(value, digits))

function keypoint(name, points, depths, at) {
  const [x, y, confidence] = points.subarray(3 * at, 3 * at + 3)
  const z = depths?.[at]
  return {
    name,
    x: rounded(x, PIXELS),
    y: rounded(y, PIXELS),
    ...(Number.isFinite(z) && { z: rounded(z, METRES) }),
    confidence: rounded(confidence, METRES),
  }
}

function person(given) {
  const { trackId, box, score, source, confidence, names, points, depths, joints, camera } = given
  return {
    trackId,
    box: list(box, PIXELS),
    score: rounded(score ?? 0, METRES),
    source,
    trackingConfidence: rounded(confidence, METRES),
    keypoints: names.map((name, at) => keypoint(name, points, depths, at)),
    ...(joints && { joints3d: list(joints, METRES) }),
    jointAngles3d: Object.fromEntries(
      Object.entries(given.angles).map(([name, value]) => [name, rounded(value, PIXELS)]),
    ),
    ...(given.smpl && { smpl: given.smpl }),
    ...(given.vertices && { mesh: { vertices: list(given.vertices, METRES) } }),
    ...(camera?.focalLength &&
      camera.center && {
        camera: {
          translation: list(camera.translation, METRES),
          focalLength: rounded(camera.focalLength, PIXELS),
          center: list(camera.center, PIXELS),
        },
      }),
    ...given.more,
  }
}

function frame(given, timeMs) {
  return {
    type: 'frame',
    frameNumber: given.number,
    ...(given.file && { file: given.file }),
    ...(timeMs !== null && { timestampMs: timeMs }),
    frameWidth: given.width,
    frameHeight: given.height,
    persons: given.persons.map(person),
    processingTimeMs: rounded(given.ms, PIXELS),
    timings: {},
    ...(given.errorCode && { errorCode: given.errorCode, error: given.error }),
  }
}

/** The clip as JSON Lines, a line at a time, so that no string grows beyond what a browser holds. */
export function* resultsOf(clip) {
  const header = {
    type: 'header',
    schema: 1,
    generator: clip.generator ?? 'pose4d, web page',
    source: {
      kind: clip.kind,
      ...(clip.file && { file: clip.file }),
      frameWidth: clip.width,
      frameHeight: clip.height,
      ...(clip.fps && { fps: clip.fps }),
      frames: clip.length,
    },
    model: { version: clip.model },
    tracked: clip.tracked,
    ...(clip.meshFaces && { meshFaces: Array.from(clip.meshFaces) }),
  }
  yield `${JSON.stringify(header)}\n`
  for (const one of clip.frames) yield `${JSON.stringify(frame(one, one.timeMs))}\n`
  const { length: frameCount, failed: errorCount, complete } = clip
  yield `${JSON.stringify({ type: 'end', complete, frameCount, errorCount })}\n`
}

const field = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

/** Angles as `pose4d export` writes them to CSV: RFC 4180, a row per record. */
export function csvOf(clip) {
  const all = clip.frames.flatMap(({ persons }) =>
    persons.flatMap(({ angles }) => Object.keys(angles)),
  )
  const names = grouped(new Set(all)).flatMap(([, lines]) => lines.map(({ name }) => name))
  const rows = [['frame', 'time_s', 'track_id', 'source', 'tracking_confidence', ...names]]
  clip.frames.forEach(({ number, persons }, index) => {
    for (const { trackId, source, confidence, angles } of persons) {
      const values = names.map((name) => angles[name] ?? '')
      rows.push([number, clip.times[index] / 1000, trackId, source, confidence, ...values])
    }
  })
  return rows.map((row) => `${row.map((value) => field(String(value))).join(',')}\r\n`)
}
