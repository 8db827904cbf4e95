/** How much of a video is taken, and what becomes of it. */
export interface VideoOptions extends CallOptions {
  /** Seconds, in the video's own time (that of `timestampMs`): frames before are left out. @default 0 */
  start?: number
  /** Seconds: frames from there on are left out. @default to the end */
  end?: number
  /** Take every nth frame. @default 1 */
  every?: number
  /** Take at most so many frames a second; none is taken twice, and times stay their own. */
  fps?: number
  /** `false`: frames are independent of one another. @default true */
  tracking?: boolean
  /** Meshes in the results, of a model that has them. @default true */
  mesh?: boolean
  /**
   * `offline`: results come when the whole video was read, gone over again, as with `ClipOptions.mode`; kept
   * until then without meshes. For `overlay` and `onFrame` the video is read a second time; `onProgress`
   * tells of the first. @default 'online'
   */
  mode?: 'online' | 'offline'
  /** People ordered from front to back by a depth map of every frame, as with `ClipOptions.depth`. @default false */
  depth?: boolean
  /** By which network; without it that of the engine's configuration. */
  depthModel?: 'DPT_Large' | 'DPT_Hybrid' | 'MiDaS' | 'MiDaS_small'
  /** Frames on their way at once. @default threads + 9 */
  maxInFlight?: number
  /**
   * A video to write (`.mp4`, `.mov`, `.m4v`, `.mkv`: H.264; `.webm`: VP9), with the people drawn in: as many
   * frames as results, each at its own time, upright, without sound. It is whole when the last result was
   * taken or the loop was left.
   */
  overlay?: string
  /** How `overlay` is drawn. */
  overlayOptions?: Omit<OverlayOptions, 'format' | 'quality'>
  /**
   * Is given each frame with its result, in order, and waited for; the pixels are RGB and yours to keep.
   * What it throws ends the run.
   */
  onFrame?: (frame: VideoFrame, result: VideoPoseResult) => unknown
  /** Told after each frame. What it throws ends the run. */
  onProgress?: (progress: VideoProgress) => void
}

/** How far a video is. */
export interface VideoProgress {
  /** Frames done, those that failed included. */
  frame: number
  /** Frames in all; exact or not as `VideoInfo.framesFrom` says, absent where nobody knows. */
  totalFrames?: number
  /** Frames done per second, over the last five seconds. */
  fps: number
}

/** A decoded frame of a video, upright. */
export interface VideoFrame {
  /** Its number in the video, from 0. */
  frameNumber: number
  /** Milliseconds, from the container. */
  timestampMs: number
  /** Pixels. */
  width: number
  /** Pixels. */
  height: number
  /** RGB, row-major, `width * height * 3` bytes; absent where nothing of the frame could be decoded. */
  pixels?: Uint8Array
  /** What is wrong with it, where it is damaged. */
  problem?: string
}

/** What a video says of itself. */
export interface VideoInfo {
  /** As given. */
  path: string
  /** ffmpeg's name of the format: `mov,mp4,m4a,3gp,3g2,mj2`, `matroska,webm`, … */
  container: string
  /** ffmpeg's name: `h264`, `hevc`, `vp9`, … */
  codec: string
  /** Pixels, upright: sides are swapped where `rotation` is 90 or 270. */
  width: number
  /** Pixels, upright. */
  height: number
  /** Clockwise degrees by which stored frames were turned to stand upright (display matrix). */
  rotation: 0 | 90 | 180 | 270
  /** Frames per second; the mean where the rate varies. Absent where nobody knows. */
  fps?: number
  /** Frames are not evenly spaced. For files over 64 MB judged by what the container says. */
  variableFrameRate: boolean
  /** Length; absent where the container has none. */
  seconds?: number
  /** How many there are to be shown. Absent where nobody knows. */
  frames?: number
  /**
   * Where `frames` comes from. `count`: packets were counted (files up to 64 MB): exact. `container`: it
   * names the number. `estimate`: length times rate.
   */
  framesFrom?: 'count' | 'container' | 'estimate'
}

/** The result of a video's frame. */
export interface VideoPoseResult extends PoseResult {
  /** When the frame is shown, milliseconds, from the container; the file's beginning is 0. */
  timestampMs: number
}

/**
 * A video on its way through an engine: its results, once, in order. Nothing happens before the first is
 * asked for. Leaving the loop ends ffmpeg and the work.
 */
export declare class PoseVideo implements AsyncGenerator<VideoPoseResult, void, undefined> {
  private constructor()
  /** Size, rate, length: known before the first result. Rejects as the loop does. */
  readonly info: Promise<VideoInfo>
  /** Of the results so far; `complete` once the last was taken. */
  summary(): ClipSummary
  next(): Promise<IteratorResult<VideoPoseResult, void>>
  return(value?: void | PromiseLike<void>): Promise<IteratorResult<VideoPoseResult, void>>
  throw(error: unknown): Promise<IteratorResult<VideoPoseResult, void>>
  [Symbol.asyncIterator](): this
  [Symbol.asyncDispose](): Promise<void>
}
