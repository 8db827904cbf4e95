// What is processed, as a series of frames: how many, at which rate, and what they are called.
import { UsageError } from './exit.mjs'
import { expectedFrames, probeVideo, readVideo } from './video.mjs'

const IMAGE_CLIP_FPS = 30

/** Everything about one kind of input: its frames, how many, and what they are called. */
export async function openSource(inputs, settings, values) {
  if (inputs.kind === 'video') return videoSource(inputs, settings)
  const useless = ['start', 'end', 'every'].find((name) => values[name] !== undefined)
  if (useless) throw new UsageError(`\`--${useless}\` is for video.`)
  const clip = inputs.kind === 'clip'
  if (!clip && settings.fps !== undefined)
    throw new UsageError('`--fps` is for video, or for images with `--clip`.')
  const fps = settings.fps ?? IMAGE_CLIP_FPS
  const names = inputs.names ?? inputs.paths
  async function* frames() {
    for (const [frameNumber, imagePath] of inputs.paths.entries()) {
      yield { frameNumber, imagePath, ...(clip && { timestampMs: (1000 * frameNumber) / fps }) }
    }
  }
  return {
    frames,
    damage: [],
    tracking: clip,
    total: names.length,
    fps: clip ? fps : undefined,
    nameOf: (frame) => names[frame.frameNumber],
    extraOf: (frame) => ({ file: names[frame.frameNumber], timestampMs: frame.timestampMs }),
    describe: { kind: inputs.kind, files: names.length, ...(clip && { fps }) },
  }
}

async function videoSource(inputs, settings) {
  const video = await probeVideo(inputs.path)
  if (video.seconds !== undefined && settings.start >= video.seconds) {
    throw new UsageError(
      `\`--start\` is ${settings.start} s, but ${inputs.name} lasts ${video.seconds.toFixed(2)} s.`,
    )
  }
  const rate = settings.fps ?? video.fps ?? IMAGE_CLIP_FPS
  const damage = []
  return {
    frames: (signal) =>
      readVideo(inputs.path, video, {
        ...settings,
        signal,
        onDamage: (lines) => damage.push(...lines),
      }),
    damage,
    tracking: true,
    total: expectedFrames(video, settings),
    fps: rate / settings.every,
    nameOf: (frame) => `frame ${frame.frameNumber}`,
    extraOf: (frame) => ({ timestampMs: frame.timestampMs }),
    describe: {
      kind: 'video',
      file: inputs.name,
      frameWidth: video.width,
      frameHeight: video.height,
      fps: rate,
      variableFrameRate: video.variableFrameRate,
      rotation: video.rotation,
      frames: video.frames,
      ...(settings.every > 1 && { every: settings.every }),
      ...(settings.start > 0 && { start: settings.start }),
      ...(settings.end !== undefined && { end: settings.end }),
    },
  }
}
