'use strict'
// Joint angles over time as CSV (RFC 4180): a row per person and frame.

const { TextFile } = require('./files.cjs')

/** As docs/results.md has them; others follow by name. */
const ORDER = [
  ...['elbow', 'shoulder', 'hip', 'knee', 'ankle', 'wrist'].flatMap((joint) => [
    `left_${joint}`,
    `right_${joint}`,
  ]),
  'spine',
  'neck',
  'trunk_lean',
]

/** The names in `found`, in a fixed order. */
function ordered(found) {
  const known = ORDER.filter((name) => found.has(name))
  return [...known, ...[...found].filter((name) => !ORDER.includes(name)).sort()]
}

/** A field as RFC 4180 wants it; what is not there is empty. */
function field(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return ''
  const text = String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

const FIXED = ['frame', 'time_s', 'track_id', 'source', 'tracking_confidence']

class CsvExport {
  #target
  #rows = []
  #names = new Set()

  static async open(target) {
    const made = new CsvExport()
    made.#target = target
    return made
  }

  add(frame, note) {
    for (const person of frame.result.persons) {
      const angles = person.jointAngles3d ?? {}
      for (const name of Object.keys(angles)) this.#names.add(name)
      const { trackId, source, trackingConfidence } = person
      this.#rows.push({ frame, fixed: [trackId, source, trackingConfidence], angles })
      note.wrote(person)
    }
  }

  async close() {
    const names = ordered(this.#names)
    this.#rows.sort((a, b) => a.frame.index - b.frame.index)
    const file = await TextFile.open(this.#target)
    await file.write(`${[...FIXED, ...names].map(field).join(',')}\r\n`)
    for (const { frame, fixed, angles } of this.#rows) {
      const row = [frame.number, frame.timeS, ...fixed, ...names.map((name) => angles[name])]
      await file.write(`${row.map(field).join(',')}\r\n`)
    }
    await file.close()
    return [this.#target]
  }
}

module.exports = { CsvExport, ordered }
