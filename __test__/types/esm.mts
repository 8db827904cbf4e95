// The public types, as a module sees them: the names and shapes that callers rely on.

import {
  type ClipSummary,
  createEngine,
  type DepthResult,
  type EngineConfig,
  type ExportSummary,
  type estimateDepth,
  exportPoses,
  type Frame,
  type HumansConfig,
  health,
  type Inspection,
  type Keypoint,
  loadBody,
  type ModelProgress,
  type ModelStatus,
  type ModelsTaskOptions,
  models,
  type Person,
  PoseEngine,
  type PoseResult,
  PoseVideo,
  type processFrames,
  readPoses,
  toLegacyResult,
  type VideoOptions,
  warmup,
} from 'pose4d'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_T extends true>() => {}

holds<Same<Frame['frameNumber'], number>>()
holds<Same<Frame['imageBase64'], string | undefined>>()
holds<Same<Frame['image'], Uint8Array | undefined>>()
holds<Same<Keypoint['confidence'], number>>()
holds<Same<Keypoint['z'], number | undefined>>()
holds<Same<Person['trackId'], number>>()
holds<Same<Person['box'], Float32Array>>()
holds<Same<Person['source'], 'detected' | 'recovered' | 'predicted' | 'interpolated'>>()
holds<Same<Person['joints3d'], Float32Array | undefined>>()
holds<Same<Person['jointAngles3d'], Record<string, number> | undefined>>()
holds<Same<Person['boxSource'], 'vitdet' | 'regnety' | 'full-image' | 'given' | undefined>>()
holds<Same<Person['keypointSource'], 'measured' | 'projected' | undefined>>()
holds<Same<NonNullable<Person['mesh']>['vertices'], Float32Array>>()
holds<Same<NonNullable<Person['smpl']>['bodyPose'], Float32Array>>()
holds<Same<EngineConfig['detector'], 'auto' | 'vitdet' | 'regnety' | 'full-image' | undefined>>()
holds<Same<HumansConfig['preset'], 'demo' | 'phalp' | undefined>>()
holds<Same<PoseResult['persons'], Person[]>>()
holds<Same<PoseResult['timings'], Record<string, number>>>()
holds<Same<PoseResult['errorCode'], string | undefined>>()
holds<Same<EngineConfig['model'], 'auto' | 'blazepose' | '4dhumans' | undefined>>()
holds<Same<EngineConfig['precision'], 'auto' | 'fp32' | 'bf16' | 'fp16' | undefined>>()
holds<Same<Person['depthOrder'], number | undefined>>()
holds<Same<NonNullable<PoseResult['depth']>['model'], DepthResult['model']>>()
holds<Same<DepthResult['depth'], Float32Array | undefined>>()
holds<Same<ReturnType<typeof estimateDepth>, Promise<DepthResult[]>>>()
holds<Same<ReturnType<PoseEngine['estimateDepth']>, Promise<DepthResult[]>>>()
holds<Same<ReturnType<typeof createEngine>, Promise<PoseEngine>>>()
holds<Same<ReturnType<typeof processFrames>, Promise<PoseResult[]>>>()

const frames: Frame[] = [
  { frameNumber: 0, imagePath: 'a.jpg' },
  { frameNumber: 1, pixels: new Uint8Array(3), width: 1, height: 1 },
  { frameNumber: 2, image: Buffer.from('') },
]

export async function everyday(): Promise<void> {
  const engine = await createEngine({ threads: 2, keypoints: 'coco17' })
  const { signal } = new AbortController()
  const results = await engine.processFrames(frames, { signal, timeoutMs: 1000, mesh: false })
  for (const { frameNumber, persons, error } of results) {
    const first: Person | undefined = persons[0]
    const name: string | undefined = first?.keypoints[0]?.name
    void [frameNumber, error, name]
  }
  const clip = engine.openClip()
  const more: PoseResult[] = await clip.processFrames(frames)
  const snapshot: Uint8Array = await clip.snapshot({ timeoutMs: 1000 })
  void engine.openClip({ snapshot })
  const looks = await engine.lookAtFrames(frames, { startIndex: 32, mesh: false, signal })
  const look: Uint8Array | undefined = looks[0]?.look
  void [
    clip.processFrames([{ ...frames[0], frameNumber: 9, look }]),
    engine.lookKey satisfies string,
  ]
  for await (const { persons } of engine.stream(frames, { mode: 'offline' })) void persons
  void engine.processVideo('clip.mp4', { mode: 'offline' })
  async function* source(): AsyncGenerator<Frame> {
    yield* frames
  }
  for await (const result of engine.stream(source())) void result.frameWidth
  const report = await engine.warmup()
  const status: string = report.status
  const faces: Uint32Array | null = engine.meshFaces
  void [more, status, faces, engine.health(), health(), models.list, models.status]
  void toLegacyResult(results[0] as PoseResult)
  await engine.close()
  await warmup()
}

export async function bodies(): Promise<void> {
  const humans: HumansConfig = { preset: 'phalp', files: { hmr2: 'a.ckpt' }, batchSize: 4 }
  const config: EngineConfig = { model: '4dhumans', detector: 'regnety', precision: 'bf16', humans }
  const engine = await createEngine({ ...config, keypoints: 'smpl24', smplPath: 'smpl.pkl' })
  const clip = engine.openClip({ mesh: false })
  const [result] = await clip.processFrames(frames, { mesh: true })
  const vertices: Float32Array | undefined = result?.persons[0]?.mesh?.vertices
  const bytes: number | undefined = engine.health().models?.hmr2?.bytes
  const batch: number | undefined = engine.health().memoryPlan?.batch
  const precision: 'fp32' | 'bf16' | 'fp16' | undefined = (await engine.warmup()).models.hmr2
    ?.precision
  void [vertices, bytes, batch, precision]
}

export async function modelFiles(): Promise<void> {
  const { signal } = new AbortController()
  const listed: ModelStatus[] = models.list({ cacheDir: '/tmp/models', names: ['4dhumans'] })
  const path: string | null = models.status('hmr2').path
  const onProgress = ({ phase, file, loaded, total, etaSeconds }: ModelProgress): void => {
    const share: number = loaded / (total ?? 1)
    void [phase, file, share, etaSeconds]
  }
  const options: ModelsTaskOptions = { offline: true, signal, onProgress }
  const fetched: ModelStatus[] = await models.download(['dpt-hybrid'], options)
  const { ok, files } = await models.verify()
  const info = await models.info({ detailed: true })
  const health: 'good' | 'large' | 'cluttered' = info.cacheHealth
  const { removed } = await models.optimize({ dryRun: true })
  await models.clear({ model: 'hmr2' })
  await models.export('dpt-large', 'dpt.h5', 'h5', { signal })
  const { warnings } = await models.import('smpl.pkl', 'smpl-neutral', { link: true })
  const seen: Inspection = await models.inspect('a.ckpt', { hashes: false })
  const shape: number[] | undefined = seen.tensors[0]?.shape
  await models.convert('a.pkl', 'a.safetensors', { dtype: 'bf16', format: 'safetensors' })
  const report = await models.prepare('4dhumans', { precision: 'bf16', smplPath: 'smpl.pkl' })
  const seconds: number | undefined = report.models.hmr2?.loadTimeSeconds
  void [listed, path, fetched, ok, files, health, removed, warnings, shape, seconds]
}

export async function files(): Promise<void> {
  const engine = await createEngine({ model: '4dhumans' })
  const body = await loadBody({ smplPath: 'smpl.pkl' })
  const joints: Float32Array | undefined = engine.bodyModel([1, 0, 0, 0, 0, 0, 0, 0, 0, 0])?.joints
  const results = await engine.processFrames(frames)
  const summary: ExportSummary = await exportPoses(results, 'run.glb', { body: engine })
  const left: number | undefined = summary.leftOut.noSmpl
  await exportPoses(engine.stream(frames), 'run.csv', { fps: 25, track: 1 })
  const { header, results: read } = await readPoses('poses.json')
  await exportPoses(read, 'run.bvh', { body, space: 'person' })
  void [joints, left, header]
}

// Mistakes that the types must catch.
// @ts-expect-error no such format
void (() => exportPoses([], 'a.fbx', { format: 'fbx' }))
// @ts-expect-error a frame has a number
const noNumber: Frame = { imagePath: 'a.jpg' }
// @ts-expect-error no such model
const noModel: EngineConfig = { model: 'yolo' }
// @ts-expect-error no such keypoint set
const noSet: EngineConfig = { keypoints: 'coco18' }
// @ts-expect-error no such detector
const noDetector: EngineConfig = { detector: 'yolo' }
// @ts-expect-error no such format
void (() => models.export('dpt-large', 'dpt.onnx', 'onnx'))
// @ts-expect-error no such precision
void (() => models.convert('a', 'b', { dtype: 'int4' }))
// @ts-expect-error engines come from createEngine
const made = new PoseEngine('nothing of the kind')
void [noNumber, noModel, noSet, noDetector, made]

export async function videos(): Promise<void> {
  const engine = await createEngine()
  const options: VideoOptions = { start: 1, end: 2.5, every: 2, overlay: 'drawn.webm', mesh: false }
  const video: PoseVideo = engine.processVideo('run.mp4', {
    ...options,
    overlayOptions: { ids: false },
    onProgress: ({ frame, totalFrames, fps }) => void [frame / (totalFrames ?? 1), fps],
    onFrame: async ({ pixels, width }, { persons }) => void [pixels?.length, width, persons],
  })
  const { width, rotation, framesFrom } = await video.info
  const turned: 0 | 90 | 180 | 270 = rotation
  const from: 'count' | 'container' | 'estimate' | undefined = framesFrom
  for await (const result of video) {
    const time: number = result.timestampMs
    const plain: PoseResult = result
    void [time, plain]
  }
  const summary: ClipSummary = video.summary()
  const [track] = summary.tracks
  const seen: number | undefined = track?.sources.recovered
  const after: number | null | undefined = track?.gaps[0]?.after
  const kind: 'replaced' | 'exchanged' | undefined = summary.suspectedSwitches[0]?.kind
  const whole: boolean = summary.holds && summary.invariants.completeMesh.holds
  const clip: ClipSummary = engine.openClip().summary()
  void [width, turned, from, seen, after, kind, whole, clip]
}
// @ts-expect-error videos come from engine.processVideo
const noVideo = new PoseVideo('run.mp4')
// @ts-expect-error half a frame is none
const noPart: VideoOptions = { every: '2' }
void [noVideo, noPart]
