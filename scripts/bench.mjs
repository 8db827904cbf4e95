#!/usr/bin/env node
// `npm run bench`: how fast this project is beside its peers, as ratios measured in one run.
// Every side is a process of its own that waits for requests; rounds go A, B, A, B, so that
// whatever else the machine does meets both sides alike. Nothing is written but the report.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { cargoEnvironment } from './setup/environment.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const PEERS = join(root, 'benches', 'peers')
const FIXTURE_CLIP = join(root, 'tests/fixtures/goldens/blazepose/clip')

const HELP = `usage: npm run bench -- [options]
  --rounds n   rounds of every comparison (default 7)
  --passes n   passes of a network in a round (default 30)
  --frames n   frames of the clip (default 60)
  --video f    the clip (default: runner.mp4 of $POSE4D_GOLDENS, else the project's fixture)
  --only a,b   of networks, pipeline, cores
  --json       print JSON instead of a table
Peers are looked for with the Python named by POSE4D_PEERS_PYTHON, else python3.`

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    passes: { type: 'string', default: '30' },
    frames: { type: 'string', default: '60' },
    video: { type: 'string' },
    only: { type: 'string', default: 'networks,pipeline,cores' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const python = process.env.POSE4D_PEERS_PYTHON || 'python3'
const note = (text) => process.stderr.write(`${text}\n`)

/** A process that answers requests line by line, or the reason why there is none. */
class Side {
  static async start(name, command, args, env = process.env) {
    const side = new Side()
    side.name = name
    side.errors = ''
    side.child = spawn(command, args, { cwd: root, env, stdio: ['pipe', 'pipe', 'pipe'] })
    side.child.stderr.on('data', (data) => {
      side.errors = (side.errors + data).slice(-4000)
    })
    side.child.stdin.on('error', () => {})
    side.gone = new Promise((done) => {
      side.child.on('error', (error) => done(error.message))
      side.child.on('exit', (code, signal) =>
        done(`ended with ${signal ?? code}: ${side.errors.trim()}`),
      )
    })
    side.lines = createInterface({ input: side.child.stdout })[Symbol.asyncIterator]()
    try {
      const hello = await side.#answer()
      if (hello.missing) side.missing = hello.missing
      else side.version = hello.ready
    } catch (error) {
      side.missing = error.message
    }
    return side
  }

  async #answer() {
    const next = await Promise.race([this.lines.next(), this.gone.then((why) => ({ why }))])
    // What it printed before it ended is still in the pipe.
    const line = next.why === undefined ? next : await this.lines.next()
    if (line.done) throw new Error(`${this.name} ${await this.gone}`)
    return JSON.parse(line.value)
  }

  async ask(task, repeat) {
    this.child.stdin.write(`${JSON.stringify({ task, repeat })}\n`)
    return this.#answer()
  }

  async stop() {
    this.child.stdin.end()
    const late = setTimeout(() => this.child.kill(), 5000)
    await this.gone
    clearTimeout(late)
  }
}

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * Rounds of `ours` and `theirs` in turn (who goes first alternates). The ratio is the median over
 * the rounds of theirs / ours, so that a slow minute of the machine weighs on one round only.
 */
async function compare(title, ours, theirs, { repeat, wanted }) {
  const ratios = []
  const sides = [ours, theirs]
  const ms = [[], []]
  const seen = [undefined, undefined]
  for (const { side, task } of sides) await side.ask(task, 1)
  for (let round = 0; round < Number(options.rounds); round++) {
    const figures = []
    for (const index of round % 2 ? [1, 0] : [0, 1]) {
      const answer = await sides[index].side.ask(sides[index].task, repeat)
      figures[index] = median(answer.ms)
      seen[index] = answer.seen
    }
    figures.forEach((figure, index) => {
      ms[index].push(figure)
    })
    ratios.push(figures[1] / figures[0])
  }
  const row = {
    title,
    ourMs: median(ms[0]),
    theirMs: median(ms[1]),
    ratio: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
    wanted,
    ...(seen[0] !== undefined && { ourSeen: seen[0], theirSeen: seen[1] }),
  }
  if (!options.json) note(`  ${rowText(row)}`)
  return row
}

const rowText = ({ title, ourMs, theirMs, ratio, lowest, highest, wanted }) =>
  `${title.padEnd(44)} ${ourMs.toFixed(2).padStart(8)} ms  ${theirMs.toFixed(2).padStart(8)} ms  ` +
  `${ratio.toFixed(2).padStart(5)}x (${lowest.toFixed(2)} to ${highest.toFixed(2)})` +
  (wanted ? `  wanted ${wanted.toFixed(2)}` : '')

function modelFolder() {
  const folder = process.env.POSE4D_TEST_MODELS || join(root, 'node_modules/@mediapipe/pose')
  if (!existsSync(join(folder, 'pose_landmark_full.tflite')))
    throw new Error(`no networks in ${folder}; run npm install first`)
  return folder
}

/** Full-HD JPEG frames of the clip in `folder`, through ffmpeg; what they are, in words. */
function cutFrames(folder) {
  const goldens = process.env.POSE4D_GOLDENS
  const runner = goldens && join(goldens, 'blazepose/runner.mp4')
  const video = options.video ?? (runner && existsSync(runner) ? runner : undefined)
  const input = video ? ['-i', video] : ['-i', join(FIXTURE_CLIP, '%04d.jpg')]
  const filter = 'scale=1920:1080:force_original_aspect_ratio=increase,crop=1920:1080'
  const output = ['-vf', filter, '-frames:v', options.frames, '-q:v', '3', join(folder, '%04d.jpg')]
  const done = spawnSync('ffmpeg', ['-v', 'error', ...input, ...output], { encoding: 'utf8' })
  if (done.error) throw new Error(`ffmpeg is needed to cut full-HD frames: ${done.error.message}`)
  if (done.status !== 0) throw new Error(`ffmpeg: ${done.stderr.trim()}`)
  return `${readdirSync(folder).length} frames of ${video ?? FIXTURE_CLIP}, 1920x1080 JPEG`
}

/** Builds `benches/networks.rs` and says where it lies. */
function buildNetworks(env) {
  note('building benches/networks.rs (release) …')
  const args = ['bench', '--bench', 'networks', '--no-run', '--message-format=json']
  const built = spawnSync('cargo', args, {
    cwd: root,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const artifact = (built.stdout ?? '')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .find((message) => message.target?.name === 'networks' && message.executable)
  if (!artifact) throw new Error('cargo did not build benches/networks.rs')
  return artifact.executable
}

async function networks({ frames, report }) {
  const env = cargoEnvironment()
  const photo = join(frames, readdirSync(frames)[0])
  const ours = await Side.start(
    'pose4d networks',
    buildNetworks(env),
    [modelFolder(), photo, '1'],
    env,
  )
  const theirs = await Side.start('TFLite', python, [
    join(PEERS, 'tflite.py'),
    modelFolder(),
    photo,
    '1',
  ])
  report.sides.push(ours, theirs)
  if (ours.missing) throw new Error(ours.missing)
  if (theirs.missing) return
  const repeat = Number(options.passes)
  const add = async (title, task, peer, wanted) =>
    report.rows.push(
      await compare(title, { side: ours, task }, { side: theirs, task: peer }, { repeat, wanted }),
    )
  note('networks per crop, 1 thread: ours, TFLite, TFLite / ours')
  await add('detector / TFLite', 'detector', 'detector')
  for (const name of ['full', 'lite', 'heavy']) {
    const wanted = name === 'full' ? [1.4, 1 / 1.15] : []
    await add(`${name} / TFLite as shipped`, name, name, wanted[0])
    await add(`${name} / TFLite without segmentation`, name, `${name}-pruned`, wanted[1])
  }
}

const throughApi = (frames, threads) =>
  Side.start(`pose4d, threads: ${threads}`, process.execPath, [
    join(PEERS, 'pose4d.mjs'),
    frames,
    String(threads),
  ])

async function pipeline({ frames, report }) {
  const ours = await throughApi(frames, 1)
  const theirs = await Side.start('MediaPipe', python, [
    join(PEERS, 'mediapipe_pipeline.py'),
    frames,
  ])
  report.sides.push(ours, theirs)
  if (ours.missing) throw new Error(ours.missing)
  if (theirs.missing) return
  note('JPEG bytes to result, 1 thread: ours, MediaPipe, MediaPipe / ours')
  for (const [title, task, repeat] of [
    ['single image / mp.solutions.pose', 'single', 15],
    ['tracking / mp.solutions.pose', 'track', 1],
  ])
    report.rows.push(
      await compare(title, { side: ours, task }, { side: theirs, task }, { repeat, wanted: 1.5 }),
    )
  const two = await throughApi(frames, 2)
  report.sides.push(two)
  if (two.missing) throw new Error(two.missing)
  note('photos in one call, 2 threads: ours, MediaPipe (free to use both cores), MediaPipe / ours')
  const sides = [
    { side: two, task: 'photos' },
    { side: theirs, task: 'single' },
  ]
  report.rows.push(
    await compare('photos, 2 threads / mp.solutions.pose', ...sides, { repeat: 30, wanted: 1.5 }),
  )
}

async function cores({ frames, report }) {
  const two = await throughApi(frames, 2)
  const one = await throughApi(frames, 1)
  report.sides.push(two, one)
  if (two.missing || one.missing) throw new Error(two.missing ?? one.missing)
  note('a clip at the defaults: 2 threads, 1 thread, 1 thread / 2 threads')
  const sides = [two, one].map((side) => ({ side, task: 'clip' }))
  report.rows.push(
    await compare('clip, 2 threads / 1 thread', ...sides, { repeat: 1, wanted: 1.8 }),
  )
}

async function main() {
  if (options.help) return void console.log(HELP)
  const parts = { networks, pipeline, cores }
  const chosen = options.only.split(',')
  const unknown = chosen.find((name) => !parts[name])
  if (unknown)
    throw new Error(`--only ${unknown}: expected some of ${Object.keys(parts).join(', ')}`)
  const frames = mkdtempSync(join(tmpdir(), 'pose4d-bench-'))
  const report = { machine: `${cpus().length} x ${cpus()[0]?.model}`, rows: [], sides: [] }
  const failures = []
  try {
    report.material = cutFrames(frames)
    note(`${report.machine}; ${report.material}; ${options.rounds} rounds`)
    for (const name of chosen) {
      const before = report.sides.length
      await parts[name]({ frames, report }).catch((error) =>
        failures.push(`${name}: ${error.message}`),
      )
      await Promise.all(report.sides.slice(before).map((side) => side.stop()))
    }
  } finally {
    rmSync(frames, { recursive: true, force: true })
  }
  print(report, failures)
  if (failures.length) process.exitCode = 1
}

function print({ machine, material, rows, sides }, failures) {
  const versions = sides.filter((side) => side.version).map((side) => side.version)
  const missing = sides
    .filter((side) => side.missing)
    .map(({ name, missing }) => ({ name, missing }))
  if (options.json) {
    const document = {
      machine,
      material,
      rounds: Number(options.rounds),
      versions,
      rows,
      missing,
      failures,
    }
    console.log(JSON.stringify(document, null, 2))
    return
  }
  console.log(`\n${machine}; ${material}\n${[...new Set(versions)].join('\n')}\n`)
  console.log(
    `${'medians: ours / peer'.padEnd(44)} ${'ours'.padStart(11)}  ${'peer'.padStart(11)}  ratio (over rounds)`,
  )
  for (const row of rows) {
    console.log(rowText(row))
    if (row.ourSeen !== row.theirSeen)
      console.log(`  a person in ${row.ourSeen} results of ours and ${row.theirSeen} of theirs`)
  }
  for (const side of missing) console.log(`not measured: ${side.name}: ${side.missing}`)
  for (const failure of failures) console.log(`FAILED ${failure}`)
}

await main().catch((error) => {
  note(`bench: ${error.message}`)
  process.exitCode = 1
})
