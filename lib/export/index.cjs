'use strict'
// `exportPoses`: results into files that other programs read. One format, one file of this folder.

const path = require('node:path')
const { invalid } = require('./faults.cjs')
const { BvhExport } = require('./bvh.cjs')
const { CsvExport } = require('./csv.cjs')
const { GlbExport } = require('./glb.cjs')
const { JsonExport } = require('./json.cjs')
const { NpzExport } = require('./npz.cjs')
const { PhalpExport } = require('./phalp.cjs')
const { readPoses } = require('./read.cjs')
const { ReportExport } = require('./report.cjs')
const { REASON, Tally, Timeline } = require('./timeline.cjs')

const FORMATS = {
  json: { open: JsonExport.open },
  jsonl: { open: (target, options) => JsonExport.open(target, { ...options, lines: true }) },
  csv: { open: CsvExport.open },
  npz: { open: NpzExport.open },
  pkl: { open: PhalpExport.open },
  glb: { open: GlbExport.open, clip: true },
  bvh: { open: BvhExport.open, clip: true },
  html: { open: ReportExport.open },
}

const EXTENSIONS = {
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.csv': 'csv',
  '.npz': 'npz',
  '.pkl': 'pkl',
  '.pickle': 'pkl',
  '.glb': 'glb',
  '.bvh': 'bvh',
  '.html': 'html',
  '.htm': 'html',
}

/** By a file's name; `undefined` where it tells nothing. */
const formatOf = (target) => EXTENSIONS[path.extname(target).toLowerCase()]

const DEFAULT_FPS = 30

/** What each option must be; everything else is refused by name. */
const OPTIONS = {
  format: [(value) => value in FORMATS, `one of ${Object.keys(FORMATS).join(', ')}`],
  fps: [(value) => Number.isFinite(value) && value > 0, 'a number above 0'],
  tracking: [(value) => typeof value === 'boolean', 'true or false'],
  track: [Number.isInteger, 'a whole number'],
  body: [(value) => typeof value?.bodyModel === 'function', 'an engine, or what loadBody() gave'],
  space: [(value) => ['camera', 'person'].includes(value), "'camera' or 'person'"],
  shape: [(value) => ['frame', 'mean'].includes(value), "'frame' or 'mean'"],
  mesh: [(value) => typeof value === 'boolean', 'true or false'],
  framePath: [(value) => typeof value === 'function', 'a function'],
  header: [(value) => typeof value === 'object' && value !== null, 'an object'],
  thumbnails: [Array.isArray, 'an array'],
  title: [(value) => typeof value === 'string', 'a string'],
  signal: [(value) => typeof value?.aborted === 'boolean', 'an AbortSignal'],
}

function readOptions(target, options = {}) {
  if (typeof target !== 'string' || target === '')
    throw invalid(
      `target must be the name of a file, but is ${target === '' ? 'empty' : typeof target}`,
    )
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw invalid(`options must be an object, but is ${options === null ? 'null' : typeof options}`)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) {
    const [valid, words] = OPTIONS[name] ?? []
    if (!valid)
      throw invalid(`options.${name} is not known; known are ${Object.keys(OPTIONS).join(', ')}`)
    if (!valid(value)) throw invalid(`options.${name} must be ${words}, found ${shown(value)}`)
  }
  const format = options.format ?? formatOf(target)
  if (!format) {
    throw invalid(
      `${target} does not say which format it is; end it in ${Object.keys(EXTENSIONS).join(', ')}, or give options.format`,
    )
  }
  return {
    fps: DEFAULT_FPS,
    tracking: true,
    space: 'camera',
    shape: 'frame',
    mesh: false,
    ...Object.fromEntries(given),
    format,
  }
}

const shown = (value) => (typeof value === 'object' ? 'an object' : JSON.stringify(value))

/** One file in the making: `add` each result, then `close`. */
class Export {
  #target
  #options
  #collector
  #timeline
  #tally = new Tally()
  #frames = 0
  #failed = 0

  static async open(target, given) {
    const options = readOptions(target, given)
    const made = new Export()
    made.#target = target
    made.#options = options
    made.#timeline = new Timeline(options.fps)
    made.#collector = await FORMATS[options.format].open(target, options)
    return made
  }

  /** `extra`: `{ timestampMs, file }` of the frame, where the result does not say them itself. */
  async add(result, extra) {
    const frame = this.#timeline.add(result, extra)
    this.#frames += 1
    if (frame.failed) this.#failed += 1
    frame.result = this.#ofTrack(result)
    await this.#collector.add(frame, this.#tally)
    // What a format needs it has taken.
    frame.result = undefined
  }

  /** The result with the person asked for alone. */
  #ofTrack(result) {
    const { track } = this.#options
    if (track === undefined) return result
    const others = result.persons.filter(({ trackId }) => trackId !== track)
    for (const person of others) this.#tally.leftOut(person, REASON.OTHER_TRACK)
    return { ...result, persons: result.persons.filter(({ trackId }) => trackId === track) }
  }

  /** Ends the file, and says what is in it. `complete`: no result is missing at the end. */
  async close({ complete = true } = {}) {
    const { format, tracking } = this.#options
    const frames = this.#timeline.finish()
    if (FORMATS[format].clip && !tracking && frames.length > 1)
      throw invalid(
        `${this.#target} was not written: ${format} shows one clip, and these are ${frames.length} photos; export them one by one`,
      )
    const about = { frames, complete, note: this.#tally, tally: this.#tally }
    const files = await this.#collector.close(about)
    return {
      format,
      files: files ?? [this.#target],
      frames: this.#frames,
      failedFrames: this.#failed,
      ...this.#tally.toJSON(),
    }
  }

  /** Ends what was begun, of a call that fails. */
  async abandon() {
    await this.#collector.abandon?.()
  }
}

function iterable(results) {
  if (typeof results === 'string') return undefined
  return results?.[Symbol.asyncIterator] || results?.[Symbol.iterator] ? results : undefined
}

/** Writes `results` to the file `target`. */
async function exportPoses(results, target, options) {
  const signal = options?.signal
  const each = iterable(results)
  if (!each)
    throw invalid(
      'results must be an array of results, or what gives them one after the other: engine.stream(…), (await readPoses(file)).results',
    )
  signal?.throwIfAborted()
  const file = await Export.open(target, options)
  try {
    for await (const result of each) {
      signal?.throwIfAborted()
      await file.add(result)
    }
  } catch (error) {
    await file.abandon().catch(() => {})
    throw error
  }
  return file.close()
}

module.exports = { Export, exportPoses, formatOf, readPoses }
