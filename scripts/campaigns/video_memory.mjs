#!/usr/bin/env node
// Memory while a long video goes through `processVideo`: resident size every so many frames.
//   node scripts/campaigns/video_memory.mjs [--frames 30000] [--every 3000]

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createEngine } from '../../index.mjs'

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '30000' },
    every: { type: 'string', default: '3000' },
  },
})
const [frames, every] = [Number(values.frames), Number(values.every)]
const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(0).padStart(6)

const folder = mkdtempSync(join(tmpdir(), 'pose4d-video-memory-'))
const engine = await createEngine({
  blazepose: { variant: 'fast', tileScales: [], searchEvery: 0, watch: false },
})
try {
  const path = join(folder, 'long.mkv')
  const input = `testsrc=size=320x240:rate=30:duration=${frames / 30}`
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', path]
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', input, ...encode])
  const video = engine.processVideo(path)
  console.log('frames    RSS   heap  array buffers, MB')
  let done = 0
  for await (const _ of video) {
    if (++done % every > 0) continue
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
    console.log(
      String(done).padStart(6),
      megabytes(rss),
      megabytes(heapUsed),
      megabytes(arrayBuffers),
    )
  }
  console.log(
    `${done} frames, all that must hold ${video.summary().holds ? 'holds' : 'does NOT hold'}`,
  )
} finally {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
}
