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

/** How 4D-Humans looks for people and follows them. */
export interface HumansConfig {
  /** Which released weights of HMR2: 2.0b as its demo, 2.0a as its paper. @default '2.0b' */
  weights?: '2.0a' | '2.0b'
  /**
   * ViTPose measures COCO's 17 keypoints in the image. `auto`: with the first of its model files
   * that is there (`vitpose-b` before others), if any; `off`; or the name of a model file, which
   * must be there.
   * @default 'auto'
   */
  vitpose?: string
  /**
   * Whose thresholds tell who is a person: `demo` (4D-Humans' demo, scores above 0.5) or `phalp`
   * (PHALP's tracking, above 0.8). @default 'demo'
   */
  preset?: 'demo' | 'phalp'
  /** Detector score, 0 to 1, above which somebody is a person; without it the preset's. */
  scoreThreshold?: number
  /** Intersection over union above which boxes are one; without it the detector's own. */
  nmsIou?: number
  /**
   * Crops of people in one forward pass, at most; the result does not depend on it. 0: 8 on the
   * CPU, 32 on a card. Halved when memory is short. @default 0
   */
  batchSize?: number
  /** A missed person gets `predicted` records for at most so many frames. @default 30 */
  maxPredicted?: number
  /**
   * Files of your own in the place of those in the cache, by the names of `pose4d models list`:
   * `{ hmr2: 'mine.ckpt', 'hmr2-config': 'mine.yaml' }`. Not held to the published size or hash.
   */
  files?: Record<string, string>
}

/** A named, ordered set of keypoints; docs/results.md lists them. */
export type KeypointSet =
  | 'native'
  | 'coco17'
  | 'openpose25'
  | 'smpl24'
  | 'smplx45'
  | 'hmr44'
  | 'blazepose33'

export interface EngineConfig {
  /**
   * `auto`: `4dhumans` where all the files it needs are cached, else `blazepose`. @default 'auto'
   */
  model?: 'auto' | 'blazepose' | '4dhumans'
  /** Which landmark network; the same as `blazepose.variant`. @default 'full' */
  modelVariant?: 'fast' | 'lite' | 'full' | 'accurate' | 'heavy'
  /** `auto`, `cpu`, `cuda` or `cuda:N`. @default 'auto' */
  device?: string
  /**
   * How 4D-Humans finds people. `auto`: ViTDet-H, or RegNetY where only that is there or memory is
   * short; `full-image`: nobody looks, each frame is taken for a picture of one person, and the
   * result says so (`boxSource`, `modelVersion`). BlazePose has its own. @default 'auto'
   */
  detector?: 'auto' | 'vitdet' | 'regnety' | 'full-image'
  /** Of 4D-Humans' detector, as `device`; `auto`: where the rest is, if it fits. @default 'auto' */
  detectorDevice?: string
  /**
   * Of 4D-Humans' networks. `auto`: bf16 on a card and on processors with AVX512-BF16, else fp32.
   * BlazePose has fp32. @default 'auto'
   */
  precision?: 'auto' | 'fp32' | 'bf16' | 'fp16'
  /**
   * MB (2²⁰ bytes) of RAM that this process may hold when 4D-Humans is loaded, beside the limits of
   * machine and cgroup. What does not fit is made to, or refused with `ERR_POSE4D_MEMORY`
   * (`health().memoryPlan`).
   */
  memoryBudgetMb?: number
  /** Most people in a frame, the surest first; boxes that you give are not counted. @default 20 */
  maxPersons?: number
  /** Frames accepted and not yet answered, over all calls; more reject with `ERR_POSE4D_QUEUE_FULL`. @default 1024 */
  maxQueuedFrames?: number
  /**
   * Worker threads; 0: as many as there are cores. With 4D-Humans also the threads inside an
   * operator on the CPU. @default 0
   */
  threads?: number
  /**
   * `native` is `blazepose33`, with 4D-Humans `hmr44`. A set the model does not measure is refused
   * with `ERR_POSE4D_KEYPOINT_SET`. @default 'native'
   */
  keypoints?: KeypointSet
  /** Folder of the model cache; without it `POSE4D_CACHE_DIR`, or the user's cache folder. */
  cacheDir?: string
  /** Your own SMPL model for 4D-Humans, used where it lies. */
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
  humans?: HumansConfig
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
  /** Meshes in the results, of a model that has them; BlazePose has none. @default true */
  mesh?: boolean
  /**
   * `offline`: at its end the clip is gone over again, when both sides of every gap are known.
   * Frames between two sights of a person, broken ones too, get a record with `source:
   * 'interpolated'` (rotations and bones, not points of the surface, follow a curve that leaves and
   * arrives with the velocity seen there), and sights from before a person was believed are told.
   * Of a call on an engine that is the answer; of a clip, see `PoseClip.finish`. What was seen is
   * never changed. @default 'online'
   */
  mode?: 'online' | 'offline'
}

/** Of a call on a clip; what holds for the whole clip is settled by `openClip`. */
export interface ClipCallOptions extends CallOptions {
  /** For this call in the place of what the clip was opened with. */
  mesh?: boolean
}

export interface ProcessOptions extends CallOptions, ClipOptions {}

export interface StreamOptions extends Omit<ProcessOptions, 'mode'> {
  /** Frames on their way at once. @default threads + 9 */
  maxInFlight?: number
}

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

/** Makes the process-wide engine, with this configuration if it is the first use, and warms it up. */
export declare function warmup(config?: EngineConfig): Promise<WarmupReport>

/** Of the process-wide engine. */
export declare function health(): Health

/** A kind of weights file: `pt` (PyTorch), `pkl` (pickled numpy arrays), `h5` (HDF5), `safetensors`. */
export type WeightsFormat = 'pt' | 'pkl' | 'h5' | 'safetensors'

/** Of real numbers; everything else keeps its type. */
export type WeightsDtype = 'fp32' | 'fp16' | 'bf16' | 'fp64'

/** Which cache is meant, and whether the network may be used. */
export interface ModelsOptions {
  /**
   * Folder of the model cache; made when something is written to it. Files that the Python tools
   * left in their own places are found all the same (docs/models.md).
   * @default POSE4D_CACHE_DIR, or else `4d-humans` in the user's cache folder
   */
  cacheDir?: string
  /** Nothing is fetched: what is missing rejects with `ERR_POSE4D_OFFLINE`. @default POSE4D_OFFLINE */
  offline?: boolean
  /** The user's own SMPL model, used where it lies. */
  smplPath?: string
}

/** Of what takes its time. It runs on a thread of its own, beside everything else. */
export interface ModelsTaskOptions extends ModelsOptions {
  /** Aborting rejects with `signal.reason`; what is done so far is kept for the next attempt. */
  signal?: AbortSignal
  /** Told of each phase's begin and end, and at most ten times a second in between. */
  onProgress?: (progress: ModelProgress) => void
}

/** How far a task is. */
export interface ModelProgress {
  /** What is being done to the file, such as `download`, `verify`, `unpack`, `convert`. */
  phase: string
  /** The model, by its `name`; absent for files that belong to none. */
  model?: string
  /** Its file name. */
  file: string
  /** Bytes done. */
  loaded: number
  /** Bytes in all; absent where nobody knows. */
  total?: number
  /** Over the last seconds. */
  bytesPerSecond?: number
  etaSeconds?: number
}

/** A tensor in a file. */
export interface TensorInfo {
  /** Keys of the state dict, joined by dots. */
  name: string
  shape: number[]
  /** As PyTorch and numpy name it: `float32`, `bfloat16`, `int64`, … */
  dtype: string
  bytes: number
  /** Of the elements, row-major and little-endian: the same for equal tensors in all formats. */
  sha256?: string
}

/** What is in a file of weights. */
export interface Inspection {
  path: string
  /** What the file turned out to be, whatever it is called. */
  format:
    | 'torch-zip'
    | 'torch-legacy'
    | 'torch-script'
    | 'pickle'
    | 'npy'
    | 'npz'
    | 'safetensors'
    | 'hdf5'
    | 'tflite'
    | 'tar'
    | 'yaml'
  /** Of the file (unpacked, where it was compressed). */
  bytes: number
  /** The key that held the weights, such as `state_dict`; empty when they lie at the top. */
  root: string
  tensors: TensorInfo[]
  /** Tensors beside the weights, by their full path: optimizer states, callbacks. */
  others: TensorInfo[]
  /** Plain values beside the tensors, and the whole of a configuration file. */
  values: Record<string, unknown>
  /** Objects of other programs, by their class: never made, only named. */
  opaque: { path: string; class: string }[]
}

export interface InspectOptions {
  /** `false`: names and shapes only, without reading every byte. @default true */
  hashes?: boolean
  signal?: AbortSignal
  onProgress?: (progress: ModelProgress) => void
}

export interface ConvertOptions extends ModelsTaskOptions {
  /** @default by the output's extension */
  format?: WeightsFormat
  /** @default as in the input */
  dtype?: WeightsDtype
}

/** A file that was written. */
export interface WrittenFile {
  path: string
  bytes: number
  sha256: string
}

/** Where a model file comes from. */
export type ModelSource =
  /** Fetched from `urls`. */
  | 'download'
  /** Unpacked from the model file `archive`. */
  | 'archive'
  /** Brought by the npm package `package`. */
  | 'package'
  /** Under a licence that only the user can accept: never fetched, see `models.import`. */
  | 'user'

/**
 * What can be said of a file. `verified`: every byte was looked at, and it has not changed since;
 * `unverified`: right size, and it opens; the others cannot be used.
 */
export type ModelState =
  | 'verified'
  | 'unverified'
  | 'missing'
  | 'corrupt'
  | 'different'
  | 'unreadable'
  | 'hostile'

/** On what a file is believed: a published hash, the hash it had when it came, what is in it. */
export type ModelTrust = 'published' | 'recorded' | 'structure'

/** A model file and whether it is there. */
export interface ModelStatus {
  name: string
  /** Other names it can be asked for by. */
  aliases: string[]
  family: string
  /** The network within the family, as warm-up reports name it. */
  component: string
  purpose: string
  source: ModelSource
  /** The npm package that brings it. */
  package?: string
  archive?: string
  /** Upstream's file name. */
  file: string
  /** Upstream first, then mirrors. */
  urls: string[]
  /** Published size, bytes; `exact`: to the byte. */
  expectedBytes: number | null
  exact: boolean
  sha256?: string
  licence: string
  licenceNote?: string
  /** Whether there is a file that can be used. */
  available: boolean
  state: ModelState
  trust: ModelTrust | null
  path: string | null
  /** Links resolved. */
  realPath: string | null
  /** Whose folder it is in: `cache`, `given`, `4dhumans`, `phalp`, `iopath`, `torch-hub`, … */
  origin: string | null
  bytes: number | null
  /** The file and its fast forms. */
  formats: { format: string; path: string; bytes: number; precision?: 'fp32' | 'bf16' | 'fp16' }[]
  /** What is wrong where it is not available, and what to do about it. */
  problem: string | null
  remedy: string | null
}

/** What reading every byte of a file told. */
export interface VerifiedFile {
  name: string
  path: string
  origin: string
  bytes: number | null
  ok: boolean
  sha256: string | null
  /** Why it is believed. */
  trust: ModelTrust | null
  /** What is wrong, and in words. */
  wrong: 'corrupt' | 'different' | 'unreadable' | 'hostile' | null
  problem: string | null
}

export interface VerifyReport {
  /** Whether every file is sound. */
  ok: boolean
  /** One for each file found; models of which nothing is found are left out. */
  files: VerifiedFile[]
}

/** A model's files in the cache. Megabytes are of 1024 * 1024 bytes, as the old manager's were. */
export interface CachedModel {
  /** By extension. */
  formats: Record<string, { sizeMb: number; bytes: number; path: string; lastModified: string }>
  totalSizeMb: number
  /** ISO 8601, UTC. */
  lastModified: string
  /** A file of no model of the manifest. */
  unknown: boolean
}

/** What the cache folder holds. */
export interface CacheInfo {
  cacheDir: string
  models: Record<string, CachedModel>
  totalSizeMb: number
  totalFiles: number
  /** Files per extension. */
  formats: Record<string, number>
  /** `large`: more than 5000 MB; `cluttered`: more than 50 files. */
  cacheHealth: 'good' | 'large' | 'cluttered'
  /** With `detailed`: models used where other tools put them, not counted above. */
  found?: Record<string, CachedModel>
  /** With `detailed`. */
  stats?: {
    totalModels: number
    totalSizeMb: number
    totalFiles: number
    formats: Record<string, number>
    averageModelSizeMb: number
    largestModel: { name: string; sizeMb: number } | null
    smallestModel: { name: string; sizeMb: number } | null
    cacheHealth: 'good' | 'large' | 'cluttered'
  }
}

/** What was removed from the cache folder, and what was not. */
export interface ClearReport {
  filesRemoved: number
  spaceFreedMb: number
  removed: string[]
  kept: { path: string; reason: string }[]
  errors: string[]
}

/** What tidying the cache folder did, or would do. */
export interface OptimizeReport {
  filesChecked: number
  filesRemoved: number
  spaceFreedMb: number
  errors: string[]
  dryRun: boolean
  removed: { path: string; bytes: number; reason: string }[]
  kept: { path: string; reason: string }[]
  /** Paths of the fast forms that were written. */
  fastForms: string[]
}

export interface OptimizeOptions extends ModelsTaskOptions {
  /** Tell what would be done, and do nothing. @default false */
  dryRun?: boolean
  /** Remove archives of which everything is unpacked, too. @default false */
  archives?: boolean
}

export interface ImportOptions extends ModelsTaskOptions {
  /** Leave the file where it is, and link to it. @default false */
  link?: boolean
  /** Take it although it has not the published size or hash: weights of one's own. @default false */
  force?: boolean
}

/** A file taken into the cache. */
export interface ImportedFile {
  name: string
  path: string
  bytes: number
  sha256: string
  /** Written anew in the format the model is kept in. */
  converted: boolean
  linked: boolean
  warnings: string[]
}

/**
 * Model files: the cache, and files of weights in general. Mistakes in options and unknown names
 * throw or reject with a `Pose4DError` (docs/errors.md); where files lie: docs/models.md.
 */
export declare const models: {
  /**
   * Every model file of the manifest, or those that `names` mean (models or whole sets). Looks at
   * sizes and headers only.
   * @example models.list({ names: ['4dhumans'] }).filter((model) => !model.available)
   */
  list(options?: ModelsOptions & { names?: string[] }): ModelStatus[]
  /** One of them, by its `name` or an alias; throws `ERR_POSE4D_MODEL_UNKNOWN`. */
  status(name: string, options?: ModelsOptions): ModelStatus
  /** What the cache folder holds, per model and format; `detailed` adds statistics. */
  info(options?: ModelsOptions & { detailed?: boolean; signal?: AbortSignal }): Promise<CacheInfo>
  /**
   * Fetches files, or whole sets of them (`4dhumans`, `midas`, …), verifies and unpacks them. What
   * is there already is not fetched again; an interrupted download goes on where it was. Files under
   * a licence that only the user can accept are left out of sets, and by name reject with
   * `ERR_POSE4D_LICENCE`.
   * @example await models.download('dpt-large', { onProgress: ({ loaded, total }) => {} })
   */
  download(names: string | string[], options?: ModelsTaskOptions): Promise<ModelStatus[]>
  /** Reads every byte of what is there (or only of `names`) and compares it with what it must be. */
  verify(names?: string | string[], options?: ModelsTaskOptions): Promise<VerifyReport>
  /**
   * Removes partial and corrupt files and duplicates from the cache folder and writes the fast
   * forms that are missing. Never removes what it merely cannot read.
   */
  optimize(options?: OptimizeOptions): Promise<OptimizeReport>
  /** Removes one model from the cache folder, or with `confirm: true` all of them. */
  clear(options: ModelsOptions & { model?: string; confirm?: boolean }): Promise<ClearReport>
  /** Writes a model to a file (or into a folder), as it is or in another format. */
  export(
    name: string,
    path: string,
    format?: WeightsFormat,
    options?: ModelsTaskOptions,
  ): Promise<WrittenFile & { name: string; converted: boolean }>
  /**
   * Takes a file into the cache as the model `name`, after a look at what is in it.
   * @example await models.import('basicModel_neutral_lbs_10_207_0_v1.0.0.pkl', 'smpl-neutral')
   */
  import(path: string, name: string, options?: ImportOptions): Promise<ImportedFile>
  /**
   * Makes models ready for use: fetches, verifies, unpacks, writes the fast form, and loads every
   * weight once as the networks would. What is missing or wrong is in the report.
   */
  prepare(names: string | string[], options?: PrepareOptions): Promise<PrepareReport>
  /**
   * What is in a file of weights of any format. Nothing in it is executed.
   * @example const { tensors } = await models.inspect('epoch=35-step=1000000.ckpt', { hashes: false })
   */
  inspect(file: string, options?: InspectOptions): Promise<Inspection>
  /**
   * Writes the weights of a file (or of a model, by its name) in another format or precision; what
   * lies beside the weights is left out.
   * @example await models.convert('model_final.pkl', 'model.safetensors', { dtype: 'bf16' })
   */
  convert(
    input: string,
    output: string,
    options?: ConvertOptions,
  ): Promise<WrittenFile & { input: string }>
}

export interface PrepareOptions extends ModelsTaskOptions {
  /** The working precision. @default 'auto': as the manifest says */
  precision?: 'auto' | 'fp32' | 'bf16' | 'fp16'
  /** `auto`, `cpu`, `cuda` or `cuda:N`. @default 'auto': the first card, if there is one */
  device?: string
  /** Threads that read; 0: as many as there are cores. @default 0 */
  threads?: number
}

/** How far one model file got. */
export interface PreparedFile {
  name: string
  component: string
  status: 'ready' | 'missing' | 'failed'
  /** The file to load: the fast form where there is one. */
  path: string | null
  bytes: number | null
  /** Of the fast form. */
  precision: 'fp32' | 'bf16' | 'fp16' | null
  sourcePath: string | null
  origin: string | null
  downloaded: boolean
  unpacked: boolean
  /** The fast form was written just now. */
  converted: boolean
  /** Of all that, without the loading. */
  seconds: number
  /** Of a `Pose4DError`, and its message. */
  code: string | null
  problem: string | null
}

/** What `models.prepare` did, by network. */
export interface PrepareReport {
  /** `ready`: every network's weights are loaded; `partial`: some; `error`: none. */
  status: 'ready' | 'partial' | 'error'
  /** Says also whether a frame was run: of 4D-Humans one is, through every network. */
  message: string
  models: Record<string, ModelWarmup & { files: PreparedFile[] }>
  /** How the networks were made to fit into memory, where a frame was run. */
  memoryPlan?: MemoryPlan
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

/** What gives SMPL bodies: a `PoseEngine` with 4D-Humans, or what `loadBody` read. */
export interface BodySource {
  bodyModel(betas?: Float32Array | number[]): BodyModel | null
}

/**
 * Reads the user's SMPL model by itself, without an engine: `smplPath`, else the one in the cache. Rejects with
 * `ERR_POSE4D_LICENCE` where there is none, `ERR_POSE4D_MODEL_FILE` where it is no SMPL body.
 */
export declare function loadBody(options?: ModelsOptions): Promise<BodySource>

/** A result as `exportPoses` takes it: the time and the file of its frame may stand beside it. */
export type ExportableResult = Pick<
  PoseResult,
  'frameNumber' | 'frameWidth' | 'frameHeight' | 'persons'
> &
  Partial<PoseResult> & {
    /** Milliseconds; without it `frameNumber / fps` counts. */
    timestampMs?: number
    /** Name of the photo. */
    file?: string
  }

/**
 * `json`, `jsonl`: everything, as the command line writes it (docs/cli.md). `csv`: joint angles, degrees, a row per
 * person and frame. `npz`: everything as numpy arrays. `pkl`: the layout of PHALP's results. `glb`: an animated
 * glTF scene. `bvh`: skeletons with their motion. `html`: a report. Fields, axes and units: docs/exports.md.
 */
export type ExportFormat = 'json' | 'jsonl' | 'csv' | 'npz' | 'pkl' | 'glb' | 'bvh' | 'html'

export interface ExportOptions {
  /** @default by the name of the file */
  format?: ExportFormat
  /** Frames per second, for frames without `timestampMs`. @default 30 */
  fps?: number
  /** `false`: photos, of which `trackId` means nothing beyond each; glb and bvh take one. @default true */
  tracking?: boolean
  /** Only the person with this `trackId`. */
  track?: number
  /**
   * Whose SMPL body it is: glb shows its skin. Without it SMPL people are figures of sticks, on the joints that
   * `smpl24` or `smplx45` give.
   */
  body?: BodySource
  /**
   * glb, bvh. `camera`: people are where the camera saw them, who has no `camera` is left out; `person`: each
   * with the origin of their own `joints3d`. @default 'camera'
   */
  space?: 'camera' | 'person'
  /**
   * glb, of SMPL. `frame`: bones are as long as in each frame, so that joints are where `joints3d` has them;
   * `mean`: as the mean shape of the track has them. bvh has `mean`. @default 'frame'
   */
  shape?: 'frame' | 'mean'
  /** npz: the vertices too, `[R, 6890, 3]`. @default false */
  mesh?: boolean
  /** pkl: a frame's key. @default its `file`, else `000001.jpg` for frame 0, as PHALP names extracted frames */
  framePath?: (frame: { number: number; file?: string }) => string
  /** json, jsonl: fields of the head, such as `source`. */
  header?: Record<string, unknown>
  /** html: small pictures (JPEG or PNG) of some frames. */
  thumbnails?: { frameNumber: number; image: Uint8Array }[]
  /** html. @default the name of the file */
  title?: string
  /** Aborting rejects with `signal.reason`; json and jsonl files say that they are not complete. */
  signal?: AbortSignal
}

/** What was written, and what was not. */
export interface ExportSummary {
  format: ExportFormat
  /** More than one only of bvh: one per person and run of frames without a gap. */
  files: string[]
  /** Results taken in. */
  frames: number
  /** Of those, with an `errorCode`. */
  failedFrames: number
  /** A record is a person in a frame. */
  records: number
  written: number
  /** How many records are not in the file, and why. Nothing is made up for them. */
  leftOut: Partial<Record<'otherTrack' | 'noJoints3d' | 'noSmpl' | 'noCamera', number>>
  tracks: { trackId: number; records: number; written: number }[]
}

/**
 * Writes results to a file that other programs read. Takes an array, `engine.stream(…)` or what `readPoses` gives; json
 * and jsonl are written as results come, the others once all are there.
 *
 * Rejects with `ERR_POSE4D_EXPORT_EMPTY` where glb or bvh would show nobody, `ERR_POSE4D_CACHE_IO` where the file
 * cannot be written, `ERR_POSE4D_INVALID_ARGUMENT` for wrong options, frames that are there twice, or times that go
 * backwards.
 * @example await exportPoses(engine.stream(frames), 'run.glb', { body: engine })
 * @example const { leftOut } = await exportPoses(results, 'angles.csv', { fps: 25 })
 */
export declare function exportPoses(
  results: Iterable<ExportableResult> | AsyncIterable<ExportableResult>,
  target: string,
  options?: ExportOptions,
): Promise<ExportSummary>

/**
 * Reads a file of results (`pose4d process --out`, or formats json and jsonl): what its head says, and its frames one
 * after the other, with typed arrays. JSON Lines of any length are read line by line. Rejects, or throws while it is
 * read, with `ERR_POSE4D_RESULTS_FILE`.
 * @example await exportPoses((await readPoses('poses.jsonl')).results, 'poses.npz')
 */
export declare function readPoses(path: string): Promise<{
  header: Record<string, unknown>
  results: AsyncGenerator<PoseResult & { timestampMs?: number; file?: string }, void, undefined>
}>

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
  /** `[J][3]` metres, camera axes, as `joints3d`. */
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
