/** What a clip's results add up to, and whether what must hold of them does: docs/results.md. */
export interface ClipSummary {
  /** No more frames will come. Of a video: it was read to its end and is whole. */
  complete: boolean
  /** Given to the engine. */
  framesIn: number
  /** Answered. */
  framesOut: number
  /** Answered with an `errorCode`. */
  framesFailed: number
  /** Of these, refused for their number: they have no place in the clip. */
  framesRefused: number
  /** How many, by `errorCode`. */
  errors: Record<string, number>
  /** `frameNumber`; null without one, or with `tracking: false`. */
  firstFrame: number | null
  lastFrame: number | null
  /** Persons in all results. */
  records: number
  /** By first appearance; empty with `tracking: false`. */
  tracks: TrackSummary[]
  /** Where one person may have become another: the first hundred. */
  suspectedSwitches: SuspectedSwitch[]
  suspectedSwitchCount: number
  invariants: {
    /** Frame numbers rise, and each result is of its own frame. */
    order: Invariant
    /** As many results as frames. */
    count: Invariant
    /** Time stamps rise. */
    monotoneTime: Invariant
    /** Everybody seen has every vertex, and all are finite numbers; `checked`: how many meshes. */
    completeMesh: Invariant & { checked: number }
  }
  /** All of these hold. */
  holds: boolean
}

/** Something that must hold of every clip. */
export interface Invariant {
  holds: boolean
  /** How often it did not. */
  violations: number
  /** The first time, in words. */
  broken?: string
}

/** One identity in a clip. Frame numbers are `frameNumber`s; lengths count frames of the clip. */
export interface TrackSummary {
  trackId: number
  /** First and last frame with a record of it, seen or not. */
  firstFrame: number
  lastFrame: number
  /** From the first to the last. */
  frames: number
  /** Records in these: `records / frames` is its coverage. */
  records: number
  /** Records in which it was seen: `detected` or `recovered`. */
  seen: number
  sources: { detected: number; recovered: number; predicted: number; interpolated: number }
  /** Runs of frames in which it was not seen: the first hundred. */
  gaps: TrackGap[]
  gapCount: number
  /** Frames of all gaps. */
  gapFrames: number
  /** Frames. */
  longestGap: number
}

/** A run of frames in which somebody was not seen. */
export interface TrackGap {
  /** The frame in which it was last seen; null: never before. */
  after: number | null
  /** The frame in which it was seen again; null: never. */
  before: number | null
  /** How long. */
  frames: number
  /** In so many of these it has a record all the same, `predicted` or `interpolated`. */
  records: number
}

/** A place where one person may have become another. */
export interface SuspectedSwitch {
  /**
   * `replaced`: `to` was first seen near where `from` was last seen, and `from` never again. `exchanged`:
   * both jumped onto each other's place from one frame to the next.
   */
  kind: 'replaced' | 'exchanged'
  /** `trackId` */
  from: number
  /** `trackId` */
  to: number
  /** In which `to` was first seen, or both jumped. */
  frameNumber: number
  /** During which neither was seen. */
  frames: number
}
