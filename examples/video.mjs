// A video file: every frame once, a drawn video beside it, and who was seen when.
import { createEngine } from '../index.mjs'

const [path, overlay] = process.argv.slice(2)
if (!path) throw new Error('usage: node examples/video.mjs video [drawn.mp4]')

const engine = await createEngine()
try {
  const video = engine.processVideo(path, { overlay })
  const { width, height, fps, frames } = await video.info
  console.log(`${width}×${height}, ${fps?.toFixed(2)} frames a second, ${frames} frames`)
  for await (const { frameNumber, timestampMs, persons, error } of video) {
    const people = persons.map(({ trackId, source }) => `${trackId} ${source}`)
    console.log(frameNumber, `${(timestampMs / 1000).toFixed(3)} s`, error ?? people.join(', '))
  }
  const { tracks, suspectedSwitches, holds } = video.summary()
  for (const { trackId, frames: length, seen, longestGap } of tracks)
    console.log(`${trackId}: seen in ${seen} of ${length} frames, longest gap ${longestGap}`)
  console.log(holds ? 'all that must hold, holds' : 'something is wrong', suspectedSwitches)
} finally {
  await engine.close()
}
