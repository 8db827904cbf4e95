'use strict'
// The files of video jobs in a folder: uploads, drawn videos.

const { randomUUID } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

/** Its name is on the disk, too, not only its bytes. */
function syncFolder(folder) {
  try {
    const handle = fs.openSync(folder, 'r')
    fs.fsyncSync(handle)
    fs.closeSync(handle)
  } catch {
    // Windows has no such thing.
  }
}

const outputOf = (dataDir, id) => path.join(dataDir, 'outputs', `${id}.mp4`)

class JobFiles {
  #dataDir
  #uploadTimeoutMs

  /** Makes the folders. */
  constructor({ dataDir, uploadTimeoutMs }) {
    this.#dataDir = dataDir
    this.#uploadTimeoutMs = uploadTimeoutMs
    for (const folder of [dataDir, this.#folder('uploads'), this.#folder('outputs')])
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  #folder(name) {
    return path.join(this.#dataDir, name)
  }

  /** A place for an upload; `keep` makes its bytes durable, `drop` takes them away. */
  upload(name) {
    const [extension] = /\.[a-z0-9]{1,5}$/i.exec(name) ?? ['.mp4']
    const id = randomUUID()
    const file = path.join(this.#folder('uploads'), `${id}${extension.toLowerCase()}`)
    const draft = `${file}.part`
    return {
      draft,
      drop: () => fs.rmSync(draft, { force: true }),
      keep: () => {
        const handle = fs.openSync(draft, 'r+')
        fs.fsyncSync(handle)
        fs.closeSync(handle)
        fs.renameSync(draft, file)
        syncFolder(path.dirname(file))
        return { id, file }
      },
    }
  }

  /** Where a job's drawn video goes. */
  output(id) {
    return outputOf(this.#dataDir, id)
  }

  remove({ id, video, uploaded, output }) {
    if (uploaded) fs.rmSync(video, { force: true })
    for (const name of [`${id}.mp4`, `${id}.part.mp4`])
      fs.rmSync(path.join(this.#folder('outputs'), name), { force: true })
    if (output) fs.rmSync(output, { force: true })
  }

  /** Uploads that nobody's job knows. */
  async tidy(knows) {
    const folder = this.#folder('uploads')
    for (const name of fs.readdirSync(folder)) {
      const file = path.join(folder, name)
      const age = Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
      // One that is on its way grows all the time.
      if (age > this.#uploadTimeoutMs && !(await knows(file))) fs.rmSync(file, { force: true })
    }
  }
}

module.exports = { JobFiles, outputOf }
