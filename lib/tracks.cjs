'use strict'
// What the coverage certificate counts of people: tracks with their gaps, and who may have become
// somebody else. docs/results.md says what each figure means.

const { fill, float, list, number, numberOrNull } = require('./saved.cjs')

const SOURCES = ['detected', 'recovered', 'predicted', 'interpolated']
const SEEN = new Set(['detected', 'recovered'])

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

module.exports = {
  MOST_LISTED,
  SEEN,
  SOURCES,
  SWITCH_DISTANCE,
  SWITCH_FRAMES,
  SWITCH_HEIGHT,
  Suspicions,
  Track,
}
