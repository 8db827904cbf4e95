#!/usr/bin/env node
// Watches the system calls of the hostile corpus' test (Linux, strace): whatever a file names or
// links to, no process may start, nothing may be connected to, and no file but the input and
// temporary ones may be opened.
//   node scripts/campaigns/sealed.mjs [test binary]

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import runtime from '../../lib/runtime.cjs'
import { cargoEnvironment } from '../setup/environment.mjs'

const CALLS = 'execve,execveat,fork,vfork,connect,socket,open,openat,openat2,creat,symlink,link'
/** What the test harness and the memory readings open themselves. */
const OWN = [
  /^\/proc\/self\//,
  /^\/sys\/fs\/cgroup\//,
  /^\/etc\/ld\.so\./,
  /\.so(\.[\d.]+)?$/,
  /\/terminfo\//,
  /^\/proc\/sys\/vm\/overcommit_memory$/,
  /\/tests\/checkpoints\/hostile\.tar\.gz$/,
]

/** Path of the compiled test. */
function testBinary() {
  const args = ['test', '--test', 'vault_hostile', '--no-run', '--message-format=json']
  const built = spawnSync('cargo', args, {
    cwd: runtime.ROOT,
    env: cargoEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  })
  const lines = built.stdout.toString().split('\n').filter(Boolean)
  const found = lines.map((line) => JSON.parse(line)).filter((message) => message.executable)
  return found.at(-1)?.executable
}

/** Why a line of strace's record is not as it should be; nothing when it is. */
function complaint(line, temporary) {
  const [, call, rest] = /^\d+\s+(\w+)\((.*)$/.exec(line) ?? []
  if (call === undefined || /= -1 E/.test(line)) return undefined
  if (!call.startsWith('open') && call !== 'creat') return line
  const file = /"((?:[^"\\]|\\.)*)"/.exec(rest)?.[1] ?? ''
  // Relative names are those of folders being removed, below an open folder.
  const known = !file.startsWith('/') || file === temporary || file.startsWith(`${temporary}/`)
  return known || OWN.some((pattern) => pattern.test(file)) ? undefined : line
}

const binary = process.argv[2] ?? testBinary()
const folder = mkdtempSync(path.join(tmpdir(), 'pose4d-sealed-'))
const record = path.join(folder, 'calls')
const temporary = path.join(folder, 'tmp')
try {
  spawnSync('mkdir', [temporary])
  const args = ['-f', '-qq', '-e', `trace=${CALLS}`, '-o', record, binary]
  const env = {
    ...cargoEnvironment(),
    TMPDIR: temporary,
    CARGO_MANIFEST_DIR: runtime.ROOT,
    RUST_BACKTRACE: '0',
  }
  const watched = spawnSync('strace', args, { cwd: runtime.ROOT, env, stdio: 'ignore' })
  if (watched.error) throw watched.error
  // The first line is strace starting the test.
  const lines = readFileSync(record, 'utf8').split('\n').slice(1)
  const wrong = lines.map((line) => complaint(line, temporary)).filter(Boolean)
  const opened = lines.filter((line) => line.includes(temporary)).length
  for (const line of wrong) process.stdout.write(`${line}\n`)
  process.stdout.write(`${opened} files of the corpus opened, ${wrong.length} calls out of place\n`)
  process.exitCode = wrong.length === 0 && opened > 400 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
