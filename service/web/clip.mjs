// A clip: its frames in time, who is in them, and each person's course through it.

/** Frames without a time of their own are that many a second apart, as in the engine. */
const FPS = 30

/** Frames from which the extent of a scene is reckoned. */
const MOST_LOOKED_AT = 1500

/** What lies below this share of a list; NaN of an empty one. */
function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

/** One person from their first to their last frame. `at` has the person of a frame's index, or undefined. */
class Track {
  constructor(id, length) {
    this.id = id
    this.at = new Array(length)
    this.records = 0
    this.first = -1
    this.last = -1
  }

  add(index, person) {
    this.at[index] = person
    this.records += 1
    if (this.first < 0) this.first = index
    this.last = index
  }

  /** How many records came about how. */
  get sources() {
    const counts = {}
    for (const person of this.at)
      if (person) counts[person.source] = (counts[person.source] ?? 0) + 1
    return counts
  }

  /** Names of the angles that were measured anywhere, in the order of the first record that has most. */
  get angleNames() {
    const names = new Set()
    for (const person of this.at)
      if (person) for (const name of Object.keys(person.angles)) names.add(name)
    return [...names]
  }
}

export class Clip {
  /**
   * `header`: `{ name, kind: 'photos' | 'clip' | 'video', tracked, model, fps, file, complete, meshFaces, pictureOf }`;
   * `pictureOf(index)`: a promise of a frame's picture, where somebody has it.
   */
  constructor(header, frames) {
    Object.assign(this, header)
    this.frames = this.kind === 'photos' ? frames : sorted(frames)
    this.times = times(this.frames, this.kind === 'photos' ? 1 : header.fps || FPS)
    this.tracks = this.tracked ? tracks(this.frames) : []
    const sized = this.frames.find(({ width }) => width > 0)
    this.width = sized?.width ?? 0
    this.height = sized?.height ?? 0
    this.failed = this.frames.filter(({ errorCode }) => errorCode).length
    this.records = this.frames.reduce((sum, { persons }) => sum + persons.length, 0)
  }

  get length() {
    return this.frames.length
  }

  /** Typical time between frames, milliseconds. */
  get interval() {
    const { times: at } = this
    return at.length > 1 ? (at[at.length - 1] - at[0]) / (at.length - 1) : 1000 / FPS
  }

  /** The frame that is on the screen at a time: the last that has begun. */
  indexAt(ms) {
    let [low, high] = [0, this.times.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.times[middle] <= ms) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Share of the clip's length at which a frame stands, 0 to 1. */
  shareOf(index) {
    const { times: at } = this
    const span = at[at.length - 1] - at[0]
    return span > 0 ? (at[index] - at[0]) / span : 0
  }

  /** People of a photo are its own: their numbers mean nothing in the next. */
  trackOf(id) {
    return this.tracks.find((track) => track.id === id)
  }
}

const sorted = (frames) => frames.slice().sort((a, b) => a.number - b.number)

function times(frames, fps) {
  const known = frames.every(({ timeMs }) => timeMs !== null)
  const made = frames.map(({ timeMs, number }, index) =>
    known ? timeMs : (1000 * (Number.isFinite(number) ? number : index)) / fps,
  )
  // A slider and a search need times that rise.
  for (let i = 1; i < made.length; i++) if (!(made[i] > made[i - 1])) made[i] = made[i - 1] + 0.01
  return Float64Array.from(made)
}

function tracks(frames) {
  const made = new Map()
  frames.forEach(({ persons }, index) => {
    for (const person of persons) {
      if (!made.has(person.trackId))
        made.set(person.trackId, new Track(person.trackId, frames.length))
      made.get(person.trackId).add(index, person)
    }
  })
  return [...made.values()].sort((a, b) => a.id - b.id)
}

/** Someone's points in the world of the 3D view: metres, y up, towards the viewer positive. */
export function worldOf(person, index, offset) {
  const { joints } = person
  return [
    joints[3 * index] + offset[0],
    -(joints[3 * index + 1] + offset[1]),
    -(joints[3 * index + 2] + offset[2]),
  ]
}

/** Are all people of the clip placed before one camera? */
export function placed(clip) {
  const all = clip.frames.flatMap(({ persons }) => persons).filter(({ joints }) => joints)
  const shown = all.filter(({ source }) => source === 'detected' || source === 'recovered')
  return shown.length > 0 && shown.every(({ camera }) => camera)
}

/** Where people stand, robust against a few wild records: `{ least, most }` of hips or origins, and the floor. */
export function extent(clip, offsetOf) {
  const axes = [[], [], []]
  const lows = []
  const stride = Math.ceil(clip.length / MOST_LOOKED_AT)
  for (let index = 0; index < clip.length; index += stride) {
    for (const person of clip.frames[index].persons) {
      const offset = offsetOf(person)
      if (!person.joints || !offset) continue
      let low = Number.POSITIVE_INFINITY
      for (let i = 0; i < person.joints.length / 3; i++) {
        const at = worldOf(person, i, offset)
        if (!at.every(Number.isFinite)) continue
        for (const axis of [0, 1, 2]) axes[axis].push(at[axis])
        low = Math.min(low, at[1])
      }
      if (Number.isFinite(low)) lows.push(low)
    }
  }
  if (lows.length === 0) return null
  for (const list of [...axes, lows]) list.sort((a, b) => a - b)
  return {
    least: axes.map((list) => quantile(list, 0.01)),
    most: axes.map((list) => quantile(list, 0.99)),
    floor: quantile(lows, 0.1),
  }
}
