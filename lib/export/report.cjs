'use strict'
// A clip as one HTML page that needs nothing beside itself: frames, angles, sources, confidence, coverage.

const fs = require('node:fs')
const path = require('node:path')
const { version } = require('../../package.json')
const { ordered } = require('./csv.cjs')
const { writeWhole } = require('./files.cjs')
const { SEEN } = require('./timeline.cjs')

/** A letter for each source; a frame without a record is a dot. */
const LETTERS = { detected: 'd', recovered: 'r', predicted: 'p', interpolated: 'i' }
const NOBODY = '.'

const part = (name) => fs.readFileSync(path.join(__dirname, name), 'utf8')

const escaped = (text) =>
  String(text).replace(
    /[&<>"']/g,
    (letter) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[letter],
  )

/** JSON that may stand in a script element. */
const inScript = (value) => JSON.stringify(value).replaceAll('<', '\\u003c')

const round = (value, digits) => (Number.isFinite(value) ? Number(value.toFixed(digits)) : null)

/** One person's records, a place for each frame from the first to the last. */
class Track {
  #records = []

  constructor(trackId) {
    this.trackId = trackId
  }

  add(frame, { source, trackingConfidence, jointAngles3d = {} }) {
    this.#records.push({ frame, source, trackingConfidence, angles: jointAngles3d })
  }

  toJSON() {
    const records = this.#records.sort((a, b) => a.frame.index - b.frame.index)
    const first = records[0].frame.index
    const length = records.at(-1).frame.index - first + 1
    const source = new Array(length).fill(NOBODY)
    const confidence = new Array(length).fill(null)
    const names = ordered(new Set(records.flatMap(({ angles }) => Object.keys(angles))))
    const angles = Object.fromEntries(names.map((name) => [name, new Array(length).fill(null)]))
    for (const record of records) {
      const at = record.frame.index - first
      source[at] = LETTERS[record.source] ?? NOBODY
      confidence[at] = round(record.trackingConfidence, 3)
      for (const name of names) angles[name][at] = round(record.angles[name], 1)
    }
    return { id: this.trackId, first, source: source.join(''), confidence, angles }
  }

  /** A row of the coverage table. */
  coverage(frames) {
    const records = this.#records
    const count = (source) => records.filter((record) => record.source === source).length
    const at = records.map(({ frame }) => frame.index)
    const apart = at.slice(1).map((index, i) => index - at[i] - 1)
    const guesses = records.filter(({ source }) => !SEEN.has(source))
    const sum = guesses.reduce((all, { trackingConfidence }) => all + trackingConfidence, 0)
    return {
      trackId: this.trackId,
      records: records.length,
      share: `${Math.round((100 * records.length) / frames.length)}%`,
      ...Object.fromEntries(Object.keys(LETTERS).map((source) => [source, count(source)])),
      span: `${records[0].frame.number}–${records.at(-1).frame.number}`,
      gaps: apart.filter((missing) => missing > 0).length,
      longest: Math.max(0, ...apart),
      guessed: guesses.length > 0 ? (sum / guesses.length).toFixed(2) : '–',
    }
  }
}

const COLUMNS = [
  ['trackId', 'Person'],
  ['records', 'Frames'],
  ['share', 'Of clip'],
  ['detected', 'Detected'],
  ['recovered', 'Recovered'],
  ['predicted', 'Predicted'],
  ['interpolated', 'Interpolated'],
  ['span', 'First–last'],
  ['gaps', 'Gaps'],
  ['longest', 'Longest gap'],
  ['guessed', 'Mean confidence unseen'],
]

function table(rows) {
  const head = COLUMNS.map(([, title]) => `<th scope="col">${title}</th>`).join('')
  const body = rows.map((row) => {
    const cells = COLUMNS.map(([key], at) =>
      at === 0 ? `<th scope="row">${row[key]}</th>` : `<td>${escaped(row[key])}</td>`,
    )
    return `<tr>${cells.join('')}</tr>`
  })
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
}

function dataUrl(image) {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
  const kind = bytes[0] === 0x89 ? 'png' : 'jpeg'
  return `data:image/${kind};base64,${bytes.toString('base64')}`
}

function strip(thumbnails, frames) {
  const byNumber = new Map(frames.map((frame) => [frame.number, frame]))
  const shown = thumbnails
    .filter(({ frameNumber }) => byNumber.has(frameNumber))
    .map(({ frameNumber, image }) => {
      const { index, timeS } = byNumber.get(frameNumber)
      const label = `frame ${frameNumber}, ${timeS.toFixed(2)} s`
      return `<figure data-index="${index}"><img src="${dataUrl(image)}" alt="${label}"><figcaption>${timeS.toFixed(2)} s · ${frameNumber}</figcaption></figure>`
    })
  if (shown.length === 0) return ''
  return `<section><h2>Frames</h2><div class="strip" tabindex="0">${shown.join('')}</div></section>`
}

function errors(failures) {
  if (failures.length === 0) return ''
  const rows = failures.map(
    ({ number, code, error }) =>
      `<tr><th scope="row">${escaped(number)}</th><td><code>${escaped(code)}</code></td><td class="text">${escaped(error ?? '')}</td></tr>`,
  )
  return `<section><h2>Frames that failed</h2><div class="scroll"><table><thead><tr><th scope="col">Frame</th><th scope="col">Code</th><th scope="col">What is wrong</th></tr></thead><tbody>${rows.join('')}</tbody></table></div></section>`
}

/** Rows of failed frames that are spelt out. */
const MOST_FAILURES = 200

class ReportExport {
  #target
  #options
  #tracks = new Map()
  #failures = []
  #failed = 0
  #model

  static async open(target, options) {
    const made = new ReportExport()
    made.#target = target
    made.#options = options
    return made
  }

  add(frame, note) {
    const { persons, modelVersion, errorCode, error } = frame.result
    this.#model ??= modelVersion
    if (errorCode) {
      this.#failed += 1
      if (this.#failures.length < MOST_FAILURES)
        this.#failures.push({ number: frame.number, code: errorCode, error })
    }
    for (const person of persons) {
      const { trackId } = person
      if (!this.#tracks.has(trackId)) this.#tracks.set(trackId, new Track(trackId))
      this.#tracks.get(trackId).add(frame, person)
      note.wrote(person)
    }
  }

  async close({ frames, complete, tally }) {
    const title = this.#options.title ?? path.basename(this.#target, path.extname(this.#target))
    const tracks = [...this.#tracks.values()].sort((a, b) => a.trackId - b.trackId)
    const data = {
      frames: frames.map(({ number }) => number),
      times: frames.map(({ timeS }) => round(timeS, 4)),
      failed: frames.filter(({ failed }) => failed).map(({ index }) => index),
      tracks: this.#options.tracking ? tracks : [],
    }
    const counts = [
      [frames.length, frames.length === 1 ? 'frame' : 'frames'],
      [tally.records, tally.records === 1 ? 'record' : 'records'],
      ...(this.#options.tracking
        ? [[tracks.length, tracks.length === 1 ? 'person' : 'people']]
        : []),
      [this.#failed, this.#failed === 1 ? 'frame failed' : 'frames failed'],
    ]
    const last = frames.at(-1)
    const seconds = last ? last.timeS - frames[0].timeS : 0
    const about = [
      this.#model && `model ${this.#model}`,
      seconds > 0 && `${seconds.toFixed(2)} s`,
      complete ? undefined : 'interrupted: not the whole clip',
      `pose4d ${version}`,
    ]
    const rows = this.#options.tracking ? tracks.map((track) => track.coverage(frames)) : []
    await writeWhole(this.#target, [
      page({
        title,
        about: about.filter(Boolean).join(' · '),
        counts,
        body: [
          strip(this.#options.thumbnails ?? [], frames),
          rows.length > 0 ? `<section><h2>Coverage</h2>${table(rows)}</section>` : '',
          tally.records === 0 ? '<section><p>Nobody was found.</p></section>' : '',
          '<main id="people"></main>',
          errors(this.#failures),
        ].join('\n'),
        data,
      }),
    ])
    return [this.#target]
  }
}

function page({ title, about, counts, body, data }) {
  const figures = counts.map(([count, words]) => `<li><b>${count}</b> ${words}</li>`).join('')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escaped(title)} · pose4d</title>
<style>
${part('report.css')}</style>
</head>
<body>
<header><h1>${escaped(title)}</h1><p>${escaped(about)}</p><ul class="counts">${figures}</ul></header>
${body}
<script type="application/json" id="data">${inScript(data)}</script>
<script>
${part('report.page.js')}</script>
</body>
</html>
`
}

module.exports = { ReportExport }
