#!/usr/bin/env node
// The whole 4D-Humans family in full size (random weights) inside memory cgroups: loads, works on a
// frame, is never killed. Needs root, for the cgroups. Each run is a process of its own:
//   node scripts/campaigns/memory.mjs [--weights folder] [--only 6,8] [--json]
// With --sizes, the working memory of each network instead, as src/pipeline/plan/measured.rs has it.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import bench from '../../lib/bench.cjs'
import runtime from '../../lib/runtime.cjs'

const GIB = 2 ** 30
const { values: options } = parseArgs({
  options: {
    weights: { type: 'string' },
    only: { type: 'string' },
    photo: { type: 'string', default: join(runtime.ROOT, 'examples/sample.jpg') },
    sizes: { type: 'boolean', default: false },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
})

/**
 * What must hold: `fits` with these precisions and this detector, or `refused` with numbers.
 * `limit` in GB (2^30).
 */
const RUNS = [
  { limit: 6, precision: 'bf16', detector: 'vitdet', expect: 'fits' },
  { limit: 8, precision: 'fp32', detector: 'auto', expect: 'fits' },
  { limit: 8, precision: 'fp32', detector: 'vitdet', expect: 'fits' },
  { limit: 8, precision: 'auto', detector: 'auto', expect: 'fits' },
  { limit: 4, precision: 'auto', detector: 'auto', expect: 'fits' },
  { limit: 1, precision: 'auto', detector: 'auto', expect: 'refused' },
]

/** A memory cgroup; v1 where it is mounted, else v2. Swap would hide what does not fit. */
class Cgroup {
  constructor(limit) {
    const v1 = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes')
    const mount = v1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup'
    this.folder = join(mount, `pose4d-memory-${process.pid}`)
    mkdirSync(this.folder)
    const [file, swap] = v1
      ? ['memory.limit_in_bytes', ['memory.swappiness', '0']]
      : ['memory.max', ['memory.swap.max', '0']]
    this.most = v1 ? 'memory.max_usage_in_bytes' : 'memory.peak'
    writeFileSync(join(this.folder, file), String(limit))
    try {
      writeFileSync(join(this.folder, swap[0]), swap[1])
    } catch {}
  }

  run(command, args) {
    const enter = `echo $$ > '${this.folder}/cgroup.procs' && exec "$@"`
    return spawnSync('sh', ['-c', enter, 'sh', command, ...args], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    })
  }

  /** The most it held, file cache and all. */
  peak() {
    try {
      return Number(readFileSync(join(this.folder, this.most), 'utf8'))
    } catch {
      return null
    }
  }

  remove() {
    rmdirSync(this.folder)
  }
}

/** Out of the page cache: what is read inside the cgroup is to be charged to it. */
function forget(folder) {
  for (const name of readdirSync(folder))
    spawnSync('dd', [`if=${join(folder, name)}`, 'iflag=nocache', 'count=0', 'status=none'])
}

const CHILD = `
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
const [root, config, photo] = process.argv.slice(1)
const { createEngine } = createRequire(root + '/')('./index.js')
const say = (value) => console.log(JSON.stringify(value))
const peak = () => 1024 * Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
try {
  const start = performance.now()
  const engine = await createEngine(JSON.parse(config))
  const loaded = { loadSeconds: (performance.now() - start) / 1e3, loadPeakRss: peak() }
  const { memoryPlan: plan } = engine.health()
  const image = readFileSync(photo)
  const frame = (number) => engine.processFrames([{ frameNumber: number, image }], { tracking: false, mesh: true })
  const begun = performance.now()
  const [result] = await frame(0)
  const seconds = (performance.now() - begun) / 1e3
  if (result.errorCode) throw Object.assign(new Error(result.error), { code: result.errorCode })
  const person = result.persons[0]
  say({ plan, ...loaded, seconds, persons: result.persons.length, vertices: person?.mesh?.vertices.length / 3,
    joints: person?.joints3d?.length / 3, keypoints: person?.keypoints.length, peakRss: peak() })
  await engine.close()
} catch (error) {
  say({ code: error.code, message: error.message, peakRss: peak() })
}
`

function attempt(run, files, folder) {
  const cgroup = new Cgroup(run.limit * GIB)
  try {
    forget(folder)
    const config = {
      model: '4dhumans',
      device: 'cpu',
      precision: run.precision,
      detector: run.detector,
      maxPersons: 1,
      humans: {
        vitpose: 'vitpose-h',
        files: {
          'vitdet-h': files.vitdet,
          regnety: files.regnety,
          hmr2: files.hmr2,
          'hmr2-config': files.config,
          'smpl-neutral': files.body,
          'hmr2-joint-regressor': files.regressor,
          'vitpose-h': files.vitpose,
        },
      },
    }
    const args = ['--input-type=module', '-e', CHILD, '--', runtime.ROOT, JSON.stringify(config)]
    const child = cgroup.run(process.execPath, [...args, options.photo])
    const line = child.stdout.trim().split('\n').at(-1)
    const answer = line ? JSON.parse(line) : {}
    return {
      ...run,
      killed: child.signal ?? (child.status === 137 ? 'SIGKILL' : undefined),
      cgroupPeak: cgroup.peak(),
      ...(child.status !== 0 && { stderr: child.stderr.slice(-500) }),
      ...answer,
    }
  } finally {
    cgroup.remove()
  }
}

const wrong = (row) => {
  if (row.killed) return `killed by ${row.killed}`
  if (row.expect === 'refused')
    return row.code === 'ERR_POSE4D_MEMORY' ? null : `not refused for memory: ${row.code}`
  if (row.code) return `${row.code}: ${row.message}`
  if (!row.plan) return row.stderr ?? 'no answer'
  if (row.persons !== 1 || row.vertices !== 6890)
    return `${row.persons} people, ${row.vertices} vertices`
  return null
}

const gb = (bytes) => `${(bytes / GIB).toFixed(2)} GB`

function text(row) {
  const head = `${row.limit} GB, precision ${row.precision}, detector ${row.detector}`
  const fault = wrong(row)
  if (fault) return `${head}: FAILED: ${fault}`
  const held = `peak RSS ${gb(row.peakRss)}, the cgroup's peak with file cache ${gb(row.cgroupPeak)}`
  if (row.code) return `${head}: refused as it must be (${held})\n  ${row.message}`
  const parts = row.plan.models.map(
    (part) =>
      `${part.name} ${part.precision} ${part.residence === 'resident' ? '' : 'on demand '}${gb(part.weightBytes)}`,
  )
  const [host] = row.plan.devices
  return [
    `${head}: ${held}; planned ${gb(host.neededBytes)} of ${gb(host.availableBytes)}`,
    `  ${parts.join(', ')}; batch ${row.plan.batch}`,
    `  loaded in ${row.loadSeconds.toFixed(1)} s, first frame in ${row.seconds.toFixed(1)} s: ${row.persons} person, ${row.vertices} vertices`,
  ].join('\n')
}

const NETWORKS = [
  { network: 'hmr2', stage: 'hmr2', batches: [1, 8] },
  { network: 'vitpose', stage: 'vitPose', batches: [1, 8] },
  { network: 'regnety', stage: 'detect', batches: [1] },
  { network: 'vitdet', stage: 'detect', batches: [1] },
]

const STAND = `
import { createRequire } from 'node:module'
const [root, threads, image, load, stage, batch] = process.argv.slice(1)
const { Stand } = createRequire(root + '/')('./lib/bench.cjs')
const stand = new Stand(Number(threads))
await stand.ask(JSON.parse(image))
const loaded = await stand.ask(JSON.parse(load))
const ran = await stand.ask({ do: 'run', stage, batch: Number(batch), repeat: 1 })
console.log(JSON.stringify({ loaded, ran }))
`

/** Each network, precision and batch in a process of its own: bytes beside what is resident. */
function sizes(files) {
  const rows = []
  for (const { network, stage, batches } of NETWORKS)
    for (const precision of ['bf16', 'fp32'])
      for (const batch of batches) {
        process.stderr.write(`${network}, ${precision}, batch ${batch} …\n`)
        const image = { do: 'image', path: options.photo, width: 0, height: 0, person: null }
        const { config, body, regressor } = files
        const load = {
          ...{ do: 'load', network, path: files[network], config, body, regressor, precision },
          device: 'cpu',
        }
        const args = [runtime.ROOT, options.threads, JSON.stringify(image), JSON.stringify(load)]
        const child = spawnSync(
          process.execPath,
          ['--input-type=module', '-e', STAND, '--', ...args, stage, String(batch)],
          { encoding: 'utf8' },
        )
        if (child.status !== 0) throw new Error(child.stderr)
        const { loaded, ran } = JSON.parse(child.stdout)
        rows.push({
          network,
          precision,
          batch,
          weightBytes: loaded.weightBytes,
          residentBytes: loaded.rss - loaded.rssBefore,
          loadPeakBytes: loaded.peakRss - loaded.rssBefore,
          workingBytes: ran.peakRss - ran.rssBefore,
        })
      }
  return rows
}

const sizeText = (row) =>
  `${row.network} ${row.precision} batch ${row.batch}: ${mb(row.weightBytes)} of weights, ${mb(row.residentBytes)} resident, ${mb(row.loadPeakBytes)} while loading, ${mb(row.workingBytes)} at work`
const mb = (bytes) => `${Math.ceil(bytes / 2 ** 20)} MB`

async function main() {
  const folder = options.weights ?? mkdtempSync(join(tmpdir(), 'pose4d-memory-'))
  mkdirSync(folder, { recursive: true })
  process.stderr.write(`full-size random networks in ${folder} …\n`)
  const rows = []
  try {
    const files = await bench.randomWeights(folder)
    if (options.sizes) {
      const found = sizes(files)
      return console.log(
        options.json ? JSON.stringify(found, null, 2) : found.map(sizeText).join('\n'),
      )
    }
    const chosen = options.only?.split(',').map(Number)
    for (const run of RUNS.filter(({ limit }) => !chosen || chosen.includes(limit))) {
      process.stderr.write(`${run.limit} GB, ${run.precision}, ${run.detector} …\n`)
      const row = attempt(run, files, folder)
      rows.push(row)
      // As they come: a run may take minutes.
      if (!options.json) console.log(text(row))
    }
  } finally {
    if (!options.weights) rmSync(folder, { recursive: true, force: true })
  }
  if (options.json) console.log(JSON.stringify(rows, null, 2))
  if (rows.length === 0 || rows.some(wrong)) process.exitCode = 1
}

await main()
