'use strict'
// Files that are there whole or not at all, and text that is written as it comes.

const fs = require('node:fs')
const path = require('node:path')
const { once } = require('node:events')
const { unwritable } = require('./faults.cjs')

async function makeFolder(file) {
  const folder = path.dirname(file)
  await fs.promises.mkdir(folder, { recursive: true }).catch((error) => {
    throw unwritable(folder, error)
  })
}

/** Small parts are written together. */
const PIECE = 1 << 20

function* pieces(parts) {
  let waiting = []
  let size = 0
  for (const part of parts) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(part)
    waiting.push(bytes)
    size += bytes.length
    if (size < PIECE) continue
    yield Buffer.concat(waiting, size)
    waiting = []
    size = 0
  }
  yield Buffer.concat(waiting, size)
}

/** Writes `parts` under another name and moves it into place. */
async function writeWhole(file, parts) {
  await makeFolder(file)
  const draft = `${file}.${process.pid}.part`
  try {
    const handle = await fs.promises.open(draft, 'w')
    try {
      for (const piece of pieces(parts)) await handle.writeFile(piece)
    } finally {
      await handle.close()
    }
    await fs.promises.rename(draft, file)
  } catch (error) {
    await fs.promises.rm(draft, { force: true }).catch(() => {})
    throw unwritable(file, error)
  }
}

/** A text file, or stdout (`-`), written piece by piece without anything held back. */
class TextFile {
  #path
  #stream
  #error

  static async open(file) {
    if (file !== '-') await makeFolder(file)
    return new TextFile(file)
  }

  constructor(file) {
    this.#path = file
    this.#stream = file === '-' ? process.stdout : fs.createWriteStream(file)
    if (file !== '-') {
      this.#stream.on('error', (error) => {
        this.#error = error
      })
    }
  }

  async write(text) {
    this.#check()
    if (!this.#stream.write(text)) await once(this.#stream, 'drain').catch(() => {})
  }

  async close() {
    if (this.#path === '-') return
    this.#stream.end()
    if (!this.#error) await once(this.#stream, 'close').catch(() => {})
    this.#check()
  }

  #check() {
    if (this.#error) throw unwritable(this.#path, this.#error)
  }
}

module.exports = { TextFile, writeWhole }
