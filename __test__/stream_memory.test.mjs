// A stream lets go of the frames that it has answered, also while a signal watches over it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { createEngine } from '../index.mjs'

const FRAMES = 240
const SIDE = 600
const FRAME_BYTES = SIDE * SIDE * 3

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

async function* frames() {
  for (let frameNumber = 0; frameNumber < FRAMES; frameNumber++) {
    yield { frameNumber, pixels: Buffer.alloc(FRAME_BYTES), width: SIDE, height: SIDE }
  }
}

test('memory of a watched stream does not grow with its length', async () => {
  const engine = await createEngine({ blazepose: { variant: 'fast', tileScales: [] } })
  const { signal } = new AbortController()
  gc()
  const before = process.memoryUsage().arrayBuffers
  let done = 0
  let most = 0
  for await (const result of engine.stream(frames(), { signal })) {
    assert.equal(result.frameNumber, done)
    done += 1
    if (done % 40 > 0) continue
    gc()
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  await engine.close()
  assert.equal(done, FRAMES)
  const held = most / FRAME_BYTES
  assert.ok(held < FRAMES / 4, `${held.toFixed(0)} of ${FRAMES} frames are still held`)
})
