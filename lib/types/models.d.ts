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
