// Progress on stderr: one line redrawn on a terminal, a plain line every few seconds elsewhere.

const REDRAW_MS = 100
const PLAIN_LINE_MS = 5000
const BAR_WIDTH = 24

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return '?'
  const whole = Math.round(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n) => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

export class Progress {
  /** `total`: frames expected, or undefined where nobody knows. */
  constructor({ total, stream = process.stderr, env = process.env, quiet = false } = {}) {
    this.total = total
    this.stream = stream
    this.quiet = quiet
    this.tty = Boolean(stream.isTTY) && env.TERM !== 'dumb'
    this.colour = this.tty && !env.NO_COLOR
    this.done = 0
    this.failed = 0
    this.started = performance.now()
    this.drawn = this.tty ? -Infinity : this.started
  }

  tick({ failed = false } = {}) {
    this.done += 1
    if (failed) this.failed += 1
    // What a container says about its frame count is a guess; never show 104%.
    if (this.total !== undefined && this.done > this.total) this.total = undefined
    const now = performance.now()
    if (now - this.drawn < (this.tty ? REDRAW_MS : PLAIN_LINE_MS)) return
    this.drawn = now
    this.#draw()
  }

  /** Wipes the bar, so that what follows on stderr starts on an empty line. */
  clear() {
    if (this.tty && !this.quiet) this.stream.write('\r\x1b[2K')
  }

  text() {
    const seconds = (performance.now() - this.started) / 1000
    const rate = this.done / Math.max(seconds, 1e-9)
    const parts = []
    if (this.total === undefined) parts.push(`${this.done} frames`)
    else
      parts.push(
        `${Math.floor((100 * this.done) / Math.max(this.total, 1))}%`,
        `${this.done}/${this.total}`,
      )
    parts.push(`${rate.toFixed(1)} frames/s`)
    if (this.total !== undefined) parts.push(`${duration((this.total - this.done) / rate)} left`)
    if (this.failed > 0) parts.push(`${this.failed} failed`)
    return parts.join('  ')
  }

  #draw() {
    if (this.quiet) return
    if (!this.tty) {
      this.stream.write(`${this.text()}\n`)
      return
    }
    this.stream.write(`\r\x1b[2K${this.#bar()}${this.text()}`)
  }

  #bar() {
    if (this.total === undefined || (this.stream.columns ?? 80) < 80) return ''
    const filled = Math.round((BAR_WIDTH * this.done) / Math.max(this.total, 1))
    const [on, off] = ['█'.repeat(filled), '░'.repeat(BAR_WIDTH - filled)]
    return this.colour ? `\x1b[36m${on}\x1b[90m${off}\x1b[0m  ` : `${on}${off}  `
  }
}
