// A frame's people drawn over its picture: box, name, source, skeleton, angles, in pixels of the screen.

import { skeletonOf } from './bones.mjs'
import { colourOf, isSeen, SIDE, SOURCES } from './looks.mjs'

/** Below, a keypoint is not drawn; from `SURE` it is drawn in full strength. As in the engine's drawn pictures. */
const LEAST = 0.1
const SURE = 0.6
const FAINTEST = 0.25
const HALO = 'rgba(8, 10, 14, 0.72)'
/** Under broken lines, of which much less is seen. */
const FAINT_HALO = 'rgba(8, 10, 14, 0.34)'
const DARK = '#0b0d12'

const ANGLES = ['left_elbow', 'right_elbow', 'left_knee', 'right_knee']

const strength = (confidence) =>
  FAINTEST + (1 - FAINTEST) * Math.max(0, Math.min(1, (confidence - LEAST) / (SURE - LEAST)))

/** Where a name goes: above the box, else beside it, so that it hides no face. */
function tab({ x, y, right }, width, view) {
  if (y >= 23) return [Math.max(2, Math.min(x - 1, view.width - width - 2)), y - 21]
  const beside = right + 4 + width <= view.width ? right + 4 : x - 4 - width
  return [Math.max(2, beside), Math.max(2, Math.min(y, view.height - 21))]
}

/** The height nearest to `y` at which a label covers no other. */
function free(taken, x, y, width) {
  const covers = (at) =>
    taken.some(
      ([left, top, wide]) => x < left + wide + 2 && left < x + width + 2 && Math.abs(at - top) < 18,
    )
  return [0, 18, -18, 36, -36].map((by) => y + by).find((at) => !covers(at)) ?? y
}

/** Lines are thinner on people who are small on the screen. */
const finenessOf = ([, top, , bottom], scale) =>
  Math.max(0.45, Math.min(1.15, ((bottom - top) * scale) / 200))

export class Overlay {
  #canvas
  #context

  constructor(canvas) {
    this.#canvas = canvas
    this.#context = canvas.getContext('2d')
  }

  /** `options`: `{ boxes, skeletons, angles, sides, hidden: Set, selected }`. */
  draw(frame, { width, height }, options) {
    const canvas = this.#canvas
    const context = this.#context
    const ratio = devicePixelRatio || 1
    const size = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)]
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, canvas.width, canvas.height)
    if (!frame || !(width > 0)) return
    const scale = canvas.clientWidth / width
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.lineCap = 'round'
    context.lineJoin = 'round'
    const view = { scale, width: width * scale, height: height * scale }
    // Whoever is selected comes last, above the others.
    const people = frame.persons
      .filter(({ trackId }) => !options.hidden.has(trackId))
      .sort((a, b) => (a.trackId === options.selected) - (b.trackId === options.selected))
    for (const person of people) {
      if (options.skeletons) this.#skeleton(person, view, options)
      if (options.boxes) this.#box(person, view, person.trackId === options.selected)
      if (options.skeletons && options.angles) this.#angles(person, view)
    }
  }

  #stroke(path, width, colour, dash = []) {
    const context = this.#context
    context.setLineDash(dash.map((part) => part * Math.max(2, width)))
    context.lineWidth = width
    context.strokeStyle = colour
    context.stroke(path)
    context.setLineDash([])
  }

  #box({ trackId, box, source, confidence, score }, view, selected) {
    const { scale } = view
    const context = this.#context
    const colour = colourOf(trackId)
    const [x, y, right, bottom] = Array.from(box, (value) => value * scale)
    const path = new Path2D()
    path.roundRect(x, y, right - x, bottom - y, 3)
    this.#stroke(path, selected ? 4.5 : 3.5, isSeen(source) ? HALO : FAINT_HALO)
    this.#stroke(path, selected ? 3 : 2, colour, SOURCES[source]?.dash)
    const seen = source === 'detected'
    const number = seen && score !== null ? score : confidence
    const text = `${trackId}${seen ? '' : ` ${source}`} ${number.toFixed(2)}`
    context.font = '600 12px ui-sans-serif, system-ui, sans-serif'
    const width = context.measureText(text).width + 14
    const [left, top] = tab({ x, y, right }, width, view)
    context.globalAlpha = isSeen(source) ? 1 : 0.9
    context.fillStyle = colour
    context.beginPath()
    context.roundRect(left, top, width, 19, 4)
    context.fill()
    context.globalAlpha = 1
    context.fillStyle = DARK
    context.textBaseline = 'middle'
    context.fillText(text, left + 7, top + 10)
  }

  #skeleton({ names, points, trackId, source, box }, { scale }, { sides }) {
    const { bones, joints } = skeletonOf(names)
    const context = this.#context
    const person = colourOf(trackId)
    const seen = isSeen(source)
    const dash = seen ? [] : SOURCES[source]?.dash
    const at = (index) => [points[3 * index] * scale, points[3 * index + 1] * scale]
    const sure = (index) => points[3 * index + 2]
    const shown = bones
      .map((bone) => ({ ...bone, sure: Math.min(sure(bone.from), sure(bone.to)) }))
      .filter((bone) => bone.sure >= LEAST)
    const paths = shown.map(({ from, to }) => {
      const path = new Path2D()
      path.moveTo(...at(from))
      path.lineTo(...at(to))
      return path
    })
    const fine = finenessOf(box, scale)
    const thick = ({ face, radius }) => fine * (face ? 1.2 : radius < 0.03 ? 2 : 3.2)
    shown.forEach((bone, i) => {
      context.globalAlpha = strength(bone.sure)
      this.#stroke(paths[i], thick(bone) + 2.4 * fine, seen ? HALO : FAINT_HALO)
    })
    shown.forEach((bone, i) => {
      context.globalAlpha = strength(bone.sure)
      this.#stroke(paths[i], thick(bone), sides ? SIDE[bone.side] : person, dash)
    })
    for (const { index, big, side } of joints) {
      if (!(sure(index) >= LEAST)) continue
      const [x, y] = at(index)
      context.globalAlpha = strength(sure(index))
      context.beginPath()
      context.arc(x, y, fine * (big ? 3.6 : 1.8), 0, 2 * Math.PI)
      // Hollow where not seen.
      context.fillStyle = seen ? '#fff' : DARK
      context.fill()
      context.lineWidth = fine * (big ? 1.6 : 0.8)
      context.strokeStyle = sides ? SIDE[side] : person
      context.stroke()
    }
    context.globalAlpha = 1
  }

  #angles({ names, points, angles, box }, { scale }) {
    // Letters would cover a person this small.
    if ((box[3] - box[1]) * scale < 130) return
    const context = this.#context
    context.font = '600 11px ui-sans-serif, system-ui, sans-serif'
    context.textBaseline = 'middle'
    const taken = []
    for (const name of ANGLES) {
      const index = names.indexOf(name)
      if (index < 0 || angles[name] === undefined || !(points[3 * index + 2] >= LEAST)) continue
      const text = `${Math.round(angles[name])}°`
      const width = context.measureText(text).width + 8
      const x = points[3 * index] * scale + (name.startsWith('left') ? 8 : -8 - width)
      const y = free(taken, x, points[3 * index + 1] * scale, width)
      taken.push([x, y, width])
      context.fillStyle = 'rgba(8, 10, 14, 0.8)'
      context.beginPath()
      context.roundRect(x, y - 8, width, 16, 4)
      context.fill()
      context.fillStyle = '#fff'
      context.fillText(text, x + 4, y + 0.5)
    }
  }
}

/** The same in words, for who cannot see the picture. */
export function described(frame, clip) {
  if (!frame) return 'No frame'
  const where = clip.kind === 'photos' ? (frame.file ?? 'Photo') : `Frame ${frame.number}`
  if (frame.errorCode) return `${where}: this frame failed, ${frame.error ?? frame.errorCode}`
  if (frame.persons.length === 0) return `${where}: nobody was found`
  const people = frame.persons.map(
    ({ trackId, source, confidence }) =>
      `person ${trackId} ${source}${isSeen(source) ? '' : `, confidence ${confidence.toFixed(2)}`}`,
  )
  return `${where}: ${people.join('; ')}`
}
