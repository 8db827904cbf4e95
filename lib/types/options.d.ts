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
  /**
   * What `engine.lookAtFrames` gave for this very frame. One of another frame, model or setting is this
   * frame's `ERR_POSE4D_LOOK`.
   */
  look?: Uint8Array
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
  /** As the engine's `smoothing`: keypoints and joints. @default false */
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
  /** As the engine's `smoothing`: rotations, place and shape. @default false */
  smoothing?: boolean
  /**
   * What people are followed by. `phalp`: predicted place, pose and appearance, by PHALP's networks,
   * whose files must be there; somebody missed then has a predicted body with mesh and camera.
   * `joints`: projected joints and boxes. `auto`: `phalp` where all its files are there.
   * @default 'auto'
   */
  tracker?: 'auto' | 'phalp' | 'joints'
  /** How `phalp` weighs place, pose and appearance: fitted to PoseTrack, or to AVA's films. @default 'posetrack' */
  trackerPreset?: 'posetrack' | 'ava'
  /**
   * Files of your own in the place of those in the cache, by the names of `pose4d models list`:
   * `{ hmr2: 'mine.ckpt', 'hmr2-config': 'mine.yaml' }`. Not held to the published size or hash.
   */
  files?: Record<string, string>
}

/** Which depth network runs and how; it is loaded when it is first asked for. */
export interface DepthConfig {
  /** Where a call does not say. @default 'DPT_Large' */
  model?: 'DPT_Large' | 'DPT_Hybrid' | 'MiDaS' | 'MiDaS_small'
  /** `auto`: the engine's, and where that is `auto` too bf16 where it is fast, else fp32. @default 'auto' */
  precision?: 'auto' | 'fp32' | 'bf16' | 'fp16'
  /** Frames in one run, at most; the result does not depend on it. 0: 1 on the CPU, 8 on a card. @default 0 */
  batchSize?: number
  /** Attention heads of a DPT file of your own whose width no released one has: no tensor tells them. */
  heads?: number
  /**
   * Files of your own in the place of those in the cache, by model: `{ DPT_Large: 'mine.pt' }`. Any format of
   * `pose4d models inspect`; not held to the published size or hash.
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
  /**
   * Motion without tremble, for whatever model runs: keypoints and joints, with 4D-Humans the rotations, place
   * and shape of the body, which is posed anew. `online` by one-euro filters (with BlazePose MediaPipe's),
   * which lag behind a little; `offline` from both sides. Boxes and identities are untouched, and what was
   * measured stays in `raw`. @default false
   */
  smoothing?: boolean
  blazepose?: BlazePoseConfig
  humans?: HumansConfig
  /** Of `estimateDepth`, and of `depth: true`. */
  depth?: DepthConfig
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
   * never changed. People are looked for backward from where they were first, or again, seen, at most
   * `maxPredicted` frames and never across a cut. @default 'online'
   */
  mode?: 'online' | 'offline'
  /**
   * A depth map of every frame as well: people are ordered from front to back (`depthOrder`, `depth`), and
   * the map is fitted to their distances (`PoseResult.depth`). The map itself is not kept. @default false
   */
  depth?: boolean
  /** By which network; without it that of the engine's configuration. */
  depthModel?: 'DPT_Large' | 'DPT_Hybrid' | 'MiDaS' | 'MiDaS_small'
}

/** Of a call on a clip; what holds for the whole clip is settled by `openClip`. */
export interface ClipCallOptions extends CallOptions {
  /** For this call in the place of what the clip was opened with. */
  mesh?: boolean
}

/** Of `lookAtFrames`; `mesh` and `tracking` as the clip has them that is to follow. */
export interface LookOptions extends CallOptions {
  /** Frames of the clip before the first of these, good and bad. @default 0 */
  startIndex?: number
  mesh?: boolean
  tracking?: boolean
}

export interface ProcessOptions extends CallOptions, ClipOptions {}

export interface ClipStart extends ClipOptions {
  /**
   * What `clip.snapshot()` gave: the clip goes on where that was taken, with the settings it was opened
   * with, so that no other option may stand beside it. The engine must have the same model and
   * keypoints.
   */
  snapshot?: Uint8Array
}

/**
 * With `mode: 'offline'` the results come when the source has ended, gone over again; until then they are
 * kept, without meshes, which are posed anew.
 */
export interface StreamOptions extends ProcessOptions {
  /** Frames on their way at once. @default threads + 9 */
  maxInFlight?: number
}
