#!/usr/bin/env node
// Memory while one clip goes on for very long: resident size every so many frames.
//   node --expose-gc scripts/campaigns/long_clip.mjs [--frames 100000] [--every 10000] [--with-people 20]
//
// Synthetic: most frames show a grey field of 16 × 16 pixels in which the caller says that nobody is, so that
// the clip's own machinery is what runs; every `--with-people`th a photo, made small, with the boxes of those in
// it, who are guessed in between. For every other thousand of frames it shows nobody: all of them are lost, and
// others come. Half-way the clip is saved and taken up again. Ends with 1 if the size grew by more than 5 % from
// a fifth of the way on, or if there was nobody.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createEngine } from '../../index.mjs'

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '100000' },
    every: { type: 'string', default: '10000' },
    'with-people': { type: 'string', default: '20' },
  },
})
const [frames, every, withPeople] = ['frames', 'every', 'with-people'].map((n) => Number(values[n]))
const CALL = 200
const ALLOWED = 1.05
const [WIDTH, HEIGHT] = [640, 360]
const PHOTO = fileURLToPath(new URL('../../examples/sample.jpg', import.meta.url))
const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(0).padStart(6)

const scaled = ['-vf', `scale=${WIDTH}:${HEIGHT}`, '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1']
const photo = execFileSync('ffmpeg', ['-v', 'error', '-i', PHOTO, ...scaled])
const grey = Buffer.alloc(16 * 16 * 3, 120)
const shown = (frameNumber) => frameNumber % withPeople === 0 && frameNumber % 2000 < 1000
const frame = (frameNumber) =>
  shown(frameNumber)
    ? { frameNumber, pixels: photo, width: WIDTH, height: HEIGHT, boxes }
    : { frameNumber, pixels: grey, width: 16, height: 16, boxes: [] }

const engine = await createEngine({
  model: 'blazepose',
  blazepose: { variant: 'fast', tileScales: [], searchEvery: 0, watch: false },
})
const finder = await createEngine({ model: 'blazepose' })
const [alone] = await finder.processFrames(
  [{ frameNumber: 0, pixels: photo, width: WIDTH, height: HEIGHT }],
  { tracking: false },
)
await finder.close()
const boxes = alone.persons.map(({ box }) => [...box])
let clip = engine.openClip()
let [baseline, highest, people] = [0, 0, 0]
const start = performance.now()
console.log('frames     RSS   heap  snapshot, bytes')
for (let at = 0; at < frames; at += CALL) {
  const call = Array.from({ length: Math.min(CALL, frames - at) }, (_, i) => frame(at + i))
  for (const { persons } of await clip.processFrames(call)) people += persons.length
  const done = at + call.length
  if (done === Math.floor(frames / 2 / CALL) * CALL)
    clip = engine.openClip({ snapshot: await clip.snapshot() })
  if (done % every > 0 && done < frames) continue
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  const { length } = await clip.snapshot()
  console.log(String(done).padStart(6), megabytes(rss), megabytes(heapUsed), length)
  if (done >= frames / 5) {
    baseline ||= rss
    highest = Math.max(highest, rss)
  }
}
const { framesOut, holds, tracks } = clip.summary()
const seconds = ((performance.now() - start) / 1000).toFixed(0)
console.log(
  `${framesOut} frames, ${people} records of ${tracks.length} people, ${seconds} s; ` +
    `${((100 * highest) / baseline - 100).toFixed(1)} % more than at a fifth of the way; ` +
    `all that must hold ${holds ? 'holds' : 'does NOT hold'}`,
)
await engine.close()
process.exitCode = people > 0 && holds && highest <= ALLOWED * baseline ? 0 : 1
