'use strict'
// One service at a time works on a folder of jobs. What a killed one left behind is told from a living
// one's by its process, and across containers by a file that the living keep touching.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { Pose4DError } = require('../../lib/errors.cjs')

const BEAT_MS = 5000
/** A lock that was not touched for so long is nobody's. */
const DEAD_MS = 20_000

/** Folders locked by this very process. */
const held = new Set()

/** When a process began, in the kernel's ticks; a number that is given out again has another. */
function startOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')[19]
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Whether the lock's owner lives. */
function owned(file) {
  let owner
  try {
    owner = JSON.parse(fs.readFileSync(file, 'utf8'))
  } catch {
    // Being written, or cut short by a power cut: its age tells.
  }
  const age = Date.now() - fs.statSync(file).mtimeMs
  if (!owner || owner.host !== os.hostname()) return age < DEAD_MS ? (owner ?? {}) : undefined
  if (owner.pid === process.pid) return held.has(path.dirname(file)) ? owner : undefined
  return isAlive(owner.pid) && startOf(owner.pid) === owner.start ? owner : undefined
}

class FolderLock {
  #file
  #folder
  #beat

  /** Throws `ERR_POSE4D_INVALID_ARGUMENT` where somebody else has it. */
  constructor(folder) {
    this.#folder = folder
    this.#file = path.join(folder, 'service.lock')
    const { pid } = process
    const text = JSON.stringify({ pid, host: os.hostname(), start: startOf(pid) })
    this.#take(text)
    held.add(folder)
    const touch = () => {
      const now = new Date()
      fs.utimes(this.#file, now, now, () => {})
    }
    this.#beat = setInterval(touch, BEAT_MS).unref()
  }

  #take(text) {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        fs.writeFileSync(this.#file, text, { flag: 'wx' })
        return
      } catch (error) {
        if (error.code !== 'EEXIST') throw error
      }
      const owner = owned(this.#file)
      if (owner)
        throw new Pose4DError(
          'ERR_POSE4D_INVALID_ARGUMENT',
          `${this.#folder} is in use by another service (process ${owner.pid ?? 'unknown'}): give this one another dataDir`,
        )
      fs.rmSync(this.#file, { force: true })
    }
    throw new Pose4DError('ERR_POSE4D_CACHE_IO', `${this.#file} cannot be taken`)
  }

  release() {
    clearInterval(this.#beat)
    held.delete(this.#folder)
    fs.rmSync(this.#file, { force: true })
  }
}

module.exports = { FolderLock }
