// The addon in worker threads that come and go at random moments.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import test from 'node:test'
import runtime from '../lib/runtime.cjs'

const LOADER = path.join(runtime.ROOT, 'lib', 'native.cjs')
const WORKERS = 80

/** Loads the addon and keeps calling it until it is ended. */
const WORKER = `
  const { parentPort } = require('node:worker_threads')
  const { binding } = require(${JSON.stringify(LOADER)}).loadNative()
  parentPort.postMessage('loaded')
  const call = () => {
    binding.runtimeInfo()
    setImmediate(call)
  }
  call()`

/** Starts workers, a few at a time; ends half of them at any moment, half once they make calls. */
const storm = (mainLoads) => `
  const { Worker } = require('node:worker_threads')
  const load = () => require(${JSON.stringify(LOADER)}).loadNative().binding.runtimeInfo()
  if (${mainLoads}) load()
  let seed = 12345
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648
  let left = ${WORKERS}, loaded = 0
  const errors = []
  async function lane() {
    while (left-- > 0) {
      const worker = new Worker(${JSON.stringify(WORKER)}, { eval: true })
      const calling = new Promise((resolve) => worker.once('message', resolve).once('exit', resolve))
      worker.once('message', () => loaded++)
      worker.on('error', (error) => errors.push(error.message))
      if (random() < 0.5) await calling
      await new Promise((resolve) => setTimeout(resolve, random() * 100))
      await worker.terminate()
    }
  }
  Promise.all(Array.from({ length: 4 }, lane)).then(() => {
    const { version } = load()
    console.log(JSON.stringify({ loaded, errors, version }))
  })`

for (const mainLoads of [true, false]) {
  const who = mainLoads ? 'beside a main thread that uses it too' : 'on their own'
  test(`${WORKERS} workers end at random moments, ${who}`, { timeout: 180_000 }, () => {
    const child = spawnSync(process.execPath, ['-e', storm(mainLoads)], { encoding: 'utf8' })
    assert.equal(child.signal, null, `killed by ${child.signal}: ${child.stderr}`)
    assert.equal(child.status, 0, child.stderr)
    const { loaded, errors, version } = JSON.parse(child.stdout)
    assert.deepEqual(errors, [])
    assert.ok(loaded > WORKERS / 5, `only ${loaded} workers got as far as a call`)
    assert.ok(loaded < WORKERS, 'no worker was ended while it loaded')
    assert.match(version, /^\d+\.\d+\.\d+/)
  })
}

test('a process whose workers still run can exit', () => {
  const code = `
    const { Worker } = require('node:worker_threads')
    let loaded = 0
    for (let n = 0; n < 4; n++) {
      const worker = new Worker(${JSON.stringify(WORKER)}, { eval: true })
      worker.on('message', () => ++loaded === 4 && process.exit(7))
    }`
  const child = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 60_000 })
  assert.equal(child.signal, null, child.stderr)
  assert.equal(child.status, 7, child.stderr)
})
