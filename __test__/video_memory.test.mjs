// A long video: frames stream through, drawn or not, and memory stays where it was.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { createEngine } from '../index.mjs'
import { ffmpeg, needsFfmpeg } from './helpers/videos.mjs'

const FRAMES = 900
const WIDTH = 640
const HEIGHT = 480
/** All frames together would be 830 MB. */
const MOST_GROWTH = 80 << 20
/** After so many, everything that is made once is there. */
const SETTLED = 200

test('memory does not grow with a video’s length', needsFfmpeg, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pose4d-long-'))
  const engine = await createEngine({ blazepose: { variant: 'fast', tileScales: [] } })
  try {
    const path = join(folder, 'long.mkv')
    const input = `testsrc=size=${WIDTH}x${HEIGHT}:rate=30:duration=${FRAMES / 30}`
    ffmpeg('-f', 'lavfi', '-i', input, '-c:v', 'libx264', '-preset', 'ultrafast', path)
    const video = engine.processVideo(path, { overlay: join(folder, 'drawn.mp4') })
    let [done, settled, most] = [0, 0, 0]
    for await (const { frameNumber } of video) {
      assert.equal(frameNumber, done++)
      const { rss } = process.memoryUsage()
      if (done <= SETTLED) settled = Math.max(settled, rss)
      else most = Math.max(most, rss)
    }
    assert.equal(done, FRAMES)
    const growth = most - settled
    assert.ok(growth < MOST_GROWTH, `RSS grew by ${(growth / 2 ** 20).toFixed(0)} MB`)
  } finally {
    await engine.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
