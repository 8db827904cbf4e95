// Engines in worker threads: several at once, and workers ended in the middle of their work.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { createEngine } from '../index.mjs'
import { raw, SAMPLE } from './helpers/images.mjs'

const INDEX = new URL('../index.mjs', import.meta.url).href

/** Makes an engine, reports, and keeps it busy for ever. */
const BUSY = `
  const { parentPort } = require('node:worker_threads')
  import(${JSON.stringify(INDEX)}).then(async ({ createEngine }) => {
    const engine = await createEngine({ modelVariant: 'fast', threads: 1 })
    const frames = [...Array(50).keys()].map((frameNumber) => ({
      frameNumber,
      imagePath: ${JSON.stringify(SAMPLE.pathname)},
    }))
    const [first] = await engine.processFrames(frames.slice(0, 1))
    parentPort.postMessage(first)
    for (;;) await engine.processFrames(frames)
  })`

test('workers with busy engines can be ended; other engines go on', async () => {
  const engine = await createEngine({ modelVariant: 'fast' })
  try {
    const workers = [1, 2].map(() => new Worker(BUSY, { eval: true }))
    const firsts = await Promise.all(workers.map((worker) => once(worker, 'message')))
    for (const [result] of firsts) {
      assert.equal(result.error, undefined)
      // Typed arrays cross threads as such.
      for (const person of result.persons) assert.ok(person.box instanceof Float32Array)
    }
    const during = engine.processFrames([raw(0), raw(1)])
    await Promise.all(workers.map((worker) => worker.terminate()))
    assert.equal((await during).length, 2)
    const [after] = await engine.processFrames([raw(0)])
    assert.equal(after.error, undefined)
  } finally {
    await engine.close()
  }
})

test('a process may exit with an engine open and busy', async () => {
  const { spawnSync } = await import('node:child_process')
  const code = `
    import { createEngine } from ${JSON.stringify(INDEX)}
    const engine = await createEngine({ modelVariant: 'fast' })
    const frames = [...Array(50).keys()].map((frameNumber) => ({
      frameNumber,
      imagePath: ${JSON.stringify(SAMPLE.pathname)},
    }))
    await engine.processFrames(frames.slice(0, 1))
    engine.processFrames(frames).catch(() => {})
    setTimeout(() => process.exit(7), 20)`
  const args = ['--input-type=module', '-e', code]
  const { status, signal, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.deepEqual({ status, signal }, { status: 7, signal: null }, stderr)
})
