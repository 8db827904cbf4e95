#!/usr/bin/env node
// `npm run bench:load`: how fast full-size checkpoints load, beside Python's own loaders on the
// same files in the same run, and how much memory that takes. Every load is a process of its own.
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import runtime from '../lib/runtime.cjs'
import { cargoEnvironment } from './setup/environment.mjs'

const { ROOT } = runtime
const HELP = `usage: npm run bench:load -- [options]
  --folder f   where the files are, or are made (11 GB; default: a folder for temporary files)
  --depth f    also the depth networks of this folder, as \`midas_python.py cases --size full\` made them
  --only a,b   only files whose names hold one of these
  --rounds n   rounds of every comparison (default 3)
  --json       print JSON instead of a table
POSE4D_PEERS_PYTHON names a Python with torch and numpy.`

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string', default: join(tmpdir(), 'pose4d-full-size') },
    depth: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const python = process.env.POSE4D_PEERS_PYTHON || 'python3'
const peers = join(ROOT, 'benches/peers')
const DEPTH = {
  dpt_large_full: 'dpt_large_384.pt',
  dpt_hybrid_full: 'dpt_hybrid_384.pt',
  midas_full: 'midas_v21_384.pt',
  midas_small_full: 'midas_v21_small_256.pt',
}
const wanted = (file) =>
  options.only === undefined ||
  options.only.split(',').some((part) => basename(file).includes(part))
/** Files this makes where they are missing. */
const MADE = ['hmr2.ckpt', 'vitdet_p4.pkl', 'vitdet_p2.pkl']
  .map((name) => join(options.folder, name))
  .filter(wanted)
const FILES = [
  ...MADE,
  ...Object.entries(options.depth === undefined ? {} : DEPTH).map(([folder, name]) =>
    join(options.depth, folder, name),
  ),
].filter(wanted)
const GIB = 2 ** 30

function run(command, args, { env = process.env, allowed = false } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { env, encoding: 'utf8' })
  if (status === 0) return stdout
  if (allowed) return null
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

/** The path of a bench's executable, built if need be. */
function build(name) {
  const args = ['bench', '--bench', name, '--no-run', '--message-format=json-render-diagnostics']
  const lines = run('cargo', args, { env: cargoEnvironment() }).trim().split('\n')
  const artefacts = lines.map((line) => JSON.parse(line))
  return artefacts.findLast((a) => a.executable && a.target.name === name).executable
}

/** Reads a file once, so that every loader finds it in memory: the disk is not what is compared. */
function warm(file) {
  const descriptor = openSync(file)
  const piece = Buffer.alloc(8 << 20)
  while (readSync(descriptor, piece) > 0);
  closeSync(descriptor)
}

const last = (text) => JSON.parse(text.trim().split('\n').at(-1))
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]

/** The median round of one loader, by its time with every page read. */
function summary(rounds) {
  const whole = (round) => round.withEveryPageRead ?? round.seconds
  const middle = median(rounds.map(whole))
  return { ...rounds.find((round) => whole(round) === middle), whole: middle }
}

class Bench {
  constructor() {
    this.exe = build('load')
    this.env = cargoEnvironment()
  }

  ours(file, precision) {
    warm(file)
    return last(run(this.exe, [file, precision], { env: this.env }))
  }

  python(file, precision) {
    warm(file)
    return last(run(python, [join(peers, 'load_python.py'), file, ...precision]))
  }

  convert(file, output, precision) {
    return last(run(this.exe, ['--convert', file, output, precision], { env: this.env }))
  }

  /** One file: Python, the original with us, the fast form with us, in turn. */
  compare(file, precision) {
    const name = basename(file)
    const fast = join(options.folder, `${name}.${precision}.safetensors`)
    const conversion = this.convert(file, fast, precision)
    const sides = { python: [], original: [], fast: [] }
    const cast = precision === 'float32' ? [] : [precision]
    for (let round = 0; round < Number(options.rounds); round++) {
      sides.python.push(this.python(file, cast))
      sides.original.push(this.ours(file, precision))
      sides.fast.push(this.ours(fast, precision))
    }
    const [theirs, original, mapped] = Object.values(sides).map(summary)
    if (Math.abs(theirs.sum - original.sum) > 1e-6 || original.sum !== mapped.sum)
      throw new Error(
        `${name}: the loaded values differ: ${[theirs.sum, original.sum, mapped.sum]}`,
      )
    return { name, precision, conversion, python: theirs, original, fast: mapped }
  }

  /** The original file inside a cgroup of 4 GB; null where cgroups cannot be made. */
  inCgroup(file) {
    const folder = `/sys/fs/cgroup/memory/pose4d-bench-${process.pid}`
    try {
      mkdirSync(folder)
      writeFileSync(join(folder, 'memory.limit_in_bytes'), String(4 * GIB))
    } catch {
      return null
    }
    const command = `echo $$ > ${folder}/cgroup.procs && exec "$@"`
    const args = ['-c', command, 'sh', this.exe, file, 'bfloat16']
    const out = run('sh', args, { env: this.env, allowed: true })
    rmdirSync(folder)
    return out ? last(out) : { killed: true }
  }
}

const gb = (bytes) => `${(bytes / GIB).toFixed(2)} GB`
const s = (seconds) => `${seconds.toFixed(2)} s`

function print(report) {
  for (const row of report.loads) {
    const over = (side) =>
      `${(side.peakRss - side.bytes) / 2 ** 20 > 0 ? '+' : ''}${Math.round((side.peakRss - side.bytes) / 2 ** 20)} MB over its ${gb(side.bytes)}`
    console.log(`${row.name} as ${row.precision}`)
    console.log(`  ${row.python.version}: ${s(row.python.whole)}, peak ${gb(row.python.peakRss)}`)
    for (const [title, side] of [
      ['original file', row.original],
      ['fast form', row.fast],
    ])
      console.log(
        `  pose4d, ${title}: ${s(side.whole)} (opened after ${s(side.seconds)}), ${(row.python.whole / side.whole).toFixed(1)}x Python, peak ${gb(side.peakRss)} (${over(side)})`,
      )
    console.log(`  conversion: ${s(row.conversion.seconds)}, peak ${gb(row.conversion.peakRss)}`)
  }
  for (const [name, load] of Object.entries(report.cgroup))
    console.log(
      load === null
        ? `${name} in a 4 GB cgroup: not tried, cgroups cannot be made here`
        : `${name} in a 4 GB cgroup as bfloat16: ${load.killed ? 'KILLED' : `${s(load.withEveryPageRead)}, peak ${gb(load.peakRss)}`}`,
    )
}

function main() {
  if (options.help) return console.log(HELP)
  mkdirSync(options.folder, { recursive: true })
  if (!MADE.every((file) => existsSync(file))) {
    process.stderr.write(`making full-size files in ${options.folder} …\n`)
    run(python, [join(peers, 'full_size.py'), options.folder])
  }
  const sizes = Object.fromEntries(FILES.map((file) => [basename(file), statSync(file).size]))
  const bench = new Bench()
  const report = { sizes, loads: [], cgroup: {} }
  for (const file of FILES)
    for (const precision of ['float32', 'bfloat16']) {
      process.stderr.write(`${basename(file)}, ${precision} …\n`)
      report.loads.push(bench.compare(file, precision))
    }
  for (const file of MADE) report.cgroup[basename(file)] = bench.inCgroup(file)
  if (options.json) console.log(JSON.stringify(report, null, 2))
  else print(report)
}

main()
