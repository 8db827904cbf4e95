// Ctrl-C: the first asks the run to end its files and stop, the second stops at once.
import { constants } from 'node:os'

export class Interrupt {
  #controller = new AbortController()
  #handlers = new Map()
  exitCode = 0

  constructor() {
    for (const name of ['SIGINT', 'SIGTERM']) {
      const handler = () => this.#on(128 + constants.signals[name])
      this.#handlers.set(name, handler)
      process.on(name, handler)
    }
  }

  get signal() {
    return this.#controller.signal
  }

  get aborted() {
    return this.#controller.signal.aborted
  }

  dispose() {
    for (const [name, handler] of this.#handlers) process.removeListener(name, handler)
  }

  #on(exitCode) {
    if (this.aborted) process.exit(exitCode)
    this.exitCode = exitCode
    this.#controller.abort()
  }
}
