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
  /** The same camera as weak perspective of the square around the person, as HMR2 crops it. */
  cameraParams?: { scale: number; tx: number; ty: number; type: 'weak_perspective' }
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

/**
 * `legacyNames`: the old service's names, SMPL's on the first 24 of HMR2's 44 joints, with its angles
 * between them (docs/migration.md); throws where the joints are others.
 */
export declare function toLegacyResult(
  result: PoseResult,
  engine?: { readonly meshFaces: Uint32Array | null },
  options?: { legacyNames?: boolean },
): LegacyPoseResult
