// `pose4d depth`: photos or a video in, a depth map of every frame out as files.
import { join } from 'node:path'
import depthFiles from '../lib/export/depth.cjs'
import files from '../lib/export/files.cjs'
import probe from '../lib/video/probe.cjs'
import reading from '../lib/video/read.cjs'
import { choice, number, time } from './args.mjs'
import { fromEngine, loadAddon, openEngine, PRECISIONS } from './engine.mjs'
import { EXIT, UsageError } from './exit.mjs'
import { makeFolder } from './folders.mjs'
import { distinctNames, resolveInputs } from './inputs.mjs'
import { Interrupt } from './interrupt.mjs'
import { Progress } from './progress.mjs'

export const DEPTH_MODELS = ['DPT_Large', 'DPT_Hybrid', 'MiDaS', 'MiDaS_small']
const FORMATS = depthFiles.DEPTH_FORMATS
const USUAL_FORMATS = ['png', 'preview']
/** Beside the maps: a line of JSON per frame. */
const INDEX = 'depth.jsonl'

export const depth_ = {
  name: 'depth',
  summary: 'measure the relative depth of every pixel of photos or a video',
  usage: 'pose4d depth <photos | folder | pattern | video | -> --out <folder> [options]',
  options: {
    out: { type: 'string', short: 'o', value: 'folder', text: 'where the maps go' },
    model: {
      type: 'string',
      value: 'name',
      text: `${DEPTH_MODELS.join(', ')} (default DPT_Large)`,
    },
    format: {
      type: 'string',
      value: 'list',
      text: `what is written of each frame: ${Object.keys(FORMATS).join(', ')} (default ${USUAL_FORMATS.join(',')})`,
    },
    weights: { type: 'string', value: 'file', text: 'a file of your own for the model' },
    heads: { type: 'string', value: 'n', text: 'its attention heads, where no tensor tells them' },
    precision: { type: 'string', value: 'name', text: PRECISIONS.join(', ') },
    'cache-dir': {
      type: 'string',
      value: 'folder',
      text: 'the model cache (default POSE4D_CACHE_DIR, else ~/.cache/4d-humans)',
    },
    'memory-budget': {
      type: 'string',
      value: 'MB',
      text: 'RAM that the process may hold once the model is loaded',
    },
    device: { type: 'string', value: 'name', text: 'auto, cpu, cuda, cuda:N' },
    threads: { type: 'string', value: 'n', text: 'worker threads (default: all cores)' },
    every: { type: 'string', value: 'n', text: 'take every nth frame of a video' },
    start: {
      type: 'string',
      value: 'time',
      text: 'start of the part of a video: seconds or [h:]mm:ss',
    },
    end: { type: 'string', value: 'time', text: 'its end' },
    fps: { type: 'string', value: 'n', text: 'take at most n frames a second of a video' },
    json: { type: 'boolean', text: 'print the summary as JSON' },
    quiet: { type: 'boolean', short: 'q', text: 'no progress on stderr' },
  },
  examples: [
    ['pose4d depth room.jpg --out maps', 'a 16-bit picture and one for the eye'],
    ['pose4d depth photos/ --out maps --format npy --model MiDaS_small', 'arrays for numpy, fast'],
    ['pose4d depth run.mp4 --out maps --every 5 --format preview', 'every fifth frame of a video'],
  ],
  run,
}

function formatsOf(values) {
  const names = (values.format ?? USUAL_FORMATS.join(',')).split(',').map((name) => name.trim())
  return [...new Set(names)].map((name) => {
    if (!Object.hasOwn(FORMATS, name))
      throw new UsageError(
        `\`--format\` is a list of ${Object.keys(FORMATS).join(', ')}; found \`${name}\`.`,
      )
    return FORMATS[name]
  })
}

function readSettings(values) {
  if (values.out === undefined)
    throw new UsageError('Where to? Name a folder with `--out`.', { command: 'depth' })
  if (values.out === '-') throw new UsageError('`--out` is a folder, not stdout.')
  const settings = {
    start: time(values, 'start') ?? 0,
    end: time(values, 'end'),
    every: number(values, 'every', { min: 1, max: 1e6, integer: true }) ?? 1,
    fps: number(values, 'fps', { min: 0.01, max: 1000 }),
  }
  if (settings.end !== undefined && settings.end <= settings.start)
    throw new UsageError('`--end` must be later than `--start`.')
  return settings
}

function readConfig(values) {
  const model = choice(values, 'model', DEPTH_MODELS) ?? DEPTH_MODELS[0]
  return {
    // Poses are not measured: the smallest engine will do.
    model: 'blazepose',
    modelVariant: 'fast',
    device: values.device,
    threads: number(values, 'threads', { min: 1, max: 1024, integer: true }),
    cacheDir: values['cache-dir'],
    memoryBudgetMb: number(values, 'memory-budget', { min: 1, integer: true }),
    depth: {
      model,
      precision: choice(values, 'precision', PRECISIONS),
      heads: number(values, 'heads', { min: 1, max: 1024, integer: true }),
      ...(values.weights !== undefined && { files: { [model]: values.weights } }),
    },
  }
}

/** Frames with what each is called, in order: `{ total, frames(), nameOf(frameNumber), describe }`. */
async function openFrames(inputs, settings, values, signal) {
  if (inputs.kind === 'video') return videoFrames(inputs, settings, signal)
  const useless = ['start', 'end', 'every', 'fps'].find((name) => values[name] !== undefined)
  if (useless) throw new UsageError(`\`--${useless}\` is for video.`)
  const names = inputs.names ?? inputs.paths
  const stems = distinctNames(names, '')
  return {
    total: inputs.paths.length,
    *frames() {
      for (const [frameNumber, imagePath] of inputs.paths.entries())
        yield { frameNumber, imagePath }
    },
    stem: ({ frameNumber }) => stems[frameNumber],
    about: ({ frameNumber }) => ({ file: names[frameNumber] }),
  }
}

const NOTHING = new Uint8Array(0)

async function videoFrames({ path, name }, settings, signal) {
  const video = await probe.probeVideo(path, { signal }).catch((error) => {
    throw fromEngine(error)
  })
  if (video.seconds !== undefined && settings.start >= video.seconds)
    throw new UsageError(
      `\`--start\` is ${settings.start} s, but ${name} lasts ${video.seconds.toFixed(2)} s.`,
    )
  const reader = new reading.VideoReader(path, video, { ...settings, signal })
  const known = new Map()
  return {
    total: probe.expectedFrames(video, settings),
    async *frames() {
      for await (const {
        frameNumber,
        timestampMs,
        width,
        height,
        pixels,
        problem,
      } of reader.frames()) {
        known.set(frameNumber, { timestampMs, problem })
        yield problem ? { frameNumber, image: NOTHING } : { frameNumber, width, height, pixels }
      }
      if (reader.ending) throw reader.ending
    },
    stem: ({ frameNumber }) => `frame_${String(frameNumber).padStart(6, '0')}`,
    about({ frameNumber }) {
      const about = known.get(frameNumber)
      known.delete(frameNumber)
      return about
    },
  }
}

/** What is written of one frame, and its line in the index. */
async function write(result, { folder, formats, source }) {
  const { problem, ...about } = source.about(result)
  const { frameNumber, width, height, range, errorCode, error } = result
  const line = { frameNumber, ...about, width, height }
  if (errorCode) {
    const told = problem
      ? { errorCode: 'ERR_POSE4D_VIDEO_FRAME', error: problem }
      : { errorCode, error }
    return { ...line, ...told }
  }
  const written = []
  for (const { suffix, encode } of formats) {
    const file = `${source.stem(result)}${suffix}`
    await files.writeWhole(join(folder, file), [await encode(result)])
    written.push(file)
  }
  return { ...line, range, model: result.model, written }
}

async function run(
  { values, positionals },
  { load = loadAddon, stdout = process.stdout, stderr = process.stderr } = {},
) {
  const [settings, formats, config] = [readSettings(values), formatsOf(values), readConfig(values)]
  const interrupt = new Interrupt()
  const { signal } = interrupt
  let inputs
  let engine
  try {
    inputs = await resolveInputs(positionals, { signal })
    const source = await openFrames(inputs, settings, values, signal)
    await makeFolder(values.out)
    const addon = await load()
    engine = await openEngine(addon, config)
    const progress = new Progress({ total: source.total, stream: stderr, quiet: values.quiet })
    const done = { frames: 0, failed: 0, out: values.out, model: config.depth.model }
    const index = await files.TextFile.open(join(values.out, INDEX))
    try {
      for await (const result of engine.streamDepth(source.frames(), { signal })) {
        const line = await write(result, { folder: values.out, formats, source })
        await index.write(`${JSON.stringify(line)}\n`)
        done.frames += 1
        if (line.errorCode) {
          done.failed += 1
          progress.clear()
          stderr.write(
            `${line.file ?? `frame ${line.frameNumber}`}: ${line.error} (${line.errorCode})\n`,
          )
        }
        progress.tick({ failed: Boolean(line.errorCode) })
      }
    } finally {
      progress.clear()
      await index.close()
    }
    stdout.write(`${values.json ? JSON.stringify(done) : told(done)}\n`)
    return done.failed > 0 ? EXIT.FRAMES_FAILED : EXIT.OK
  } catch (error) {
    if (interrupt.aborted && error.name === 'AbortError') return interrupt.exitCode
    throw fromEngine(error)
  } finally {
    interrupt.dispose()
    await engine?.close().catch(() => {})
    await inputs?.dispose()
  }
}

function told({ frames, failed, out, model }) {
  const many = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`
  const bad = failed > 0 ? `, ${failed} failed` : ''
  return `${many(frames, 'frame')}${bad}: depth by ${model} in ${out}`
}
