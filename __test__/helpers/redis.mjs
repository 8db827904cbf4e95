// A real Redis on a port of its own with a folder of its own, and workers as processes that may be killed.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { endWithTests } from './service.mjs'
import { needsFfmpeg } from './videos.mjs'

function hasRedis() {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export const needsRedis = {
  skip:
    needsFfmpeg.skip ||
    (hasRedis() ? false : 'redis-server is not on the PATH: many machines are not tested here'),
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** `{ url, stop, start, kill, close }`; what it was told survives, as with `appendonly yes`. */
export async function startRedis(options = []) {
  const folder = mkdtempSync(join(tmpdir(), 'pose4d-redis-'))
  const port = await freePort()
  let child
  const start = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
    child = endWithTests(
      spawn('redis-server', [...args, '--appendonly', 'yes', ...options], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    )
    let log = ''
    for await (const text of child.stdout) {
      log += text
      if (/Ready to accept connections/.test(log)) break
    }
    child.stdout.resume?.()
  }
  const kill = async (signal = 'SIGKILL') => {
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  await start()
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) await kill()
    rmSync(folder, { recursive: true, force: true })
  }
  return { url: `redis://127.0.0.1:${port}`, port, start, kill, close }
}

const WORKER = fileURLToPath(new URL('./redis_worker.mjs', import.meta.url))

/** A worker process; `ready` once it takes orders. `log()`: its lines. */
export function startWorker(options) {
  const child = endWithTests(
    spawn(process.execPath, [WORKER, JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  )
  let log = ''
  child.stderr.on('data', (data) => {
    log += data
  })
  const exited = once(child, 'exit')
  const ready = async () => {
    while (!/at work for/.test(log)) {
      if (child.exitCode !== null) throw new Error(log)
      await pause(20)
    }
  }
  const kill = async (signal = 'SIGKILL') => {
    child.kill(signal)
    return exited
  }
  return { ready, kill, exited, log: () => log }
}

/** Numbers from 0 to 1, the same for the same seed. */
export function drawn(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39)
    mixed ^= mixed >>> 15
    return (mixed >>> 0) / 2 ** 32
  }
}
