'use strict'
// The coverage certificate of a clip: counted from the results as they pass, in memory that grows with
// the number of tracks and not with that of frames. docs/results.md says what each figure means.

const { fill, float, list, number, numberOrNull, text } = require('./saved.cjs')
const {
  MOST_LISTED,
  SEEN,
  SOURCES,
  SWITCH_DISTANCE,
  SWITCH_FRAMES,
  SWITCH_HEIGHT,
  Suspicions,
  Track,
} = require('./tracks.cjs')

/** Such a frame has no place in the clip: nothing was done with it. */
const REFUSED = new Set([
  'ERR_POSE4D_FRAME_ORDER',
  'ERR_POSE4D_FRAME_DUPLICATE',
  'ERR_POSE4D_FRAME_NUMBER',
])

/** Something that must hold: how often it did not, and how it first broke. */
class Invariant {
  violations = 0

  broken(how) {
    this.violations += 1
    this.first ??= how
  }

  static restore(saved) {
    const invariant = new Invariant()
    fill(invariant, saved, { violations: number, first: text })
    return invariant
  }

  report() {
    const { violations, first } = this
    return { holds: violations === 0, violations, ...(first !== undefined && { broken: first }) }
  }
}

/** With everything that hangs on it, each thing once; arrays of numbers and functions are shared. */
function copyOf(value, seen = new Map()) {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return value
  if (seen.has(value)) return seen.get(value)
  if (value instanceof Map) {
    const copy = new Map()
    seen.set(value, copy)
    for (const [key, held] of value) copy.set(copyOf(key, seen), copyOf(held, seen))
    return copy
  }
  if (value instanceof Set) {
    const copy = new Set()
    seen.set(value, copy)
    for (const held of value) copy.add(copyOf(held, seen))
    return copy
  }
  const copy = Array.isArray(value) ? [] : Object.create(Object.getPrototypeOf(value))
  seen.set(value, copy)
  for (const [key, held] of Object.entries(value)) copy[key] = copyOf(held, seen)
  return copy
}

const counted = new WeakMap()

/** How many vertices a mesh of these triangles has: those that they name; 0 without triangles. */
function vertexCount(faces) {
  if (!faces) return 0
  if (!counted.has(faces))
    counted.set(faces, faces.reduce((most, vertex) => Math.max(most, vertex), -1) + 1)
  return counted.get(faces)
}

const isFiniteArray = (values) => {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false
  return true
}

/** The plain fields of a summary. */
const COUNTED = {
  framesIn: number,
  framesOut: number,
  failed: number,
  refused: number,
  records: number,
  index: number,
  meshes: number,
  firstFrame: numberOrNull,
  lastFrame: numberOrNull,
  lastTime: float,
}
const INVARIANTS = ['order', 'count', 'time', 'mesh']

class Summary {
  framesIn = 0
  framesOut = 0
  failed = 0
  refused = 0
  records = 0
  index = 0
  errors = new Map()
  tracks = new Map()
  /** Those seen within the last `SWITCH_FRAMES` frames: the others need no look. */
  recent = new Set()
  suspicions = new Suspicions()
  order = new Invariant()
  count = new Invariant()
  time = new Invariant()
  mesh = new Invariant()
  meshes = 0
  vertices
  tracking
  firstFrame = null
  lastFrame = null
  lastTime

  /**
   * `vertices()`: how many a mesh has, 0 where there is to be none. `tracking: false`: frames are
   * independent of one another, so that order, time and identities mean nothing.
   */
  constructor({ vertices = () => 0, tracking = true } = {}) {
    this.vertices = vertices
    this.tracking = tracking
  }

  /** Frames were taken in. */
  take(frames = 1) {
    this.framesIn += frames
  }

  /**
   * One call of a clip, or several as one: `given` is what its frames said, `{ frameNumber, timestampMs, mesh }`
   * each; `mesh: false` where it was asked for without.
   */
  addCall(given, results, { mesh } = {}) {
    this.take(given.length)
    if (results.length !== given.length)
      this.count.broken(`${given.length} frames in a call had ${results.length} results`)
    for (const [i, { frameNumber }] of results.entries()) {
      if (Number.isFinite(frameNumber) && frameNumber !== given[i]?.frameNumber)
        this.order.broken(`result ${i} is of frame ${frameNumber}, not ${given[i]?.frameNumber}`)
    }
    // Within a call frames may come in any order; people are followed in that of the numbers.
    const places = results.map((result, i) => ({ result, frame: given[i] ?? {} }))
    if (this.tracking) places.sort((a, b) => a.result.frameNumber - b.result.frameNumber)
    for (const { result, frame } of places)
      this.add(result, { timestampMs: frame.timestampMs, mesh: mesh ?? frame.mesh })
  }

  /** The next result. `mesh: false`: it was asked for without meshes. */
  add(result, { timestampMs = result.timestampMs, mesh = true } = {}) {
    this.framesOut += 1
    const { errorCode, frameNumber } = result
    if (errorCode) {
      this.failed += 1
      this.errors.set(errorCode, (this.errors.get(errorCode) ?? 0) + 1)
    }
    if (REFUSED.has(errorCode) || !Number.isFinite(frameNumber)) {
      this.refused += 1
      return
    }
    if (this.tracking) this.place(frameNumber, timestampMs)
    this.records += result.persons.length
    if (mesh) for (const person of result.persons) this.checkMesh(person, frameNumber)
    if (this.tracking) this.follow(result.persons, frameNumber)
    this.index += 1
  }

  place(frameNumber, timestampMs) {
    if (this.lastFrame !== null && frameNumber <= this.lastFrame)
      this.order.broken(`frame ${frameNumber} came after frame ${this.lastFrame}`)
    this.firstFrame ??= frameNumber
    this.lastFrame = frameNumber
    if (timestampMs === undefined || timestampMs === null) return
    if (this.lastTime !== undefined && !(timestampMs > this.lastTime))
      this.time.broken(
        `frame ${frameNumber} is of ${timestampMs} ms, the one before of ${this.lastTime} ms`,
      )
    this.lastTime = timestampMs
  }

  checkMesh({ trackId, source, mesh }, frameNumber) {
    const vertices = this.vertices()
    if (!vertices || !SEEN.has(source)) return
    this.meshes += 1
    const whom = `person ${trackId} of frame ${frameNumber}`
    if (!mesh?.vertices) this.mesh.broken(`${whom} has no mesh`)
    else if (mesh.vertices.length !== 3 * vertices)
      this.mesh.broken(`${whom} has ${mesh.vertices.length / 3} of ${vertices} vertices`)
    else if (!isFiniteArray(mesh.vertices))
      this.mesh.broken(`${whom} has a vertex that is not finite`)
  }

  follow(persons, frameNumber) {
    const seen = new Map()
    for (const person of persons) {
      let track = this.tracks.get(person.trackId)
      if (!track) {
        track = new Track(person.trackId, this.index, frameNumber)
        this.tracks.set(person.trackId, track)
      }
      const isSeen = SEEN.has(person.source)
      if (isSeen && track.seen === 0)
        this.suspicions.begins(track, person.box, this.index, frameNumber, this.recent)
      track.add(person, this.index, frameNumber)
      if (isSeen) seen.set(track, person.box)
    }
    for (const track of this.recent)
      if (this.index - track.seenIndex >= SWITCH_FRAMES) this.recent.delete(track)
    for (const track of seen.keys()) this.recent.add(track)
    this.suspicions.frame(seen, frameNumber)
  }

  /** As plain data; `restore` makes the same of it. */
  save() {
    return {
      ...Object.fromEntries(Object.keys(COUNTED).map((name) => [name, this[name]])),
      errors: [...this.errors],
      tracks: [...this.tracks.values()].map((track) => track.save()),
      recent: [...this.recent].map((track) => track.trackId),
      suspicions: this.suspicions.save(),
      invariants: Object.fromEntries(INVARIANTS.map((name) => [name, { ...this[name] }])),
    }
  }

  static restore(saved, options) {
    const summary = new Summary(options)
    fill(summary, saved, COUNTED)
    summary.errors = new Map(list(saved?.errors).map(([code, n]) => [text(code), number(n)]))
    const tracks = list(saved.tracks).map((track) => Track.restore(track))
    summary.tracks = new Map(tracks.map((track) => [track.trackId, track]))
    const track = (id) => {
      if (summary.tracks.has(id)) return summary.tracks.get(id)
      throw new TypeError(`there is no track ${id}`)
    }
    summary.recent = new Set(list(saved.recent).map(track))
    summary.suspicions = Suspicions.restore(saved.suspicions, track)
    for (const name of INVARIANTS) summary[name] = Invariant.restore(saved.invariants?.[name])
    return summary
  }

  /** A second one in the same state, to go its own way. */
  fork() {
    return copyOf(this)
  }

  /** Everything so far, as plain data. `complete`: no more frames will come, and none is on its way. */
  report({ complete = true } = {}) {
    const count = this.count.report()
    if (count.holds && complete && this.framesIn !== this.framesOut)
      Object.assign(count, {
        holds: false,
        violations: 1,
        broken: `${this.framesIn} frames in, ${this.framesOut} out`,
      })
    const invariants = {
      order: this.order.report(),
      count,
      monotoneTime: this.time.report(),
      completeMesh: { ...this.mesh.report(), checked: this.meshes },
    }
    return {
      complete,
      framesIn: this.framesIn,
      framesOut: this.framesOut,
      framesFailed: this.failed,
      framesRefused: this.refused,
      errors: Object.fromEntries(this.errors),
      firstFrame: this.firstFrame,
      lastFrame: this.lastFrame,
      records: this.records,
      tracks: [...this.tracks.values()].map((track) => track.report()),
      ...this.suspicions.report(),
      invariants,
      holds: Object.values(invariants).every(({ holds }) => holds),
    }
  }
}

module.exports = {
  MOST_LISTED,
  SOURCES,
  SWITCH_DISTANCE,
  SWITCH_FRAMES,
  SWITCH_HEIGHT,
  Summary,
  vertexCount,
}
