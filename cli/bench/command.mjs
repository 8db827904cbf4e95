// `pose4d bench`: what each stage costs on this machine, in time, arithmetic and memory, and the
// original beside it.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'

import bench from '../../lib/bench.cjs'
import { choice, number } from '../args.mjs'
import { fromEngine, loadAddon } from '../engine.mjs'
import { EXIT, UsageError } from '../exit.mjs'
import { CACHE_OPTIONS, cacheOptions, QUIET_OPTION } from '../models/common.mjs'
import { writeDetectors } from './peers.mjs'
import { reportText } from './report.mjs'
import { measureBridge, measureStages, STAGES } from './stages.mjs'
import { measureWhole } from './whole.mjs'

const MODELS = ['blazepose', '4dhumans', 'all']
const PRECISIONS = ['fp32', 'bf16', 'fp16']
/** The model files that the stages need, by what they are to the stand. */
const FILES = {
  vitdet: 'vitdet-h',
  regnety: 'regnety',
  hmr2: 'hmr2',
  config: 'hmr2-config',
  body: 'smpl-neutral',
  regressor: 'hmr2-joint-regressor',
}
const VITPOSES = ['vitpose-h', 'vitpose-l', 'vitpose-b', 'vitpose-s']

export const bench_ = {
  name: 'bench',
  summary: 'measure every stage on this machine, and the original beside it',
  usage: 'pose4d bench [photo] [options]',
  options: {
    model: { type: 'string', value: 'name', text: `${MODELS.join(', ')} (default all)` },
    stages: { type: 'string', value: 'a,b', text: `some of ${STAGES.join(', ')} (default all)` },
    precision: {
      type: 'string',
      value: 'a,b',
      text: `some of ${PRECISIONS.join(', ')} (default bf16,fp32)`,
    },
    batch: {
      type: 'string',
      value: 'n,m',
      text: 'people in a pass of HMR2 and ViTPose (default 1,8)',
    },
    'random-weights': {
      type: 'boolean',
      text: 'random networks of full size instead of the cached files (8 GB of disk)',
    },
    'weights-dir': {
      type: 'string',
      value: 'folder',
      text: 'where the random files are kept for the next run (default: temporary, removed)',
    },
    tiny: {
      type: 'boolean',
      text: 'random networks of a tiny size: does everything run? no figures',
    },
    person: { type: 'string', value: 'x1,y1,x2,y2', text: 'whom to crop (default: the middle)' },
    device: { type: 'string', value: 'name', text: 'cpu (default), cuda, cuda:N' },
    threads: { type: 'string', value: 'n', text: 'threads (default: all cores)' },
    repeat: {
      type: 'string',
      value: 'n',
      text: 'passes of each stage; their median counts (default 3)',
    },
    peer: {
      type: 'string',
      value: 'folder',
      text: 'a checkout of 4D-Humans: the original HMR2 runs beside, rounds alternate',
    },
    'peer-detectron2': {
      type: 'string',
      value: 'folder',
      text: 'a checkout of detectron2: the original detectors likewise (needs a photo)',
    },
    python: { type: 'string', value: 'file', text: 'the Python to run it with (default python3)' },
    ...CACHE_OPTIONS,
    json: { type: 'boolean', text: 'print the figures as JSON' },
    ...QUIET_OPTION,
  },
  examples: [
    ['pose4d bench photo.jpg', 'every stage with the cached weights'],
    ['pose4d bench --model 4dhumans --random-weights', 'full-size networks without a download'],
    [
      'pose4d bench --model 4dhumans --random-weights --stages hmr2 --peer ~/4D-Humans',
      'HMR2 beside the original Python, in the same run',
    ],
  ],
  run,
}

const listOf = (values, name, allowed) => {
  if (values[name] === undefined) return undefined
  const words = values[name].split(',')
  for (const word of words) choice({ [name]: word }, name, allowed)
  return words
}

const numbers = (text, name, count) => {
  const found = text.split(',').map(Number)
  if ((count && found.length !== count) || !found.every(Number.isFinite))
    throw new UsageError(
      `\`--${name}\` must be ${count ?? 'some'} numbers with commas, found \`${text}\`.`,
    )
  return found
}

/** What the arguments mean; refuses what contradicts itself. */
export function settings({ values, positionals }) {
  if (positionals.length > 1)
    throw new UsageError(`\`bench\` takes one photo, found \`${positionals[1]}\` too.`, {
      command: 'bench',
    })
  if (values['weights-dir'] !== undefined && !values['random-weights'] && !values.tiny)
    throw new UsageError('`--weights-dir` is for `--random-weights`.', { command: 'bench' })
  if (values.python !== undefined && !values.peer && !values['peer-detectron2'])
    throw new UsageError('`--python` is for `--peer` and `--peer-detectron2`.', {
      command: 'bench',
    })
  const batches = values.batch === undefined ? [1, 8] : numbers(values.batch, 'batch')
  if (!batches.every((n) => Number.isInteger(n) && n >= 1 && n <= 256))
    throw new UsageError(
      `\`--batch\` must be whole numbers from 1 to 256, found \`${values.batch}\`.`,
    )
  const random = Boolean(values['random-weights'] || values.tiny)
  return {
    photo: positionals[0],
    model: choice(values, 'model', MODELS) ?? 'all',
    stages: listOf(values, 'stages', STAGES) ?? STAGES,
    precisions: listOf(values, 'precision', PRECISIONS) ?? ['bf16', 'fp32'],
    batches,
    random,
    tiny: Boolean(values.tiny),
    weightsDir: values['weights-dir'],
    person: values.person && numbers(values.person, 'person', 4),
    device: values.device ?? 'cpu',
    threads: number(values, 'threads', { min: 1, max: 1024, integer: true }),
    repeat: number(values, 'repeat', { min: 1, max: 1000, integer: true }) ?? 3,
    peer: values.peer,
    detectron2: values['peer-detectron2'],
    python: values.python ?? 'python3',
    cacheDir: cacheOptions(values).cacheDir,
  }
}

/** The files of the family: random ones, or those of the cache that are there. */
async function findFiles(addon, given, note) {
  if (given.random) {
    const kept = given.weightsDir !== undefined
    if (kept) mkdirSync(given.weightsDir, { recursive: true })
    const folder = kept ? given.weightsDir : mkdtempSync(join(tmpdir(), 'pose4d-random-'))
    note(`random ${given.tiny ? 'tiny' : 'full-size'} networks in ${folder} …`)
    const done = () => kept || rmSync(folder, { recursive: true, force: true })
    try {
      const files = await bench.randomWeights(folder, { tiny: given.tiny })
      const compared = given.detectron2 !== undefined && !given.tiny
      if (compared) Object.assign(files, writeDetectors(given, folder))
      return { files, done }
    } catch (error) {
      done()
      throw error
    }
  }
  const status = (name) => addon.models.status(name, { cacheDir: given.cacheDir })
  const found = (name) => {
    const { available, path } = status(name)
    return available ? path : undefined
  }
  const files = Object.fromEntries(Object.entries(FILES).map(([role, name]) => [role, found(name)]))
  files.vitpose = VITPOSES.map(found).find(Boolean)
  return { files, done() {} }
}

async function run(parsed, io = {}) {
  const { stdout = process.stdout, stderr = process.stderr, load = loadAddon } = io
  const { values } = parsed
  const given = settings(parsed)
  if (given.photo !== undefined && !existsSync(given.photo))
    throw new UsageError(`There is no file \`${given.photo}\`.`, { command: 'bench' })
  const note = (text) => values.quiet || stderr.write(`${text}\n`)
  const addon = await load()
  const machine = addon.runtimeInfo()
  const threads = given.threads ?? machine.cores
  const report = {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}`,
    libtorch: machine.libtorchVersion,
    threads,
    device: given.device,
    weights: weightsText(given),
    rows: [],
    whole: [],
    missing: [],
  }
  const wants = (family) => given.model === 'all' || given.model === family
  let files
  try {
    const context = { addon, given: { ...given, threads }, report, note }
    if (wants('4dhumans')) {
      const found = await findFiles(addon, given, note)
      files = found
      const stand = new bench.Stand(threads)
      await measureStages({ ...context, stand, threads, files: found.files })
    }
    if (given.stages.includes('bridge')) measureBridge(context)
    if (given.stages.includes('whole')) {
      if (wants('4dhumans')) await measureWhole('4dhumans', { ...context, files: files.files })
      if (wants('blazepose')) await measureWhole('blazepose', context)
    }
  } catch (error) {
    throw fromEngine(error)
  } finally {
    files?.done()
  }
  stdout.write(`${values.json ? JSON.stringify(report, null, 2) : reportText(report)}\n`)
  return report.rows.length + report.whole.length > 0 ? EXIT.OK : EXIT.MODELS_INCOMPLETE
}

function weightsText({ random, tiny }) {
  if (tiny) return 'random, of a tiny size: these figures mean nothing'
  return random ? 'random, of full size' : 'from the cache'
}
