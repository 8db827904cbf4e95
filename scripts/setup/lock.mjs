// Lets one set-up fetch while others wait for what it brings.

import { mkdir, rm, stat, utimes } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const HEARTBEAT_MS = 2_000
const STALE_MS = 30_000

/**
 * Runs `work` while holding the folder `lockPath` as a lock. A holder that stops giving signs of
 * life loses it; correctness does not rest on the lock, only the saving of a second download.
 */
export async function withLock(lockPath, say, work) {
  await acquire(lockPath, say)
  const beat = setInterval(() => {
    const now = new Date()
    utimes(lockPath, now, now).catch(() => {})
  }, HEARTBEAT_MS)
  beat.unref()
  try {
    return await work()
  } finally {
    clearInterval(beat)
    await rm(lockPath, { recursive: true, force: true })
  }
}

async function acquire(lockPath, say) {
  for (let told = false; ; await sleep(500)) {
    try {
      await mkdir(lockPath)
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const age = await stat(lockPath).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > STALE_MS) {
      await rm(lockPath, { recursive: true, force: true })
    } else if (!told) {
      say('another set-up is fetching libtorch; waiting for it')
      told = true
    }
  }
}
