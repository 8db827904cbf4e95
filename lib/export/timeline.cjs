'use strict'
// The frames of an export, their times and their order; and the count of what was written of them.

const { invalid } = require('./faults.cjs')

const SEEN = new Set(['detected', 'recovered'])

/** Why a record is not in a file, in the words of `ExportSummary.leftOut`. */
const REASON = {
  /** Of another person than the one asked for. */
  OTHER_TRACK: 'otherTrack',
  NO_JOINTS: 'noJoints3d',
  NO_SMPL: 'noSmpl',
  NO_CAMERA: 'noCamera',
}

function checkResult(result, at) {
  if (result && typeof result === 'object' && Array.isArray(result.persons)) return
  throw invalid(
    `results[${at}] must be a PoseResult with persons, but is ${result === null ? 'null' : typeof result}`,
  )
}

/** Frames in the order of their numbers, each with a time. */
class Timeline {
  #frames = []
  #fps
  #taken = 0

  constructor(fps) {
    this.#fps = fps
  }

  add(result, { timestampMs = result?.timestampMs, file = result?.file } = {}) {
    checkResult(result, this.#taken++)
    const number = result.frameNumber
    const stamped = Number.isFinite(timestampMs)
    const frame = {
      result,
      number,
      file,
      timestampMs: stamped ? timestampMs : undefined,
      timeS: stamped ? timestampMs / 1000 : number / this.#fps,
      failed: Boolean(result.errorCode),
    }
    this.#frames.push(frame)
    return frame
  }

  get taken() {
    return this.#taken
  }

  /**
   * Gives every frame its `index` in time. A frame that failed for its very number (missing, or there
   * twice) has no place. Call it once all are there.
   */
  finish() {
    const numbers = new Set()
    const good = this.#frames.filter(({ failed }) => !failed)
    for (const { number } of good) {
      if (!Number.isInteger(number))
        throw invalid(`a frame's number must be a whole number, found ${number}`)
      if (numbers.has(number))
        throw invalid(`frame ${number} is there twice; export one clip at a time`)
      numbers.add(number)
    }
    const placed = this.#frames.filter(({ number, failed }) => {
      if (!failed) return true
      if (!Number.isInteger(number) || numbers.has(number)) return false
      numbers.add(number)
      return true
    })
    placed.sort((a, b) => a.number - b.number)
    placed.forEach((frame, index) => {
      frame.index = index
      const before = placed[index - 1]
      if (before && !(frame.timeS > before.timeS)) {
        throw invalid(
          `frame ${frame.number} is at ${frame.timeS} s, not after frame ${before.number} at ${before.timeS} s`,
        )
      }
    })
    return placed
  }
}

/** What was written of each person, and what was not. */
class Tally {
  #leftOut = {}
  #tracks = new Map()
  records = 0
  written = 0

  /** Of one frame: `wrote(person)`, `leftOut(person, reason)`. */
  constructor() {
    this.wrote = (person) => {
      this.#count(person, true)
      this.written += 1
    }
    this.leftOut = (person, reason) => {
      this.#count(person, false)
      this.#leftOut[reason] = (this.#leftOut[reason] ?? 0) + 1
    }
  }

  #count({ trackId }, written) {
    this.records += 1
    const track = this.#tracks.get(trackId) ?? { trackId, records: 0, written: 0 }
    this.#tracks.set(trackId, track)
    track.records += 1
    if (written) track.written += 1
  }

  toJSON() {
    return {
      records: this.records,
      written: this.written,
      leftOut: { ...this.#leftOut },
      tracks: [...this.#tracks.values()].sort((a, b) => a.trackId - b.trackId),
    }
  }
}

module.exports = { REASON, SEEN, Tally, Timeline }
