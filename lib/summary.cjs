'use strict'
// The coverage certificate of a clip: counted from the results as they pass, in memory that grows with
// the number of tracks and not with that of frames. docs/results.md says what each figure means.

const SOURCES = ['detected', 'recovered', 'predicted', 'interpolated']
const SEEN = new Set(['detected', 'recovered'])
/** Such a frame has no place in the clip: nothing was done with it. */
const REFUSED = new Set([
  'ERR_POSE4D_FRAME_ORDER',
  'ERR_POSE4D_FRAME_DUPLICATE',
  'ERR_POSE4D_FRAME_NUMBER',
])

/** Gaps of a track, and suspicions, that are listed one by one; all are counted. */
const MOST_LISTED = 100
/** A track that begins so many frames or fewer after another was last seen may be the same person. */
const SWITCH_FRAMES = 30
/** And whose middle is so near, as a share of the larger box's diagonal. */
const SWITCH_DISTANCE = 0.5
/** And whose height differs by less than this factor. */
const SWITCH_HEIGHT = 2
/** Two people who each jump onto the other's place: overlap with the other's box, and with their own. */
const EXCHANGE_OTHER = 0.5
const EXCHANGE_OWN = 0.1

const height = (box) => box[3] - box[1]
const diagonal = (box) => Math.hypot(box[2] - box[0], height(box))

/** Distance of the middles as a share of the larger diagonal; Infinity where sizes do not fit. */
function distance(a, b) {
  const ratio = height(a) / height(b)
  if (!(ratio < SWITCH_HEIGHT && ratio > 1 / SWITCH_HEIGHT)) return Number.POSITIVE_INFINITY
  const apart = Math.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2
  return apart / Math.max(diagonal(a), diagonal(b))
}

/** Intersection over union. */
function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const tall = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (!(width > 0 && tall > 0)) return 0
  const area = (box) => (box[2] - box[0]) * height(box)
  return (width * tall) / (area(a) + area(b) - width * tall)
}

const number = (value) => {
  if (typeof value === 'number') return value
  throw new TypeError('a number is missing')
}
const numberOrNull = (value) => (value === null || value === undefined ? null : number(value))
/** JSON has no NaN. */
const float = (value) => (value === null ? Number.NaN : number(value))
const list = (value) => {
  if (Array.isArray(value)) return value
  throw new TypeError('a list is missing')
}
const text = (value) => {
  if (typeof value === 'string') return value
  throw new TypeError('a text is missing')
}

/** Takes over the fields of `saved` that `kinds` names, each checked. */
function fill(target, saved, kinds) {
  for (const [name, kind] of Object.entries(kinds)) {
    const value = saved?.[name]
    if (value !== undefined) target[name] = kind(value)
  }
}

/** The plain fields of a track. */
const TRACK = {
  trackId: number,
  firstIndex: number,
  firstFrame: number,
  lastIndex: number,
  lastFrame: number,
  records: number,
  seen: number,
  gapCount: number,
  gapFrames: number,
  longestGap: number,
  seenIndex: number,
  seenFrame: numberOrNull,
  unseenRecords: number,
}

class Track {
  sources = Object.fromEntries(SOURCES.map((source) => [source, 0]))
  records = 0
  seen = 0
  gaps = []
  gapCount = 0
  gapFrames = 0
  longestGap = 0
  /** Where it was last seen. */
  box = null
  seenIndex = -1
  seenFrame = null
  /** Records since then. */
  unseenRecords = 0

  constructor(trackId, index, frameNumber) {
    this.trackId = trackId
    this.firstIndex = index
    this.firstFrame = frameNumber
  }

  add({ source, box }, index, frameNumber) {
    this.records += 1
    this.sources[source] = (this.sources[source] ?? 0) + 1
    this.lastFrame = frameNumber
    this.lastIndex = index
    if (!SEEN.has(source)) {
      this.unseenRecords += 1
      return
    }
    const gap = this.gap(index - 1, frameNumber)
    if (gap) this.count(gap)
    this.seen += 1
    this.seenIndex = index
    this.seenFrame = frameNumber
    this.unseenRecords = 0
    this.box = box
  }

  /** The run up to `lastIndex` in which it was not seen, if there is one. */
  gap(lastIndex, before) {
    const from = this.seenFrame === null ? this.firstIndex - 1 : this.seenIndex
    const frames = lastIndex - from
    return frames > 0
      ? { after: this.seenFrame, before, frames, records: this.unseenRecords }
      : undefined
  }

  count(gap) {
    this.gapCount += 1
    this.gapFrames += gap.frames
    this.longestGap = Math.max(this.longestGap, gap.frames)
    if (this.gaps.length < MOST_LISTED) this.gaps.push(gap)
  }

  /** As plain data; `restore` makes the same of it. */
  save() {
    return { ...this, box: this.box && [...this.box] }
  }

  static restore(saved) {
    const track = new Track()
    fill(track, saved, TRACK)
    track.sources = Object.fromEntries(
      SOURCES.map((source) => [source, number(saved.sources?.[source])]),
    )
    track.gaps = list(saved.gaps).map((gap) => ({
      after: numberOrNull(gap?.after),
      before: numberOrNull(gap?.before),
      frames: number(gap?.frames),
      records: number(gap?.records),
    }))
    track.box = saved.box === null ? null : Float32Array.from(list(saved.box), float)
    return track
  }

  report() {
    const open = this.gap(this.lastIndex, null)
    const { trackId, firstFrame, lastFrame, records, seen } = this
    return {
      trackId,
      firstFrame,
      lastFrame,
      frames: this.lastIndex - this.firstIndex + 1,
      records,
      seen,
      sources: { ...this.sources },
      gaps: [...this.gaps, ...(open ? [open] : [])]
        .slice(0, MOST_LISTED)
        .map((gap) => ({ ...gap })),
      gapCount: this.gapCount + (open ? 1 : 0),
      gapFrames: this.gapFrames + (open?.frames ?? 0),
      longestGap: Math.max(this.longestGap, open?.frames ?? 0),
    }
  }
}

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

/** Who is suspected of having become somebody else. */
class Suspicions {
  /** New track → whom it may be: at most one each. */
  takenOver = []
  exchanged = []
  exchanges = 0
  /** People seen in the frame before, and the boxes there. */
  before = new Map()

  /** A track was seen for the first time: who near it has not been seen lately? */
  begins(track, box, index, frameNumber, tracks) {
    let nearest
    for (const other of tracks) {
      const since = index - other.seenIndex
      if (other === track || !other.box || since < 1 || since > SWITCH_FRAMES) continue
      const apart = distance(other.box, box)
      if (apart <= SWITCH_DISTANCE && apart < (nearest?.apart ?? Number.POSITIVE_INFINITY))
        nearest = {
          from: other,
          to: track,
          apart,
          index,
          frameNumber,
          after: other.seenFrame,
          since,
        }
    }
    if (nearest) this.takenOver.push(nearest)
  }

  /** People seen in a frame, as `Map<Track, box>`. */
  frame(seen, frameNumber) {
    const jumped = [...seen].filter(
      ([track, box]) =>
        this.before.has(track) && overlap(box, this.before.get(track)) < EXCHANGE_OWN,
    )
    for (const [i, [a, boxA]] of jumped.entries()) {
      for (const [b, boxB] of jumped.slice(i + 1)) {
        if (overlap(boxA, this.before.get(b)) < EXCHANGE_OTHER) continue
        if (overlap(boxB, this.before.get(a)) < EXCHANGE_OTHER) continue
        this.exchanges += 1
        if (this.exchanged.length < MOST_LISTED)
          this.exchanged.push({
            kind: 'exchanged',
            from: a.trackId,
            to: b.trackId,
            frameNumber,
            frames: 0,
          })
      }
    }
    this.before = seen
  }

  /** As plain data, tracks by their numbers. */
  save() {
    const ids = ({ from, to, ...rest }) => ({ ...rest, from: from.trackId, to: to.trackId })
    return {
      takenOver: this.takenOver.map(ids),
      exchanged: this.exchanged,
      exchanges: this.exchanges,
      before: [...this.before].map(([track, box]) => [track.trackId, [...box]]),
    }
  }

  static restore(saved, track) {
    const suspicions = new Suspicions()
    suspicions.takenOver = list(saved?.takenOver).map((one) => ({
      from: track(one?.from),
      to: track(one?.to),
      apart: number(one.apart),
      index: number(one.index),
      frameNumber: number(one.frameNumber),
      after: numberOrNull(one.after),
      since: number(one.since),
    }))
    suspicions.exchanged = list(saved.exchanged).map((one) => ({
      kind: 'exchanged',
      from: number(one?.from),
      to: number(one?.to),
      frameNumber: number(one?.frameNumber),
      frames: 0,
    }))
    suspicions.exchanges = number(saved.exchanges)
    suspicions.before = new Map(
      list(saved.before).map((pair) => {
        const [id, box] = list(pair)
        return [track(id), Float32Array.from(list(box), float)]
      }),
    )
    return suspicions
  }

  report() {
    // Whoever was seen again later was not replaced.
    const taken = this.takenOver.filter(({ from, index }) => from.seenIndex < index)
    const listed = taken.map(({ from, to, frameNumber, since }) => ({
      kind: 'replaced',
      from: from.trackId,
      to: to.trackId,
      frameNumber,
      frames: since - 1,
    }))
    return {
      suspectedSwitches: [...listed, ...this.exchanged]
        .sort((a, b) => a.frameNumber - b.frameNumber)
        .slice(0, MOST_LISTED),
      suspectedSwitchCount: taken.length + this.exchanges,
    }
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
