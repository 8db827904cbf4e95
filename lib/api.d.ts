/** One frame: a number and exactly one image source. */
export interface Frame {
  /** A whole number, 0 or more; different within a call, rising from call to call on a clip. */
  frameNumber: number
  /** Encoded JPEG, PNG or WebP; copied at the call. EXIF orientation is honoured. */
  image?: Uint8Array
  /** The same as base64, plain or as a `data:` URL. */
  imageBase64?: string
  /** The same as a file. */
  imagePath?: string
  /** RGB, 8 bits per channel, row-major, `width * height * 3` bytes; copied at the call. */
  pixels?: Uint8Array
  /** Of `pixels`. */
  width?: number
  /** Of `pixels`. */
  height?: number
  /** Time of the frame, milliseconds; without it `frameNumber / fps` counts. */
  timestampMs?: number
  /** People already known, `[x1, y1, x2, y2]` pixels each; a Float32Array holds 4 numbers per box. */
  boxes?: number[][] | Float32Array
}

/** How BlazePose looks for people and follows them. */
export interface BlazePoseConfig {
  /** Which landmark network. @default 'full' */
  variant?: 'fast' | 'lite' | 'full' | 'accurate' | 'heavy'
  /**
   * Tiles as fractions of the frame's long side; empty: only the whole frame, as MediaPipe does.
   * @default [0.6, 0.45, 0.33]
   */
  tileScales?: number[] | Float32Array
  /** Overlap of neighbouring tiles, as a fraction of a tile. @default 0.5 */
  tileOverlap?: number
  /** Detector score, 0 to 1, from which a place is looked at. @default 0.3 */
  detectionThreshold?: number
  /** Intersection over union above which detections are one. @default 0.3 */
  nmsIou?: number
  /** Pose flag of the landmark network, 0 to 1, from which a pose is kept. @default 0.5 */
  poseThreshold?: number
  /**
   * Quality of a pose (its flag, heat maps and the agreement of two crops, 0 to 1) from which
   * somebody new in a clip is believed. @default 0.3
   */
  minQuality?: number
  /** The same in a single picture (`tracking: false`). @default 0.18 */
  minQualityPhoto?: number
  /** One more crop from the auxiliary points of the first. @default true */
  refine?: boolean
  /** Frames from one full search of a clip to the next; 0: only when somebody is lost. @default 8 */
  searchEvery?: number
  /** Between searches, look where something moves that nobody known accounts for. @default true */
  watch?: boolean
  /** One-euro smoothing of keypoints and joints. @default false */
  smoothing?: boolean
  /** Bone lengths of a track held constant in `joints3d`. @default true */
  constantBones?: boolean
  /** Side of the heat-map window, cells; odd. @default 7 */
  heatmapKernel?: number
  /** A missed person gets `predicted` records for at most so many frames. @default 30 */
  maxPredicted?: number
  /** Each seen person's `segmentation` as well; costs up to twice the time. @default false */
  segmentation?: boolean
}

export interface EngineConfig {
  /** In this version `blazepose`, also as `auto`. @default 'auto' */
  model?: 'auto' | 'blazepose' | '4dhumans'
  /** Which landmark network; the same as `blazepose.variant`. @default 'full' */
  modelVariant?: 'fast' | 'lite' | 'full' | 'accurate' | 'heavy'
  /** `auto`, `cpu`, `cuda` or `cuda:N`. @default 'auto' */
  device?: string
  /** In this version `auto`: the model's own. */
  detector?: 'auto' | 'vitdet' | 'regnety' | 'full-image'
  detectorDevice?: string
  /** In this version `fp32`, also as `auto`. */
  precision?: 'auto' | 'fp32' | 'bf16' | 'fp16'
  /** Checked, but not acted on by this version: BlazePose needs little. */
  memoryBudgetMb?: number
  /** @default 20 */
  maxPersons?: number
  /** Frames accepted and not yet answered, over all calls; more reject with `ERR_POSE4D_QUEUE_FULL`. @default 1024 */
  maxQueuedFrames?: number
  /** Worker threads; 0: as many as there are cores. @default 0 */
  threads?: number
  /** A set the model does not measure is refused with `ERR_POSE4D_KEYPOINT_SET`. @default 'native' */
  keypoints?: 'native' | 'coco17' | 'openpose25' | 'smpl24' | 'blazepose33'
  cacheDir?: string
  smplPath?: string
  /** Pixels; without it assumed from the frame's size. */
  focalLength?: number
  /** Largest picture accepted, width times height. @default 268402689 */
  maxPixels?: number
  /** Largest encoded image accepted, bytes. @default 268435456 */
  maxImageBytes?: number
  /** One-euro smoothing; the same as `blazepose.smoothing`. @default false */
  smoothing?: boolean
  blazepose?: BlazePoseConfig
}

/** What ends a call early. */
export interface CallOptions {
  /** Aborting rejects with `signal.reason`; work not yet begun is dropped. */
  signal?: AbortSignal
  /** Rejects with `ERR_POSE4D_TIMEOUT` when it is over. */
  timeoutMs?: number
}

export interface ClipOptions {
  /** Frames per second, where frames have no `timestampMs`. @default 30 */
  fps?: number
  /** `false`: frames are independent of one another, as photos are. @default true */
  tracking?: boolean
  /** For models with a mesh; BlazePose has none. */
  mesh?: boolean
}

/** Of a call on a clip; what holds for the whole clip is settled by `openClip`. */
export interface ClipCallOptions extends CallOptions {
  mesh?: boolean
}

export interface ProcessOptions extends CallOptions, ClipOptions {}

export interface StreamOptions extends ProcessOptions {
  /** Frames on their way at once. @default threads + 9 */
  maxInFlight?: number
}

/** Frames that belong together over several calls. */
export declare class PoseClip {
  private constructor()
  /**
   * One result per frame, in the order given; people are followed in ascending `frameNumber` and
   * on from the last call. A call that rejects leaves the clip as it was before.
   */
  processFrames(frames: Frame[], options?: ClipCallOptions): Promise<PoseResult[]>
}

/** A loaded model. Made by `createEngine`. */
export declare class PoseEngine {
  private constructor()
  /** One result per frame, in the order given; the frames are a clip of their own. */
  processFrames(frames: Frame[], options?: ProcessOptions): Promise<PoseResult[]>
  /** A clip that goes on from call to call. */
  openClip(options?: ClipOptions): PoseClip
  /**
   * One result per frame, in order, as they come; the source is read only as fast as results are
   * taken. Leaving the loop early ends the work.
   */
  stream(
    frames: AsyncIterable<Frame> | Iterable<Frame> | ReadableStream<Frame>,
    options?: StreamOptions,
  ): AsyncGenerator<PoseResult, void, undefined>
  /** Builds the workers and sends one synthetic frame the whole way. */
  warmup(options?: CallOptions): Promise<WarmupReport>
  health(): Health
  /** `[F * 3]` vertex indices of the mesh; null for a model without one. */
  readonly meshFaces: Uint32Array | null
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

/** Makes the process-wide engine, with this configuration if it is the first use, and warms it up. */
export declare function warmup(config?: EngineConfig): Promise<WarmupReport>

/** Of the process-wide engine. */
export declare function health(): Health

/** A model file and whether it is there. */
export interface ModelStatus {
  name: string
  family: 'blazepose'
  file: string
  /** The npm package that brings it. */
  package: string
  licence: string
  path: string | null
  bytes: number | null
  available: boolean
}

export declare const models: {
  /** All model files. */
  list(): ModelStatus[]
  /** One of them, by its `name`. */
  status(name: string): ModelStatus
}

export interface OverlayOptions {
  /** @default true */
  boxes?: boolean
  /** Identity, score and source at the box. @default true */
  ids?: boolean
  /** Elbows and knees, none, or the joint angles named. @default true */
  angles?: boolean | string[]
  /** Keypoints below are not drawn. @default 0.1 */
  minConfidence?: number
  /** Lines and letters that many times as large as usual. @default 1 */
  scale?: number
  /** `rgb`: the bare pixels, row-major. @default 'png' */
  format?: 'png' | 'jpeg' | 'rgb'
  /** Of a JPEG, 1 to 100. @default 90 */
  quality?: number
}

/** The frame with its people drawn in. */
export declare function renderOverlay(
  frame: Omit<Frame, 'frameNumber'> & { frameNumber?: number },
  result: Pick<PoseResult, 'frameWidth' | 'frameHeight' | 'persons'>,
  options?: OverlayOptions,
): Promise<Buffer>

/** Versions, libtorch, devices and memory of this process. Loads no model. */
export declare function runtimeInfo(): RuntimeInfo

/** Of pose4d. */
export declare const version: string

/** The first person of a frame under the old pose service's field names. */
export interface LegacyPoseResult {
  frameNumber: number
  /** Pixels. */
  frameWidth: number
  /** Pixels. */
  frameHeight: number
  /** x, y in pixels; z in metres. */
  keypoints: Keypoint[]
  keypointCount: number
  has3d: boolean
  /** `[J][3]` metres, camera axes, origin at the pelvis. */
  joints3dRaw?: number[][]
  /** Degrees. */
  jointAngles3d?: Record<string, number>
  /** `[x, y, z]` metres. */
  cameraTranslation?: number[]
  trackingConfidence?: number
  /** How many there are. */
  meshVertices?: number
  /** `[V][3]` metres. */
  mesh_vertices_data?: number[][]
  /** `[F][3]` vertex indices. */
  mesh_faces_data?: number[][]
  processingTimeMs: number
  modelVersion: string
  error?: string
}

export declare function toLegacyResult(
  result: PoseResult,
  engine?: { readonly meshFaces: Uint32Array | null },
): LegacyPoseResult
