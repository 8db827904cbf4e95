// The axis of time that the slider, the strips and the curves share, and paths along it.

/** Pixels beside the axis: half the slider's thumb, so that its middle stands on the curves' line. */
export const PAD = 8

export class Axis {
  constructor(clip, width, left = PAD) {
    this.clip = clip
    this.left = left
    this.span = Math.max(1, width - left - PAD)
    this.width = width
  }

  x(index) {
    return this.left + this.clip.shareOf(index) * this.span
  }

  /** The frame nearest to a place. */
  indexAt(x) {
    const { times } = this.clip
    const first = times[0]
    const ms = first + ((x - this.left) / this.span) * (times[times.length - 1] - first)
    const index = this.clip.indexAt(ms)
    const next = Math.min(index + 1, times.length - 1)
    return ms - times[index] > times[next] - ms ? next : index
  }

  /** From where to where a frame's bar goes: half way to its neighbours. */
  bar(index) {
    const last = this.clip.length - 1
    const here = this.x(index)
    const from = index > 0 ? (this.x(index - 1) + here) / 2 : here - this.#half
    const to = index < last ? (here + this.x(index + 1)) / 2 : here + this.#half
    return [from, to]
  }

  get #half() {
    const bars = this.clip.length - 1
    return bars > 0 ? Math.min(PAD, this.span / bars / 2) : PAD
  }

  /** Round times with their places: `[{ x, seconds }]`. */
  ticks() {
    const { times } = this.clip
    const [start, end] = [times[0] / 1000, times[times.length - 1] / 1000]
    const range = end - start
    if (!(range > 0)) return []
    const step = niceStep(range, Math.max(2, Math.floor(this.span / 90)))
    const made = []
    for (let at = Math.ceil(start / step - 1e-9) * step; at <= end + 1e-9; at += step)
      made.push({ x: this.left + ((at - start) / range) * this.span, seconds: at })
    return made
  }
}

export function niceStep(range, most) {
  const raw = range / most
  const power = 10 ** Math.floor(Math.log10(raw))
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= raw * 0.999)
}

export const shortTime = (seconds) => `${Number(seconds.toFixed(3))} s`

/** Points as a path, broken where there is none; many in one column become its least and its most. */
export function pathOf(points, width) {
  const dense = points.length > 3 * width
  let path = ''
  let pen = false
  let column = null
  const line = (x, y) => {
    path += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`
    pen = true
  }
  const flush = () => {
    if (!column) return
    line(column.x, column.least)
    if (column.most !== column.least) line(column.x, column.most)
    column = null
  }
  for (const point of points) {
    if (!point) {
      flush()
      pen = false
    } else if (!dense) {
      line(...point)
    } else if (column && Math.round(column.x) === Math.round(point[0])) {
      column.least = Math.min(column.least, point[1])
      column.most = Math.max(column.most, point[1])
    } else {
      flush()
      column = { x: point[0], least: point[1], most: point[1] }
    }
  }
  flush()
  return path
}
