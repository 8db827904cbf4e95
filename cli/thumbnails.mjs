// Small drawn pictures of a clip for its report: evenly spread, however long the clip turns out to be.

/** Pictures in a report, at most. */
const MOST = 48
const HEIGHT = 180
const DRAWN_LINE = 420

/** `pixels` (RGB) made smaller by whole means of areas. */
export function shrink(pixels, width, height, wanted) {
  const scale = Math.min(1, wanted / height)
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))]
  const small = Buffer.alloc(w * h * 3)
  for (let y = 0; y < h; y++) {
    const [top, bottom] = span(y, h, height)
    for (let x = 0; x < w; x++) {
      const [left, right] = span(x, w, width)
      const sum = [0, 0, 0]
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          const at = 3 * (row * width + column)
          sum[0] += pixels[at]
          sum[1] += pixels[at + 1]
          sum[2] += pixels[at + 2]
        }
      }
      const count = (bottom - top) * (right - left)
      for (let c = 0; c < 3; c++) small[3 * (y * w + x) + c] = Math.round(sum[c] / count)
    }
  }
  return { pixels: small, width: w, height: h }
}

/** The pixels of `size` that place `at` of `places` covers. */
function span(at, places, size) {
  const from = Math.floor((at * size) / places)
  return [from, Math.max(from + 1, Math.floor(((at + 1) * size) / places))]
}

export class Thumbnails {
  #render
  #every = 1
  #seen = 0
  /** `{ frameNumber, image }`, for `exportPoses`. */
  list = []

  constructor(render) {
    this.#render = render
  }

  /** As an overlay: a frame and its result. */
  async write(frame, result) {
    const at = this.#seen++
    if (result.errorCode || at % this.#every !== 0) return
    if (this.list.length >= MOST) this.#thin()
    if (at % this.#every !== 0) return
    const { frameWidth: width, frameHeight: height } = result
    const drawing = { boxes: false, ids: true, angles: false, format: 'rgb' }
    const scale = Math.max(1, height / DRAWN_LINE)
    const pixels = await this.#render(frame, result, { ...drawing, scale })
    const small = shrink(pixels, width, height, HEIGHT)
    const nobody = { frameWidth: small.width, frameHeight: small.height, persons: [] }
    const image = await this.#render(small, nobody, { format: 'jpeg', quality: 70 })
    this.list.push({ at, frameNumber: result.frameNumber, image })
  }

  /** Every second goes, and from now on half as many come. */
  #thin() {
    this.#every *= 2
    const kept = this.list.filter(({ at }) => at % this.#every === 0)
    this.list.splice(0, this.list.length, ...kept)
  }
}
