/** Frames that belong together over several calls. */
export declare class PoseClip {
  private constructor()
  /**
   * One result per frame, in the order given; people are followed in ascending `frameNumber` and
   * on from the last call. A call that rejects leaves the clip as it was before.
   */
  processFrames(frames: Frame[], options?: ClipCallOptions): Promise<PoseResult[]>
  /**
   * The coverage certificate of all calls that were answered, of an offline clip with what `finish` made of
   * them; memory grows with people, not frames.
   */
  summary(): ClipSummary
  /**
   * Of a clip opened with `mode: 'offline'`: all results so far again, in the order in which they
   * were given, with gaps filled from both sides. Waits for the calls before it; later calls go on
   * following the same people, and are the next `finish`'s.
   *
   * @throws `ERR_POSE4D_INVALID_ARGUMENT` for a clip that is not `offline`
   */
  finish(options?: CallOptions): Promise<PoseResult[]>
  /**
   * The whole memory of the clip after the calls made so far, its summary included: with
   * `engine.openClip({ snapshot })`, also of another process, the clip goes on and comes to the same
   * results to the bit as if it had not been interrupted (same configuration and machine). Of an offline
   * clip also the results so far and its last frames as they came. The clip itself stays as it is.
   *
   * @throws `ERR_POSE4D_CLOSED` once the engine is closed
   */
  snapshot(options?: CallOptions): Promise<Uint8Array>
}

/** A loaded model. Made by `createEngine`. */
export declare class PoseEngine {
  private constructor()
  /** One result per frame, in the order given; the frames are a clip of their own. */
  processFrames(frames: Frame[], options?: ProcessOptions): Promise<PoseResult[]>
  /**
   * Looks at frames of a clip without following anybody, here or on another machine: all that needs no memory
   * of other frames, which with 4D-Humans is nearly everything. A clip that is given the looks with their
   * frames (`processFrames([{ ...frame, look }])`) does not look again, and comes to the same results to
   * the bit. Any part of a clip may be looked at, in any order; `startIndex` says where in the clip it begins.
   * @example
   * const looks = await other.lookAtFrames(frames.slice(32, 64), { startIndex: 32 })
   * await clip.processFrames(frames.slice(32, 64).map((frame, i) => ({ ...frame, look: looks[i].look })))
   */
  lookAtFrames(frames: Frame[], options?: LookOptions): Promise<FrameLook[]>
  /** Engines with the same can follow one another's looks: model and all settings that looking depends on. */
  readonly lookKey: string
  /** A clip that goes on from call to call. */
  /**
   * @throws `ERR_POSE4D_SNAPSHOT` for a `snapshot` that is damaged, of another version, or of a clip with
   * another model or keypoints
   */
  openClip(options?: ClipStart): PoseClip
  /**
   * One result per frame, in order, as they come; the source is read only as fast as results are
   * taken. Leaving the loop early ends the work. With `mode: 'offline'` all results come at the end.
   */
  stream(
    frames: AsyncIterable<Frame> | Iterable<Frame> | ReadableStream<Frame>,
    options?: StreamOptions,
  ): AsyncGenerator<PoseResult, void, undefined>
  /**
   * A video file, through ffmpeg, which must be on the PATH: every frame once, upright, with its own time.
   * A damaged frame is a result with `ERR_POSE4D_VIDEO_FRAME`; a file that is cut off rejects with
   * `ERR_POSE4D_VIDEO_TRUNCATED` after the last result.
   * @example
   * const video = engine.processVideo('run.mp4', { overlay: 'drawn.mp4' })
   * const { width, height, frames } = await video.info
   * for await (const { frameNumber, timestampMs, persons } of video) { }
   * const { tracks, holds } = video.summary()
   */
  processVideo(path: string, options?: VideoOptions): PoseVideo
  /**
   * Relative inverse depth of every pixel, one result per frame in the order given; the frames are independent of
   * one another, and of what poses the engine measures. The network is loaded at the first call and kept. All
   * maps of a call are in memory together: for long videos `streamDepth`.
   * @example
   * const [{ depth, width, range }] = await engine.estimateDepth([{ frameNumber: 0, imagePath: 'room.jpg' }])
   * const nearness = (depth[y * width + x] - range.min) / (range.max - range.min)
   *
   * @throws `ERR_POSE4D_MODEL_UNAVAILABLE` where the network's file is not there
   */
  estimateDepth(frames: Frame[], options?: DepthOptions): Promise<DepthResult[]>
  /**
   * The same for frames that come one by one: results in order as they are taken, a few maps in memory at a
   * time. Leaving the loop early ends the work.
   */
  streamDepth(
    frames: AsyncIterable<Frame> | Iterable<Frame>,
    options?: DepthStreamOptions,
  ): AsyncGenerator<DepthResult, void, undefined>
  /** Builds the workers and sends a synthetic frame the whole way, through every network. */
  warmup(options?: CallOptions): Promise<WarmupReport>
  health(): Health
  /** `[F * 3]` vertex indices of the mesh (SMPL: 13,776 triangles); null for a model without one. */
  readonly meshFaces: Uint32Array | null
  /**
   * The SMPL body of shape `betas` (10 numbers; without them the mean shape) before it is posed; null for
   * a model without one, and for 4D-Humans before it is loaded. New arrays each time.
   */
  bodyModel(betas?: Float32Array | number[]): BodyModel | null
  /** Refuses new calls, ends waiting ones with `ERR_POSE4D_CLOSED`, and waits for running work. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What pose4d throws and rejects with. */
export declare class Pose4DError extends Error {
  constructor(code: string, message: string, details?: { frameNumber?: number; cause?: unknown })
  /** Stable, `ERR_POSE4D_…`; the table is in docs/errors.md. */
  readonly code: string
  /** Worth trying again as it is, later or with fewer frames. */
  readonly retryable: boolean
  readonly frameNumber?: number
}

/** Loads the model files and starts the workers. */
export declare function createEngine(config?: EngineConfig): Promise<PoseEngine>

/** On the process-wide engine, which the first use makes. */
export declare function processFrames(
  frames: Frame[],
  options?: ProcessOptions,
): Promise<PoseResult[]>

/** Of the process-wide engine, which the first use makes. */
export declare function estimateDepth(
  frames: Frame[],
  options?: DepthOptions,
): Promise<DepthResult[]>

/** Makes the process-wide engine, with this configuration if it is the first use, and warms it up. */
export declare function warmup(config?: EngineConfig): Promise<WarmupReport>

/** Of the process-wide engine. */
export declare function health(): Health
