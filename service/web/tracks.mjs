// A row per person: shown or not, selected or not, and a strip of sources (colour) and confidence (height) per frame.

import { Axis, shortTime } from './axis.mjs'
import { clock, make, plural, token } from './dom.mjs'
import { colourOf, SOURCES } from './looks.mjs'

const HEIGHT = 26

/** `41 detected, 4 recovered`. */
export const counted = (sources) =>
  Object.entries(sources)
    .map(([source, count]) => `${count.toLocaleString('en')} ${source}`)
    .join(', ')

function about(track, clip) {
  const gaps = track.last - track.first + 1 - track.records
  const span = `from ${clock(clip.times[track.first])} to ${clock(clip.times[track.last])}`
  return `Person ${track.id}, ${span}: ${counted(track.sources)}${gaps > 0 ? `; ${plural(gaps, 'frame')} without a record` : ''}`
}

/** Frames by how they are drawn: what was not seen comes last, so that no neighbour hides it. */
function bars(track, axis) {
  const made = []
  track.at.forEach((person, index) => {
    if (person) made.push({ person, bar: axis.bar(index) })
  })
  return made.sort((a, b) => Number(isGuess(a.person)) - Number(isGuess(b.person)))
}

const isGuess = ({ source }) => SOURCES[source]?.seen === false

function paint(canvas, track, clip) {
  const ratio = devicePixelRatio || 1
  const width = canvas.clientWidth
  if (!width) return
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(HEIGHT * ratio)
  const context = canvas.getContext('2d')
  context.scale(ratio, ratio)
  const axis = new Axis(clip, width)
  const colours = Object.fromEntries(
    Object.keys(SOURCES).map((source) => [source, token(`--${source}`)]),
  )
  for (const { person, bar } of bars(track, axis)) {
    // On whole pixels: neighbours would show a seam.
    const [from, to] = bar.map((x) => Math.round(x * ratio) / ratio)
    const tall = Math.max(2, (HEIGHT - 2) * Math.max(0, Math.min(1, person.confidence)))
    context.fillStyle = colours[person.source] ?? colours.detected
    context.fillRect(from, HEIGHT - tall, Math.max(1, to - from), tall)
  }
  context.fillStyle = token('--failed')
  clip.frames.forEach(({ errorCode }, index) => {
    if (!errorCode) return
    const [from, to] = axis.bar(index)
    context.fillRect(from, 0, Math.max(1.5, to - from), 5)
  })
}

/** `events`: `{ onPick(id), onShow(id, shown), onSeek(index) }`. */
export class Tracks {
  #list
  #ruler
  #events
  #clip = null
  #rows = new Map()

  constructor(list, ruler, events) {
    this.#list = list
    this.#ruler = ruler
    this.#events = events
    new ResizeObserver(() => this.paint()).observe(list)
    this.#seekable(ruler)
  }

  load(clip) {
    this.#clip = clip
    this.#rows.clear()
    this.#list.replaceChildren(...clip.tracks.map((track) => this.#row(track)))
    this.paint()
  }

  #row(track) {
    const { id } = track
    const show = make('input', {
      type: 'checkbox',
      checked: true,
      'aria-label': `Show person ${id}`,
      onchange: ({ target }) => this.#events.onShow(id, target.checked),
    })
    const dot = make('span', { class: 'dot' })
    dot.style.setProperty('--person', colourOf(id))
    const part = Math.floor((100 * track.records) / this.#clip.length)
    const share = make(
      'small',
      { title: `of all frames: ${track.records} of ${this.#clip.length}` },
      `${part}%`,
    )
    const pick = make(
      'button',
      {
        type: 'button',
        class: 'pick',
        'aria-pressed': 'false',
        onclick: () => this.#events.onPick(id),
      },
      dot,
      make('span', {}, `Person ${id}`),
      share,
    )
    const canvas = make('canvas', { role: 'img', 'aria-label': about(track, this.#clip) })
    const strip = make('div', { class: 'strip' }, canvas, make('i', { class: 'playhead' }))
    this.#seekable(strip)
    this.#rows.set(id, { pick, canvas, track })
    return make('li', {}, make('div', { class: 'who' }, show, pick), strip)
  }

  #seekable(element) {
    const seek = (event) => {
      if (!this.#clip) return
      const box = element.getBoundingClientRect()
      const axis = new Axis(this.#clip, box.width)
      this.#events.onSeek(axis.indexAt(event.clientX - box.left))
    }
    element.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return
      element.setPointerCapture(event.pointerId)
      seek(event)
    })
    element.addEventListener('pointermove', (event) => {
      if (element.hasPointerCapture(event.pointerId)) seek(event)
    })
  }

  pick(id) {
    for (const [own, { pick }] of this.#rows) pick.setAttribute('aria-pressed', String(own === id))
  }

  paint() {
    const clip = this.#clip
    if (!clip) return
    for (const { canvas, track } of this.#rows.values()) paint(canvas, track, clip)
    const axis = new Axis(clip, this.#ruler.clientWidth)
    this.#ruler.replaceChildren(
      ...axis.ticks().map(({ x, seconds }) => {
        const tick = make('span', {}, shortTime(seconds))
        tick.style.left = `${x}px`
        return tick
      }),
    )
  }
}
