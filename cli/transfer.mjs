// Progress of downloads and other work with files, on stderr: one line redrawn on a terminal,
// elsewhere a plain line now and then; what is finished stays.

import { duration } from './progress.mjs'
import { rate, size } from './units.mjs'

const PLAIN_LINE_MS = 5000
const BAR_WIDTH = 20

/** What is going on, and what has been done when it ends. */
const WORDS = {
  connect: ['connecting', 'connected'],
  wait: ['waiting for another process', 'waited for'],
  retry: ['waiting to try again', 'tried again'],
  download: ['downloading', 'downloaded'],
  verify: ['verifying', 'verified'],
  unpack: ['unpacking', 'unpacked'],
  convert: ['converting', 'converted'],
  copy: ['copying', 'copied'],
  inspect: ['reading', 'read'],
  load: ['loading', 'loaded'],
}

const words = (phase) => WORDS[phase] ?? [phase, phase]

export class Transfer {
  #current

  constructor({
    stream = process.stderr,
    env = process.env,
    quiet = false,
    now = () => performance.now(),
  } = {}) {
    this.stream = stream
    this.quiet = quiet
    this.tty = Boolean(stream.isTTY) && env.TERM !== 'dumb'
    this.colour = this.tty && !env.NO_COLOR
    this.now = now
  }

  /** For `onProgress`. */
  update = (event) => {
    if (this.quiet) return
    const key = `${event.phase}\n${event.model ?? ''}\n${event.file}`
    const now = this.now()
    if (this.#current?.key !== key) {
      this.#current = { key, started: now, drawn: now, first: event.loaded }
    }
    const current = this.#current
    if (event.total !== undefined && event.loaded >= event.total) {
      this.#finish(event, now - current.started)
    } else if (this.tty) {
      this.stream.write(`\r\x1b[2K${this.#line(event)}`)
    } else if (now - current.drawn >= PLAIN_LINE_MS) {
      current.drawn = now
      this.stream.write(`${this.text(event)}\n`)
    }
  }

  /** Wipes the line in work, so that what follows on stderr starts on an empty one. */
  clear() {
    if (this.tty && !this.quiet) this.stream.write('\r\x1b[2K')
  }

  text(event) {
    const { loaded, total, bytesPerSecond, etaSeconds } = event
    const parts = [`${title(event)}: ${words(event.phase)[0]}`]
    if (total) parts.push(`${Math.floor((100 * loaded) / total)}%`)
    parts.push(total ? `${size(loaded)} of ${size(total)}` : size(loaded))
    if (bytesPerSecond !== undefined) parts.push(rate(bytesPerSecond))
    if (etaSeconds !== undefined) parts.push(`${duration(etaSeconds)} left`)
    return parts.join('  ')
  }

  #finish(event, ms) {
    this.clear()
    const current = this.#current
    // A repeated last event says nothing new.
    if (current.finished) return
    current.finished = true
    const seconds = ms / 1000
    const done = event.loaded - current.first
    const parts = [`${title(event)}: ${words(event.phase)[1]} ${size(event.total)}`]
    if (seconds >= 1) parts.push(`in ${duration(seconds)} (${rate(done / seconds)})`)
    this.stream.write(`${parts.join(' ')}\n`)
  }

  #line(event) {
    const columns = (this.stream.columns ?? 80) - 1
    const text = this.text(event)
    if (!event.total || text.length + BAR_WIDTH + 2 > columns) return text.slice(0, columns)
    const filled = Math.round((BAR_WIDTH * event.loaded) / event.total)
    const [on, off] = ['█'.repeat(filled), '░'.repeat(BAR_WIDTH - filled)]
    return `${this.colour ? `\x1b[36m${on}\x1b[90m${off}\x1b[0m` : on + off}  ${text}`
  }
}

const title = ({ model, file }) => (model && !file.startsWith(model) ? `${model} ${file}` : file)
