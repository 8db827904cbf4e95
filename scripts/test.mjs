#!/usr/bin/env node
// Runs everything that must hold, step by step, and sums it up. The last line of the output is
// `N passed, N failed, N skipped`; the exit code is 0 only when nothing failed.
//   node scripts/test.mjs [--only step,step] [--list]

import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import runtime from '../lib/runtime.cjs'
import { cargoEnvironment, run, runTool } from './setup/environment.mjs'

const { ROOT } = runtime

/** A step that is one check: it passes or fails as a whole. */
const single = (action) => async () => {
  const ok = (await action()) === 0
  return { ok, passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }
}

const cargo = (...args) => run('cargo', args, { env: cargoEnvironment() })
const script = (name, ...args) => run(process.execPath, [path.join(ROOT, 'scripts', name), ...args])

/** Rust tests, counted from cargo's own summaries and from those of the parity comparisons. */
async function rustTests() {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  let text = ''
  const args = ['test', '--workspace', '--no-fail-fast']
  const onOutput = (chunk) => {
    text += chunk
  }
  const status = await run('cargo', args, { env: cargoEnvironment(), onOutput })
  for (const [, passed, failed, ignored] of text.matchAll(
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    counts.passed += Number(passed)
    counts.failed += Number(failed)
    counts.skipped += Number(ignored)
  }
  for (const [, judged, failed, skipped] of text.matchAll(
    /^(\d+) judged, (\d+) failed, (\d+) skipped$/gm,
  )) {
    counts.passed += Number(judged) - Number(failed)
    counts.failed += Number(failed)
    counts.skipped += Number(skipped)
  }
  return outcome(status, counts, 'no Rust test ran')
}

/** JavaScript tests, counted from the TAP report beside the readable one. */
async function javascriptTests() {
  const folder = path.join(ROOT, '__test__')
  const names = existsSync(folder) ? await readdir(folder) : []
  const files = names
    .filter((name) => name.endsWith('.test.mjs'))
    .map((n) => path.join('__test__', n))
  const report = path.join(ROOT, 'target', 'test-report.tap')
  await mkdir(path.dirname(report), { recursive: true })
  const status = await run(process.execPath, [
    '--test',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${report}`,
    ...files.sort(),
  ])
  const text = existsSync(report) ? await readFile(report, 'utf8') : ''
  const count = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  const counts = {
    passed: count('pass'),
    failed: count('fail') + count('cancelled'),
    skipped: count('skipped') + count('todo'),
  }
  return outcome(status, counts, 'no JavaScript test ran')
}

/** A failure that no test owns (nothing compiled, nothing ran) counts as one. */
function outcome(status, counts, nothing) {
  if (counts.passed + counts.failed === 0) process.stdout.write(`${nothing}\n`)
  const ran = counts.passed + counts.failed > 0
  const failed = (status !== 0 || !ran) && counts.failed === 0 ? 1 : counts.failed
  return { ...counts, failed, ok: failed === 0 }
}

async function types() {
  const compiler = await runTool('typescript/bin/tsc', ['-p', '__test__/types/tsconfig.json'])
  if (compiler !== 0) return compiler
  const publint = await runTool('publint/src/cli.js', ['--strict'])
  if (publint !== 0) return publint
  return runTool('@arethetypeswrong/cli/dist/index.js', ['--pack', '.', '--no-emoji'])
}

const STEPS = {
  'rust format': single(() => cargo('fmt', '--all', '--check')),
  'js format and lint': single(() =>
    runTool('@biomejs/biome/bin/biome', ['ci', '.', '--colors=off']),
  ),
  build: single(() => script('build.mjs', '--check-types')),
  'rust lint': single(() =>
    cargo('clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'),
  ),
  'rust tests': rustTests,
  types: single(types),
  'js tests': javascriptTests,
}

const { values } = parseArgs({
  options: { only: { type: 'string' }, list: { type: 'boolean', default: false } },
})
const only = values.only?.split(',')
const unknown = only?.filter((name) => !(name in STEPS)) ?? []
if (values.list || unknown.length > 0) {
  if (unknown.length > 0) process.stderr.write(`no such step: ${unknown.join(', ')}\n`)
  process.stdout.write(`${Object.keys(STEPS).join('\n')}\n`)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const rows = []
for (const [name, step] of Object.entries(STEPS)) {
  if (only && !only.includes(name)) continue
  process.stdout.write(`\n── ${name}\n`)
  const start = Date.now()
  const result = await step().catch((error) => {
    process.stdout.write(`${error.stack}\n`)
    return { ok: false, passed: 0, failed: 1, skipped: 0 }
  })
  rows.push({ name, seconds: (Date.now() - start) / 1000, ...result })
}

const sum = (key) => rows.reduce((total, row) => total + row[key], 0)
process.stdout.write('\n')
for (const { name, ok, seconds, passed, failed, skipped } of rows) {
  const verdict = ok ? 'ok    ' : 'FAILED'
  const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`
  process.stdout.write(
    `${verdict} ${name.padEnd(20)} ${seconds.toFixed(1).padStart(7)} s  ${counts}\n`,
  )
}
process.stdout.write(
  `${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped\n`,
)
process.exitCode = rows.every((row) => row.ok) ? 0 : 1
