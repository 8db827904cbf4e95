// Joint angles over time, a picture per joint: solid where the person was seen, dashed where not.

import { Axis, niceStep, PAD, pathOf, shortTime } from './axis.mjs'
import { draw, make, words } from './dom.mjs'
import { isSeen } from './looks.mjs'

const HEIGHT = 118
const PLOT = { left: 34, top: 8, bottom: 18 }
/** As docs/results.md and the CSV export have them. */
const ORDER = ['elbow', 'shoulder', 'hip', 'knee', 'ankle', 'wrist', 'spine', 'neck', 'trunk_lean']

/** `left_knee` and `right_knee` together, what is there once by itself. */
export function grouped(names) {
  const made = new Map()
  for (const name of names) {
    const [, side, joint] = /^(left|right)_(.+)$/.exec(name) ?? [null, 'middle', name]
    if (!made.has(joint)) made.set(joint, [])
    made.get(joint).push({ name, side })
  }
  const rank = (joint) => (ORDER.includes(joint) ? ORDER.indexOf(joint) : ORDER.length)
  for (const lines of made.values()) lines.sort((a, b) => a.side.localeCompare(b.side))
  return [...made].sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b))
}

/** `[least, most]`; spreading a long list would overflow the stack. */
function range(values) {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    least = Math.min(least, value)
    most = Math.max(most, value)
  }
  return [least, most]
}

const degrees = (value) => (value === undefined ? '–' : `${value.toFixed(1)}°`)
const valuesOf = (track, name) => track.at.map((person) => person?.angles[name])

function spoken(joint, lines, track) {
  const parts = lines.map(({ name, side }) => {
    const [least, most] = range(valuesOf(track, name).filter((value) => value !== undefined))
    return `${side === 'middle' ? '' : `${side} `}${least.toFixed(0)} to ${most.toFixed(0)} degrees`
  })
  return `Angle of the ${words(joint)} over time, person ${track.id}: ${parts.join(', ')}`
}

/** The scale of a picture: round degrees around what is measured. */
function scaleOf(lists) {
  const [low, high] = range(lists.flat().filter((value) => value !== undefined))
  const step = niceStep(Math.max(10, high - low), 3)
  const least = Math.floor(low / step) * step
  const most = Math.max(Math.ceil(high / step) * step, least + step)
  const bottom = HEIGHT - PLOT.bottom
  return {
    least,
    most,
    step,
    y: (value) => bottom - ((value - least) / (most - least)) * (bottom - PLOT.top),
  }
}

function grid(svg, axis, scale) {
  for (let value = scale.least; value <= scale.most + 1e-9; value += scale.step) {
    const y = scale.y(value)
    svg.append(
      draw('line', { class: 'grid', x1: axis.left, x2: axis.width - PAD, y1: y, y2: y }),
      draw(
        'text',
        { x: axis.left - 6, y: y + 3.5, 'text-anchor': 'end' },
        `${Number(value.toFixed(2))}°`,
      ),
    )
  }
  for (const { x, seconds } of axis.ticks()) {
    const anchor = x > axis.width - 24 ? 'end' : 'middle'
    svg.append(draw('text', { x, y: HEIGHT - 4, 'text-anchor': anchor }, shortTime(seconds)))
  }
}

/** The curve where the person was seen, and apart from it where not: neighbours join both. */
function curve(svg, axis, scale, track, values, side) {
  const seen = track.at.map((person) => Boolean(person) && isSeen(person.source))
  const point = (at) => (values[at] === undefined ? null : [axis.x(at), scale.y(values[at])])
  const solid = values.map((_, at) => (seen[at] ? point(at) : null))
  const guessed = values.map((_, at) => {
    const edge =
      seen[at] && ((track.at[at + 1] && !seen[at + 1]) || (track.at[at - 1] && !seen[at - 1]))
    return (track.at[at] && !seen[at]) || edge ? point(at) : null
  })
  svg.append(
    draw('path', { class: `curve guess ${side}`, d: pathOf(guessed, axis.width) }),
    draw('path', { class: `curve ${side}`, d: pathOf(solid, axis.width) }),
  )
  // Of many in one column nobody sees one alone.
  if (solid.length > axis.width) return
  solid.forEach((at, i) => {
    if (at && !solid[i - 1] && !solid[i + 1])
      svg.append(draw('circle', { class: side, cx: at[0], cy: at[1], r: 2 }))
  })
}

/** `onSeek(index)` where somebody points at a curve. */
export class Curves {
  #host
  #onSeek
  #clip = null
  #track = null
  #charts = []
  #index = 0

  constructor(host, onSeek) {
    this.#host = host
    this.#onSeek = onSeek
    let width = 0
    new ResizeObserver(() => {
      if (host.clientWidth !== width) this.paint()
      width = host.clientWidth
    }).observe(host)
  }

  load(clip, track) {
    this.#clip = clip
    this.#track = track
    this.#charts = track ? grouped(track.angleNames).map((entry) => this.#chart(...entry)) : []
    this.#host.replaceChildren(...this.#charts.map(({ element }) => element))
    this.paint()
    this.at(this.#index)
  }

  #chart(joint, lines) {
    const readings = lines.map(({ side, name }) => ({
      name,
      side,
      text: make('span', { class: `reading ${side}` }),
    }))
    const title = make(
      'h3',
      {},
      make('span', {}, words(joint)),
      ...readings.map(({ text }) => text),
    )
    const svg = draw('svg', {
      role: 'img',
      height: HEIGHT,
      'aria-label': spoken(joint, lines, this.#track),
    })
    const plot = make('div', { class: 'plot' }, svg, make('i', { class: 'playhead' }))
    const seek = (event) => {
      const box = svg.getBoundingClientRect()
      this.#onSeek(new Axis(this.#clip, box.width, PLOT.left).indexAt(event.clientX - box.left))
    }
    plot.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return
      plot.setPointerCapture(event.pointerId)
      seek(event)
    })
    plot.addEventListener('pointermove', (event) => {
      if (plot.hasPointerCapture(event.pointerId)) seek(event)
    })
    return { element: make('div', { class: 'chart' }, title, plot), svg, lines, readings }
  }

  paint() {
    const [clip, track] = [this.#clip, this.#track]
    if (!track) return
    for (const { svg, lines } of this.#charts) {
      const width = svg.clientWidth
      if (!width) continue
      const axis = new Axis(clip, width, PLOT.left)
      const lists = lines.map(({ name }) => valuesOf(track, name))
      const scale = scaleOf(lists)
      svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`)
      svg.replaceChildren()
      grid(svg, axis, scale)
      lines.forEach(({ side }, i) => {
        curve(svg, axis, scale, track, lists[i], side)
      })
    }
  }

  /** The values at a frame, beside the titles. */
  at(index) {
    this.#index = index
    const person = this.#track?.at[index]
    for (const { readings } of this.#charts) {
      for (const { name, side, text } of readings)
        text.textContent = `${side === 'middle' ? '' : `${side} `}${degrees(person?.angles[name])}`
    }
  }
}
