// The same numbers as tables: every frame of a person, a page at a time; and the angles of one moment, as gauges.

import { grouped } from './curves.mjs'
import { clock, make, words } from './dom.mjs'
import { colourOf } from './looks.mjs'

const ROWS = 25

const number = (value, digits) =>
  value === undefined || value === null ? '–' : value.toFixed(digits)

/** Frames of a track with all their angles. `onSeek(index)` from a frame's button. */
export class AngleTable {
  #host
  #onSeek
  #clip = null
  #track = null
  #page = 0
  #index = 0

  constructor(host, onSeek) {
    this.#host = host
    this.#onSeek = onSeek
  }

  load(clip, track) {
    this.#clip = clip
    this.#track = track
    this.#page = Math.floor(this.#index / ROWS)
    this.#render()
  }

  at(index) {
    this.#index = index
    if (!this.#track || this.#host.hidden) return
    const page = Math.floor(index / ROWS)
    if (page !== this.#page) {
      // Turned under a reader's hands, the page would take the focus with it.
      if (this.#host.contains(document.activeElement)) return
      this.#page = page
      this.#render()
    }
    for (const row of this.#host.querySelectorAll('tbody tr')) {
      if (Number(row.dataset.index) === index) row.setAttribute('aria-current', 'true')
      else row.removeAttribute('aria-current')
    }
  }

  #turn(by) {
    this.#page += by
    this.#render()
    this.#host.querySelector(by < 0 ? '.earlier' : '.later')?.focus()
  }

  #render() {
    const [clip, track] = [this.#clip, this.#track]
    if (!clip || !track) return this.#host.replaceChildren()
    const names = grouped(track.angleNames).flatMap(([, lines]) => lines.map(({ name }) => name))
    const pages = Math.ceil(clip.length / ROWS)
    this.#page = Math.max(0, Math.min(pages - 1, this.#page))
    const first = this.#page * ROWS
    const last = Math.min(clip.length, first + ROWS) - 1
    const head = [
      'Frame',
      'Time',
      'Source',
      'Confidence',
      ...names.map((name) => `${words(name)}, °`),
    ]
    const rows = Array.from({ length: last - first + 1 }, (_, i) => this.#row(first + i, names))
    const caption = `Joint angles of person ${track.id}, frames ${clip.frames[first].number} to ${clip.frames[last].number}`
    const table = make(
      'table',
      {},
      make('caption', {}, caption),
      make(
        'thead',
        {},
        make('tr', {}, ...head.map((title) => make('th', { scope: 'col' }, title))),
      ),
      make('tbody', {}, ...rows),
    )
    const step = (by, text, name) =>
      make(
        'button',
        {
          type: 'button',
          class: name,
          'aria-disabled': String(this.#page + by < 0 || this.#page + by >= pages),
          onclick: () => this.#page + by >= 0 && this.#page + by < pages && this.#turn(by),
        },
        text,
      )
    const turner = make(
      'div',
      { class: 'turner' },
      step(-1, 'Earlier frames', 'earlier'),
      make('span', {}, `Page ${this.#page + 1} of ${pages}`),
      step(1, 'Later frames', 'later'),
    )
    const region = { class: 'wide', tabindex: '0', role: 'region', 'aria-label': caption }
    this.#host.replaceChildren(...(pages > 1 ? [turner] : []), make('div', region, table))
  }

  #row(index, names) {
    const { number: frame, errorCode } = this.#clip.frames[index]
    const person = this.#track.at[index]
    const jump = make(
      'button',
      { type: 'button', 'aria-label': `Go to frame ${frame}`, onclick: () => this.#onSeek(index) },
      String(frame),
    )
    const source = person?.source ?? (errorCode ? 'frame failed' : 'no record')
    const cells = [
      clock(this.#clip.times[index]),
      source,
      number(person?.confidence, 2),
      ...names.map((name) => number(person?.angles[name], 1)),
    ]
    return make(
      'tr',
      { 'data-index': index, 'aria-current': index === this.#index ? 'true' : null },
      make('th', { scope: 'row' }, jump),
      ...cells.map((text, at) => make('td', at === 1 ? { class: `source ${source}` } : {}, text)),
    )
  }
}

/** Most of what a joint angle can be. */
const HALF_TURN = 180

function gauge(value, side) {
  if (value === undefined) return make('td', {}, '–')
  const bar = make('i', { class: `gauge ${side}`, 'aria-hidden': 'true' })
  bar.style.setProperty('--share', String(Math.min(1, value / HALF_TURN)))
  return make('td', {}, make('span', { class: 'value' }, `${value.toFixed(1)}°`), bar)
}

/** The angles of one person in one frame. */
function moment(person) {
  const rows = grouped(Object.keys(person.angles)).map(([joint, lines]) => {
    const cells =
      lines[0].side === 'middle'
        ? [gauge(person.angles[lines[0].name], 'middle'), make('td')]
        : ['left', 'right'].map((side) => gauge(person.angles[`${side}_${joint}`], side))
    return make('tr', {}, make('th', { scope: 'row' }, words(joint)), ...cells)
  })
  const head = ['Joint', 'Left', 'Right'].map((title) => make('th', { scope: 'col' }, title))
  return make(
    'table',
    { class: 'moment' },
    make('caption', { class: 'unseen' }, `Joint angles of person ${person.trackId}`),
    make('thead', {}, make('tr', {}, ...head)),
    make('tbody', {}, ...rows),
  )
}

/** Cards of everybody in a frame; `options`: `{ hidden, selected, onPick, onShow }`. */
export function peopleOf(frame, options) {
  if (!frame || frame.persons.length === 0) {
    const text = frame?.errorCode
      ? (frame.error ?? frame.errorCode)
      : 'Nobody was found in this picture.'
    return [make('p', { class: 'nobody' }, text)]
  }
  return frame.persons.map((person) => {
    const { trackId, score, source, confidence, camera } = person
    const card = make('section', { class: 'card', 'aria-label': `Person ${trackId}` })
    card.style.setProperty('--person', colourOf(trackId))
    const show = make('input', {
      type: 'checkbox',
      checked: !options.hidden.has(trackId),
      'aria-label': `Show person ${trackId}`,
      onchange: ({ target }) => options.onShow(trackId, target.checked),
    })
    const facts = [
      source,
      score === null ? `confidence ${confidence.toFixed(2)}` : `score ${score.toFixed(2)}`,
      camera && `${camera.translation[2].toFixed(1)} m away`,
    ]
    card.append(
      make('h3', {}, show, make('span', { class: 'dot' }), `Person ${trackId}`),
      make('p', {}, facts.filter(Boolean).join(' · ')),
      Object.keys(person.angles).length > 0 ? moment(person) : make('p', {}, 'No 3D angles.'),
    )
    return card
  })
}
