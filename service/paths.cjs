'use strict'
// Names of files that come in a request: only below the folders that whoever runs the service named,
// links resolved.

const fs = require('node:fs/promises')
const path = require('node:path')
const { FORBIDDEN, serviceError } = require('./errors.cjs')

const within = (root, file) => {
  const way = path.relative(root, file)
  return way === '' || (!way.startsWith(`..${path.sep}`) && way !== '..' && !path.isAbsolute(way))
}

class Roots {
  #roots

  /** Folders; one that does not exist holds nothing. */
  constructor(roots) {
    this.#roots = roots.map((root) => path.resolve(root))
  }

  #refuse(name) {
    const where =
      this.#roots.length > 0
        ? 'it is not below one of the folders that the service was given (roots)'
        : 'the service was given no folders of which files may be named (roots)'
    return serviceError(FORBIDDEN, `${name} is not open to requests: ${where}.`)
  }

  async #real(file) {
    return fs.realpath(file).catch(() => undefined)
  }

  async #allowed(real) {
    const roots = await Promise.all(this.#roots.map((root) => this.#real(root)))
    return roots.some((root) => root !== undefined && within(root, real))
  }

  /** What `name` means: absolute, or below the first root. What is no plain path is refused. */
  #resolve(name) {
    if (name.includes('\0') || this.#roots.length === 0) throw this.#refuse(JSON.stringify(name))
    return path.resolve(this.#roots[0], name)
  }

  /**
   * The real path of a file to be read. What lies outside is refused in the same words whether it is
   * there or not: the answer must not tell.
   */
  async toRead(name, code) {
    const asked = this.#resolve(name)
    const real = await this.#real(asked)
    if (real !== undefined && (await this.#allowed(real))) {
      if ((await fs.stat(real)).isFile()) return real
      throw serviceError(code, `${name} is not a file.`)
    }
    const folder = real === undefined ? await this.#real(path.dirname(asked)) : undefined
    if (folder !== undefined && (await this.#allowed(folder)))
      throw serviceError(code, `There is no file ${name}.`)
    throw this.#refuse(name)
  }

  /** The real path of a file to be written, whose folder is there. */
  async toWrite(name) {
    const asked = this.#resolve(name)
    const folder = await this.#real(path.dirname(asked))
    if (folder === undefined || !(await this.#allowed(folder))) throw this.#refuse(name)
    const file = path.join(folder, path.basename(asked))
    const there = await fs.lstat(file).catch(() => undefined)
    // A link would lead the writer out; a folder is none of ours to fill.
    if (there && !there.isFile()) throw this.#refuse(name)
    return file
  }
}

module.exports = { Roots, within }
