// `pose4d process`: frames in, results out to a file, to drawn pictures and to a summary.
import { realpathSync } from 'node:fs'
import { basename } from 'node:path'

import { choice, number, time } from './args.mjs'
import { DEPTH_MODELS } from './depth.mjs'
import { fromEngine, KEYPOINT_SETS, loadAddon, openEngine } from './engine.mjs'
import { EXIT, UsageError } from './exit.mjs'
import { EXPORT_OPTIONS, exportOptions } from './export.mjs'
import { resolveInputs } from './inputs.mjs'
import { Interrupt } from './interrupt.mjs'
import { engineConfig, MODEL_OPTIONS } from './model_options.mjs'
import { checkTargets, formatOf, openOutputs, SCHEMA } from './output.mjs'
import { openOverlay } from './overlay.mjs'
import { Progress } from './progress.mjs'
import { openSource } from './source.mjs'
import { photoText, Summary } from './summary.mjs'
import { Thumbnails } from './thumbnails.mjs'
import { version } from './version.mjs'

/** What `--search` means in the engine's terms. */
const SEARCH = {
  fast: { tileScales: [], searchEvery: 0 },
  normal: undefined,
  thorough: { tileScales: [0.6, 0.4, 0.25], searchEvery: 1 },
}

export const process_ = {
  name: 'process',
  summary: 'find the people in photos or a video and measure their poses',
  usage: 'pose4d process <photos | folder | pattern | video | -> [options]',
  options: {
    out: {
      type: 'string',
      short: 'o',
      multiple: true,
      value: 'file',
      text: 'write results, by the name: .json, .jsonl, .csv, .npz, .pkl, .glb, .bvh; - is stdout; may be repeated',
    },
    report: {
      type: 'string',
      value: 'file.html',
      text: 'write a page with frames, angle curves, sources and confidence',
    },
    lines: { type: 'boolean', text: 'JSON Lines whatever the name of --out' },
    overlay: {
      type: 'string',
      value: 'file',
      text: 'draw results: a picture (.png, .jpg), a video (.mp4, .webm) or a folder',
    },
    json: { type: 'boolean', text: 'print the summary as JSON' },
    model: MODEL_OPTIONS.model,
    'model-variant': MODEL_OPTIONS['model-variant'],
    detector: MODEL_OPTIONS.detector,
    'detector-device': { type: 'string', value: 'name', text: 'as --device, of its detector' },
    precision: MODEL_OPTIONS.precision,
    vitpose: {
      type: 'string',
      value: 'name',
      text: 'auto (default: if its file is here), off, or a model file, of 4dhumans',
    },
    mesh: { type: 'boolean', text: 'write the vertices of each mesh and the faces, of 4dhumans' },
    smpl: MODEL_OPTIONS.smpl,
    'cache-dir': MODEL_OPTIONS['cache-dir'],
    'memory-budget': MODEL_OPTIONS['memory-budget'],
    keypoints: {
      type: 'string',
      value: 'set',
      text: `${KEYPOINT_SETS.join(', ')}; refused if the model does not measure it`,
    },
    search: {
      type: 'string',
      value: 'effort',
      text: 'fast: whole frame only; normal; thorough: smaller tiles too, and in every frame',
    },
    'max-persons': MODEL_OPTIONS['max-persons'],
    threads: MODEL_OPTIONS.threads,
    device: MODEL_OPTIONS.device,
    'focal-length': {
      type: 'string',
      value: 'px',
      text: 'of the camera, in pixels (default: assumed from the size)',
    },
    depth: {
      type: 'boolean',
      text: 'order people from front to back by a depth map of every frame',
    },
    'depth-model': {
      type: 'string',
      value: 'name',
      text: `by which network: ${DEPTH_MODELS.join(', ')} (default DPT_Large)`,
    },
    smooth: { type: 'boolean', text: 'motion without tremble; what was measured stays in raw' },
    mode: {
      type: 'string',
      value: 'name',
      text: 'online (default), or offline: gaps filled from both sides once all is read; of a clip or video',
    },
    clip: { type: 'boolean', text: 'images are consecutive frames of one clip, in natural order' },
    every: { type: 'string', value: 'n', text: 'take every nth frame of a video' },
    start: {
      type: 'string',
      value: 'time',
      text: 'start of the part of a video: seconds or [h:]mm:ss',
    },
    end: { type: 'string', value: 'time', text: 'its end' },
    fps: {
      type: 'string',
      value: 'n',
      text: 'take at most n frames a second of a video; rate of an image clip (default 30)',
    },
    ...EXPORT_OPTIONS,
    quiet: { type: 'boolean', short: 'q', text: 'no progress on stderr' },
  },
  examples: [
    ['pose4d process photo.jpg', 'a table of the people in it'],
    [
      'pose4d process photo.jpg --overlay drawn.png --out poses.json',
      'draw them, and keep the numbers',
    ],
    [
      'pose4d process photos/ --out poses.jsonl --overlay drawn/',
      'a folder of photos, each on its own',
    ],
    ['pose4d process run.mp4 --out poses.json --overlay run-drawn.mp4', 'a video'],
    [
      'pose4d process run.mp4 --out run.glb --out angles.csv --report run.html',
      'for a 3D viewer, for a spreadsheet, for the eye',
    ],
    ['pose4d process run.mp4 --start 0:10 --end 0:20 --every 2 --out -', 'a part of it, to stdout'],
    ['cat photo.jpg | pose4d process - --out -', 'from stdin'],
    [
      'pose4d process photo.jpg --model 4dhumans --keypoints smpl24 --mesh --out bodies.json',
      'SMPL bodies with their meshes',
    ],
  ],
  run,
}

function readSettings(values) {
  const settings = {
    start: time(values, 'start') ?? 0,
    end: time(values, 'end'),
    every: number(values, 'every', { min: 1, max: 1e6, integer: true }) ?? 1,
    fps: number(values, 'fps', { min: 0.01, max: 1000 }),
    mode: choice(values, 'mode', ['online', 'offline']),
  }
  if (values['depth-model'] !== undefined && !values.depth)
    throw new UsageError('`--depth-model` goes with `--depth`.')
  if (settings.end !== undefined && settings.end <= settings.start)
    throw new UsageError('`--end` must be later than `--start`.')
  return settings
}

function readConfig(values) {
  return {
    ...engineConfig(values),
    detectorDevice: values['detector-device'],
    humans: values.vitpose === undefined ? undefined : { vitpose: values.vitpose },
    focalLength: number(values, 'focal-length', { min: 1, max: 1e6 }),
    smoothing: values.smooth,
    blazepose: SEARCH[choice(values, 'search', Object.keys(SEARCH)) ?? 'normal'],
  }
}

/** What `processFrames` is asked for beside poses. */
function depthOptions(values) {
  const depthModel = choice(values, 'depth-model', DEPTH_MODELS)
  return values.depth ? { depth: true, ...(depthModel && { depthModel }) } : {}
}

/** A video that cannot be read to its end. */
const ENDINGS = new Set(['ERR_POSE4D_VIDEO_TRUNCATED', 'ERR_POSE4D_FFMPEG'])

const samePath = (a, b) => {
  try {
    return realpathSync(a) === realpathSync(b)
  } catch {
    return false
  }
}

/** Every file that results go to. */
const targetsOf = (values) => [
  ...(values.out ?? []),
  ...(values.report === undefined ? [] : [values.report]),
]

const toStdout = (values) => values.out?.includes('-') ?? false

function refuseOverwriting(inputs, values) {
  const sources = inputs.kind === 'video' ? [inputs.path] : inputs.paths
  for (const option of ['out', 'overlay', 'report']) {
    for (const target of [values[option] ?? []].flat()) {
      if (sources.some((source) => samePath(source, target)))
        throw new UsageError(`\`--${option} ${target}\` would overwrite its own input.`)
    }
  }
  checkTargets(targetsOf(values))
  if (values.report !== undefined && !/\.html?$/i.test(values.report))
    throw new UsageError(`\`--report\` writes a page: end \`${values.report}\` in .html.`)
  if (values.overlay === '-')
    throw new UsageError('`--overlay` writes a file or a folder, not stdout.')
  if (values.lines && !values.out) throw new UsageError('`--lines` goes with `--out`.')
}

async function run(
  { values, positionals },
  { load = loadAddon, stdout = process.stdout, stderr = process.stderr } = {},
) {
  const settings = readSettings(values)
  const config = readConfig(values)
  const depth = depthOptions(values)
  const exported = exportOptions(values)
  const interrupt = new Interrupt()
  let inputs
  let engine
  try {
    inputs = await resolveInputs(positionals, { clip: values.clip, signal: interrupt.signal })
    refuseOverwriting(inputs, values)
    const source = await openSource(inputs, settings, values)
    const addon = await load()
    const overlay =
      values.overlay &&
      openOverlay(values.overlay, {
        render: addon.renderOverlay,
        inputs,
        fps: source.fps,
      })
    engine = await openEngine(addon, config)
    const meshWanted = Boolean(values.mesh && values.out)
    const head = header(engine, source, values, inputs)
    const sinks = {
      overlay,
      ...(await openFiles(values, head, source, { ...exported, body: engine }, addon)),
      summary: new Summary({ tracked: source.tracking, engine: meshWanted ? engine : undefined }),
      progress: new Progress({ total: source.total, stream: stderr, quiet: values.quiet }),
      photo:
        source.tracking || values.json || toStdout(values)
          ? undefined
          : (text) => stdout.write(`${text}\n`),
    }
    const wanted = { mesh: meshWanted, ...depth }
    const ending = await pump(engine, source, sinks, interrupt, wanted)
    report(sinks, values, interrupt, { stdout, stderr })
    if (interrupt.aborted) return interrupt.exitCode
    if (ending) throw ending
    sinks.output.check()
    return sinks.summary.failed > 0 ? EXIT.FRAMES_FAILED : EXIT.OK
  } catch (error) {
    if (interrupt.aborted && error.name === 'AbortError') return interrupt.exitCode
    throw fromEngine(error)
  } finally {
    interrupt.dispose()
    await engine?.close().catch(() => {})
    await inputs?.dispose()
  }
}

/** The files that results go to, and the pictures for a report among them. */
async function openFiles(values, head, source, exported, addon) {
  const targets = targetsOf(values)
  const pictures = targets.some((target) => formatOf(target) === 'html')
  const thumbnails = pictures ? new Thumbnails(addon.renderOverlay) : undefined
  const { file } = source.describe
  const options = {
    ...exported,
    fps: source.fps,
    tracking: source.tracking,
    mesh: values.mesh,
    title: file && basename(file),
    thumbnails: thumbnails?.list,
  }
  return { thumbnails, output: await openOutputs(targets, head, { lines: values.lines, options }) }
}

function header(engine, source, values, inputs) {
  const { model } = engine.health()
  const faces = values.mesh ? engine.meshFaces : null
  return {
    schema: SCHEMA,
    generator: `pose4d ${version}`,
    source: source.describe,
    model: {
      name: model,
      ...(model === 'blazepose' && { variant: values['model-variant'] ?? 'full' }),
    },
    keypoints: values.keypoints ?? 'native',
    tracked: inputs.kind !== 'photos',
    ...(faces && { meshFaces: Array.from(faces) }),
  }
}

/**
 * Drives frames through the engine into the sinks, and ends the sinks properly whatever happens. What is
 * wrong with the end of a video is answered: everything before it is there.
 */
async function pump(engine, source, sinks, interrupt, wanted) {
  const { output, overlay, summary, progress } = sinks
  let complete = false
  try {
    const { signal } = interrupt
    // Whatever is drawn frame by frame; a video of a video is the API's to draw.
    const draws = overlay && !overlay.videoPath
    const drawn = async (frame, result) => {
      await sinks.thumbnails?.write(frame, result)
      if (draws) await overlay.write(frame, result)
    }
    const onFrame = draws || sinks.thumbnails ? drawn : undefined
    const onTaken = () => progress.tick({})
    const options = { signal, wanted, overlay, onFrame, onTaken }
    for await (const { result, extra } of source.results(engine, options)) {
      const name = source.nameOf(result)
      summary.add(result, name, extra)
      await output.write(result, extra)
      if (sinks.photo) {
        progress.clear()
        sinks.photo(photoText(name, result))
      }
      if (!source.offline) progress.tick({ failed: Boolean(result.errorCode) })
    }
    complete = !interrupt.aborted
    summary.complete = complete
  } catch (error) {
    if (ENDINGS.has(error.code) && summary.frames > 0) return error
    if (!interrupt.aborted) throw error
  } finally {
    progress.clear()
    await output.close({ complete })
    await overlay?.close()
  }
}

function report({ summary, overlay, output }, values, interrupt, { stdout, stderr }) {
  const text = values.json ? JSON.stringify(summary.toJSON(), null, 2) : summary.text()
  if (!toStdout(values)) stdout.write(`${text}\n`)
  else if (!values.quiet) stderr.write(`${text}\n`)
  if (interrupt.aborted) stderr.write('Interrupted; what was done so far is kept.\n')
  if (values.quiet) return
  for (const line of output.lines()) stderr.write(`${line}\n`)
  if (overlay?.wrote) stderr.write(`Wrote ${values.overlay}\n`)
}
