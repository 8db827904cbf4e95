#!/usr/bin/env node
// `npm run fuzz`: libFuzzer on every reader of checkpoints, one after another, and a table of what
// came of it. The short run that needs neither nightly Rust nor cargo-fuzz is in `npm test`
// (tests/fuzz_replay.rs).
//
// Seeds are the good and hostile corpora of tests/checkpoints and what earlier runs kept in
// fuzz/corpora; `--keep` packs there what this run found worth keeping. An input that fails lies in
// fuzz/artifacts/<target>; once mended, it belongs into fuzz/regressions/<target>.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import runtime from '../lib/runtime.cjs'
import { tar } from './setup/tar.mjs'

const HELP = `usage: npm run fuzz -- [options] [target…]
  --seconds n   per target (default 60)
  --jobs n      processes per target (default 1)
  --keep        pack the smallest inputs that reach everything into fuzz/corpora
  --list        print the targets
  --json        print the table as JSON
needs: rustup toolchain install nightly; cargo install cargo-fuzz`

const FUZZ = path.join(runtime.ROOT, 'fuzz')
/** The readers' own bound is 64 MB; the sanitizer and the fuzzer itself take the rest. */
const LIMITS = [
  '-malloc_limit_mb=80',
  '-rss_limit_mb=1024',
  // The sanitizer makes bombs that are refused in half a second fifty times as slow.
  '-timeout=20',
  '-report_slow_units=20',
  '-max_len=65536',
]
/** A kept corpus larger than this does not go into the repository. */
const MOST_KEPT = 300 * 1024

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    jobs: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const targets = readdirSync(path.join(FUZZ, 'fuzz_targets'))
  .map((file) => path.basename(file, '.rs'))
  .sort()

/** Runs a program in the project; resolves to its exit status and all that it printed. */
function run(program, args) {
  const child = spawn(program, args, { cwd: runtime.ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
  }
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ status: 127, text: String(error) }))
    child.once('close', (status) => resolve({ status: status ?? 1, text }))
  })
}

const cargoFuzz = (command, ...args) =>
  run('cargo', ['+nightly', 'fuzz', command, '--fuzz-dir', FUZZ, ...args])

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

async function prepare(chosen) {
  const version = await run('cargo', ['+nightly', 'fuzz', '--version'])
  if (version.status !== 0) {
    fail(`cargo-fuzz on nightly Rust is needed, and was not found\n${HELP}`)
  }
  process.stderr.write('building the targets\n')
  for (const target of chosen) {
    const built = await cargoFuzz('build', '-O', target)
    if (built.status !== 0) fail(built.text)
  }
  const manifest = path.join(FUZZ, 'Cargo.toml')
  const corpus = path.join(FUZZ, 'corpus')
  const args = [
    'run',
    '-q',
    '--release',
    '--manifest-path',
    manifest,
    '--bin',
    'seeds',
    '--',
    corpus,
  ]
  const seeds = await run('cargo', args)
  if (seeds.status !== 0) fail(seeds.text)
}

async function fuzz(target) {
  const corpus = path.join(FUZZ, 'corpus', target)
  const artifacts = path.join(FUZZ, 'artifacts', target)
  mkdirSync(artifacts, { recursive: true })
  const before = new Set(readdirSync(artifacts))
  const time = `-max_total_time=${options.seconds}`
  const jobs = Number(options.jobs) > 1 ? [`-fork=${options.jobs}`, '-ignore_crashes=1'] : []
  const flags = [...LIMITS, time, '-print_final_stats=1', ...jobs]
  const start = Date.now()
  const { status, text } = await cargoFuzz('run', '-O', target, corpus, '--', ...flags)
  const found = readdirSync(artifacts).filter((name) => !before.has(name))
  const counts = [...text.matchAll(/^#(\d+)\D.*?cov: (\d+) ft: (\d+)/gm)].at(-1) ?? []
  const total = /stat::number_of_executed_units: (\d+)/.exec(text)?.[1] ?? counts[1] ?? 0
  if (status !== 0) process.stderr.write(`${text.slice(-6000)}\n`)
  return {
    target,
    inputs: Number(total),
    seconds: (Date.now() - start) / 1000,
    coverage: Number(counts[2] ?? 0),
    failures: found.map((name) => path.join('fuzz/artifacts', target, name)),
    ok: status === 0 && found.length === 0,
  }
}

/** The fewest inputs that reach all that the corpus reaches, small ones first, up to a limit. */
async function keep(target) {
  const corpus = path.join(FUZZ, 'corpus', target)
  const { status, text } = await cargoFuzz('cmin', '-O', target, corpus)
  if (status !== 0) fail(text)
  const files = readdirSync(corpus)
    .map((name) => ({ name, data: readFileSync(path.join(corpus, name)) }))
    // Seeds come from the corpora anyway; what the fuzzer found is called by its hash.
    .filter(({ name }) => /^[0-9a-f]{40}$/.test(name))
    .sort((a, b) => a.data.length - b.data.length || (a.name < b.name ? -1 : 1))
  const folder = path.join(FUZZ, 'corpora')
  mkdirSync(folder, { recursive: true })
  let archive = gzipSync(tar(files), { level: 9 })
  while (archive.length > MOST_KEPT) {
    files.length = Math.floor(files.length * 0.8)
    archive = gzipSync(tar(files), { level: 9 })
  }
  const output = path.join(folder, `${target}.tar.gz`)
  if (files.length > 0) writeFileSync(output, archive)
  else if (existsSync(output)) rmSync(output)
  process.stderr.write(`${target}: kept ${files.length} inputs, ${archive.length} bytes\n`)
}

if (options.help) {
  process.stdout.write(`${HELP}\n`)
  process.exit(0)
}
if (options.list) {
  process.stdout.write(`${targets.join('\n')}\n`)
  process.exit(0)
}
const unknown = positionals.filter((name) => !targets.includes(name))
if (unknown.length > 0)
  fail(`no such target: ${unknown.join(', ')}; there are ${targets.join(' ')}`)
const chosen = positionals.length > 0 ? positionals : targets

await prepare(chosen)
const rows = []
for (const target of chosen) {
  process.stderr.write(`${target}: ${options.seconds} s\n`)
  rows.push(await fuzz(target))
  if (options.keep) await keep(target)
}
if (options.json) {
  process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
} else {
  process.stdout.write(
    '| target | inputs | seconds | coverage | failures |\n|---|---:|---:|---:|---:|\n',
  )
  for (const { target, inputs, seconds, coverage, failures } of rows) {
    const cells = [
      target,
      inputs.toLocaleString('en'),
      Math.round(seconds),
      coverage,
      failures.length,
    ]
    process.stdout.write(`| ${cells.join(' | ')} |\n`)
  }
}
for (const { failures } of rows) for (const file of failures) process.stdout.write(`${file}\n`)
process.exitCode = rows.every((row) => row.ok) ? 0 : 1
