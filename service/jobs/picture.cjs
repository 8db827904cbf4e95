'use strict'
// One frame of a job's video, with its people drawn in.

const { renderOverlay } = require('../../lib/tools.cjs')
const { probeVideo } = require('../../lib/video/probe.cjs')
const { VideoReader } = require('../../lib/video/read.cjs')

/** Seconds before the frame from which on it is looked for: stamps are rounded. */
const BEFORE = 0.002

/** A JPEG, or undefined where the frame cannot be decoded. */
async function framePicture({ video, result, signal, drawn = true }) {
  const info = await probeVideo(video, { signal })
  const start = Math.max(0, result.timestampMs / 1000 - BEFORE)
  const reader = new VideoReader(video, info, { start, signal })
  try {
    for await (const frame of reader.frames()) {
      if (Math.abs(frame.timestampMs - result.timestampMs) > 1) {
        if (frame.timestampMs > result.timestampMs) return undefined
        continue
      }
      if (!frame.pixels) return undefined
      const { pixels, width, height } = frame
      const persons = drawn ? result.persons : []
      const shown = { frameWidth: width, frameHeight: height, persons }
      return await renderOverlay({ pixels, width, height }, shown, { format: 'jpeg' })
    }
    return undefined
  } finally {
    reader.stop()
  }
}

module.exports = { framePicture }
