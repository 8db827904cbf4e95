'use strict'
// The worker's log, in the form of the service's: JSON lines on stderr.

const os = require('node:os')

const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 100 }

const told = ({ err, ...fields }) =>
  err ? { ...fields, err: { message: err.message, code: err.code, stack: err.stack } } : fields

class Log {
  #least
  #fields
  #write

  constructor(least, fields, write) {
    this.#least = least
    this.#fields = fields
    this.#write = write
    for (const [name, level] of Object.entries(LEVELS))
      this[name] = level < least ? () => {} : (...what) => this.#line(level, ...what)
  }

  /** With more fields in each line. */
  child(fields) {
    return new Log(this.#least, { ...this.#fields, ...fields }, this.#write)
  }

  #line(level, first, text) {
    const [fields, msg] = typeof first === 'string' ? [{}, first] : [told(first), text]
    this.#write(`${JSON.stringify({ level, time: Date.now(), ...this.#fields, ...fields, msg })}\n`)
  }
}

/** `level`: the least that is told. */
function makeLog(level, write = (line) => process.stderr.write(line)) {
  return new Log(LEVELS[level], { pid: process.pid, hostname: os.hostname() }, write)
}

module.exports = { makeLog }
