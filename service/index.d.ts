/** `pose4d/service`: the old pose service's endpoints, and its process pool, on the engine. */
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { EngineConfig, Keypoint, LegacyPoseResult, PoseEngine } from '../index.js'

/** docs/service.md */
export interface ServiceOptions {
  /** Used, and not closed with the service. */
  engine?: PoseEngine
  /**
   * Of the engine that is made otherwise. Without `keypoints`, 4D-Humans has `smpl24`, whose names old
   * clients read.
   */
  engineConfig?: EngineConfig
  /** Load and warm up the model at the start, in the background. @default true */
  warmup?: boolean
  /** The old service's wrong joint names, with 4D-Humans (docs/migration.md). @default false */
  legacyNames?: boolean
  /** Requests at work at once. @default 4 */
  concurrency?: number
  /** Requests that wait; more are answered with 429. @default 100 */
  maxQueue?: number
  /** Of these, of one client (`x-client-id`, else the address). @default maxQueue */
  maxQueuePerClient?: number
  /** Milliseconds until a request is given up, waiting included. @default 120000 */
  timeoutMs?: number
  /** Largest body with a picture. @default 64 MB */
  maxBodyBytes?: number
  /** Largest picture, width times height; of the engine that the service makes. @default 64000000 */
  maxPixels?: number
  /** Milliseconds in which the head of a request must be here. @default 10000 */
  headerTimeoutMs?: number
  /** Milliseconds in which a body must be here. @default 60000 */
  bodyTimeoutMs?: number
  /** The same of a video. @default 3600000 */
  uploadTimeoutMs?: number
  /** Bodies that come more slowly, after ten seconds, are cut off. @default 1024 */
  minBytesPerSecond?: number
  /** @default 1024 */
  maxConnections?: number
  /** Milliseconds that accepted work has when the service closes. @default 30000 */
  drainMs?: number
  /** Everybody must send `Authorization: Bearer <token>`, but for health and page. */
  token?: string
  /** Names beside `localhost` and addresses by which a service without a token is asked for. */
  hosts?: string[]
  /** Origins of web pages, beside its own, that may ask. */
  origins?: string[]
  /** Folders below which requests may name files. @default none */
  roots?: string[]
  /** Video endpoints. @default true */
  jobs?: boolean
  /**
   * `redis://…` or `rediss://…`: video jobs are kept there and worked off by `pose4d worker` on any number of
   * machines that see the same files (docs/service.md).
   */
  redis?: string
  /** Where video jobs, uploads and drawn videos are kept. @default in the user's cache folder */
  dataDir?: string
  /** Largest uploaded video. @default 2 GB */
  maxVideoBytes?: number
  /** Video jobs that wait. @default 100 */
  maxJobs?: number
  /** Days after which a job that ended is removed with its files. @default 30 */
  keepJobsDays?: number
  /** Of the model cache's endpoints. @default that of engineConfig */
  cacheDir?: string
  /** `true`, pino's options, or a logger with pino's methods. @default false */
  logger?: boolean | Record<string, unknown> | FastifyBaseLogger
  /** The web page at `/`. @default true */
  web?: boolean
}

/**
 * The service as a fastify instance that does not listen yet. `close()` finishes what is accepted, within
 * `drainMs`.
 * @example
 * const app = await createServer({ roots: ['/srv/videos'], logger: true })
 * await app.listen({ port: 5000 })
 */
export declare function createServer(options?: ServiceOptions): Promise<FastifyInstance>

/** A frame as the old pool's clients send it. */
export interface PoolFrame {
  frameNumber: number
  imageBase64?: string
  imagePath?: string
}

/** As the old pool answered: a frame that failed has `error`. */
export type PoolResult = LegacyPoseResult

export interface PoolStatus {
  activeProcesses: number
  queuedRequests: number
  totalProcessed: number
  totalErrors: number
  /** Milliseconds. */
  uptime: number
}

export interface PoolConfig {
  /** Requests at work at once. @default 2 */
  maxConcurrentProcesses?: number
  /** Requests that wait. @default 100 */
  queueMaxSize?: number
  /** Milliseconds for a request once it is at work. @default 120000 */
  processTimeoutMs?: number
  /** Used, and not closed with the pool. */
  engine?: PoseEngine
  /** Of the engine that is made with the first request otherwise. */
  engineConfig?: EngineConfig
  /** The frames of one request are a clip. @default false: each is by itself, as of old */
  tracking?: boolean
  /** Vertices and faces. @default true */
  mesh?: boolean
  /** The old service's wrong joint names, with 4D-Humans. @default false */
  legacyNames?: boolean
  /** Of the old pool; means nothing here. */
  pythonServicePath?: string
  /** Of the old pool; means nothing here. */
  useHttpService?: boolean
  /** Of the old pool; means nothing here. */
  debug?: boolean
}

/** The old `ProcessPoolManager`'s methods and errors, without processes. */
export declare class PoseProcessPool {
  constructor(config?: PoolConfig)
  /**
   * One result for each frame, in order. Rejects with `Queue full (max N requests)`, `Pool is shutting
   * down`, `Pool is shutting down, not accepting new requests` or `Process timeout after Nms`.
   */
  processRequest(frames: PoolFrame[]): Promise<PoolResult[]>
  /** The same, under the name of the old wrappers. */
  getPoseInfo(frames: PoolFrame[]): Promise<PoolResult[]>
  getStatus(): PoolStatus
  /** Rejects what waits, and waits for what runs, half a minute at most. */
  shutdown(): Promise<void>
  /** The same, under the name of the old wrappers. */
  cleanup(): Promise<void>
}

export type { Keypoint }
