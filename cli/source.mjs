// What is processed, as a series of results: how many, at which rate, and what they are called.
import probe from '../lib/video/probe.cjs'
import { fromEngine } from './engine.mjs'
import { UsageError } from './exit.mjs'

const IMAGE_CLIP_FPS = 30

/**
 * Everything about one kind of input: how many frames, what they are called, and `results(engine, { signal,
 * wanted, overlay, onFrame })`, which yields `{ result, extra }` in order. `overlay` is drawn by the API if it is a
 * video's; `onFrame(frame, result)` sees each frame.
 */
export async function openSource(inputs, settings, values) {
  if (inputs.kind === 'video') return videoSource(inputs, settings)
  const useless = ['start', 'end', 'every'].find((name) => values[name] !== undefined)
  if (useless) throw new UsageError(`\`--${useless}\` is for video.`)
  const clip = inputs.kind === 'clip'
  if (!clip && settings.mode !== undefined)
    throw new UsageError('`--mode` is for video, or for images with `--clip`.')
  const offline = settings.mode === 'offline'
  if (!clip && settings.fps !== undefined)
    throw new UsageError('`--fps` is for video, or for images with `--clip`.')
  const fps = settings.fps ?? IMAGE_CLIP_FPS
  const names = inputs.names ?? inputs.paths
  async function* frames(onRead) {
    for (const [frameNumber, imagePath] of inputs.paths.entries()) {
      if (offline && frameNumber > 0) onRead()
      yield { frameNumber, imagePath, ...(clip && { timestampMs: (1000 * frameNumber) / fps }) }
    }
  }
  async function* results(engine, { signal, wanted, onFrame, onTaken }) {
    const rate = clip && { fps, mode: settings.mode }
    const options = { signal, ...wanted, tracking: clip, ...rate }
    for await (const result of engine.stream(frames(onTaken), options)) {
      const { frameNumber } = result
      const imagePath = inputs.paths[frameNumber]
      const time = clip && { timestampMs: (1000 * frameNumber) / fps }
      await onFrame?.({ frameNumber, imagePath, ...time }, result)
      yield { result, extra: { file: names[frameNumber], ...time } }
    }
  }
  return {
    results,
    offline,
    tracking: clip,
    total: names.length,
    fps: clip ? fps : undefined,
    nameOf: ({ frameNumber }) => names[frameNumber],
    describe: { kind: inputs.kind, files: names.length, ...(clip && { fps }) },
  }
}

async function videoSource({ path, name, signal }, settings) {
  const video = await probe.probeVideo(path, { signal }).catch((error) => {
    throw fromEngine(error)
  })
  if (video.seconds !== undefined && settings.start >= video.seconds) {
    throw new UsageError(
      `\`--start\` is ${settings.start} s, but ${name} lasts ${video.seconds.toFixed(2)} s.`,
    )
  }
  const offline = settings.mode === 'offline'
  async function* results(engine, { signal, wanted, overlay, onFrame, onTaken }) {
    const drawn = overlay?.videoPath
    const options = {
      ...settings,
      ...{ signal, ...wanted, onFrame },
      ...(drawn && { overlay: drawn }),
      ...(offline && { onProgress: onTaken }),
    }
    for await (const result of engine.processVideo(path, options)) {
      if (drawn) overlay.wrote = true
      yield { result, extra: { timestampMs: result.timestampMs } }
    }
  }
  return {
    results,
    offline,
    tracking: true,
    total: probe.expectedFrames(video, settings),
    fps: video.fps,
    nameOf: ({ frameNumber }) => `frame ${frameNumber}`,
    describe: {
      kind: 'video',
      file: name,
      frameWidth: video.width,
      frameHeight: video.height,
      fps: video.fps,
      variableFrameRate: video.variableFrameRate,
      rotation: video.rotation,
      frames: video.frames,
      framesFrom: video.framesFrom,
      ...(settings.fps !== undefined && { sampledFps: settings.fps }),
      ...(settings.every > 1 && { every: settings.every }),
      ...(settings.start > 0 && { start: settings.start }),
      ...(settings.end !== undefined && { end: settings.end }),
    },
  }
}
