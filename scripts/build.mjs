#!/usr/bin/env node
// Builds both native addons and writes the type declarations.
//   node scripts/build.mjs                 build what changed
//   node scripts/build.mjs --if-needed     not even ask cargo when the addons are newer than the sources
//   node scripts/build.mjs --check-types   fail, instead of rewriting, when index.d.ts is stale

import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import runtime from '../lib/runtime.cjs'
import { findForBuild, provideLibtorch } from './libtorch.mjs'
import { cargoEnvironment, runTool } from './setup/environment.mjs'
import { missingPrerequisites } from './setup/prerequisites.mjs'
import { declarationsAreFresh, writeDeclarations } from './types.mjs'

const { ROOT } = runtime
const NAPI = '@napi-rs/cli/dist/cli.js'
const SOURCES = ['src', 'boot', 'build.rs', 'Cargo.toml', 'Cargo.lock', 'lib', '.libtorch/lib']
/** napi-rs writes the declarations here; `scripts/types.mjs` makes index.d.ts of them. */
const RAW_TYPES = path.join('target', 'types', 'binding.d.ts')

async function newest(file) {
  const info = await stat(file)
  if (!info.isDirectory()) return info.mtimeMs
  const names = await readdir(file)
  const times = await Promise.all(names.map((name) => newest(path.join(file, name))))
  return Math.max(0, ...times)
}

async function addons() {
  const names = await readdir(ROOT)
  return names.filter((name) => /^pose4d(-boot)?\..+\.node$/.test(name))
}

async function upToDate() {
  const built = await addons()
  const kinds = new Set(built.map((name) => name.startsWith('pose4d-boot.')))
  if (kinds.size < 2 || !existsSync(path.join(ROOT, '.libtorch', 'lib'))) return false
  const oldest = Math.min(
    ...(await Promise.all(built.map((name) => newest(path.join(ROOT, name))))),
  )
  const sources = SOURCES.map((name) => path.join(ROOT, name)).filter((file) => existsSync(file))
  const times = await Promise.all(sources.map(newest))
  return times.every((time) => time <= oldest)
}

async function napiBuild(args) {
  const shared = ['build', '--platform', '--release', '--no-js', '--output-dir']
  const status = await runTool(NAPI, [...shared, ...args], { env: cargoEnvironment() })
  if (status !== 0) throw new Error('the native build failed (see above)')
}

/** New files are moved into place: a process that has the old one open keeps it whole. */
async function install(folder) {
  for (const name of await readdir(folder)) {
    if (name.endsWith('.node')) await rename(path.join(folder, name), path.join(ROOT, name))
  }
}

async function build({ checkTypes }) {
  const missing = missingPrerequisites({ libtorch: findForBuild().found !== null })
  if (missing.length > 0) {
    throw new Error(['this machine lacks:', ...missing.map((line) => `  - ${line}`)].join('\n'))
  }
  if (!existsSync(path.join(ROOT, 'node_modules', NAPI))) {
    throw new Error('node_modules is not there: run npm ci first')
  }
  await provideLibtorch()
  const out = path.join(ROOT, 'target', 'addons')
  await mkdir(out, { recursive: true })
  await mkdir(path.dirname(path.join(ROOT, RAW_TYPES)), { recursive: true })
  const rawTypes = path.join(ROOT, RAW_TYPES)
  await napiBuild([out, '--no-dts-header', '--dts', path.relative(out, rawTypes)])
  const boot = ['--manifest-path', 'boot/Cargo.toml', '--config-path', 'boot/napi.json']
  await napiBuild([out, ...boot, '--target-dir', 'target', '--dts', '../types/boot.d.ts'])
  await install(out)
  if (!checkTypes) await writeDeclarations(rawTypes)
  else if (!(await declarationsAreFresh(rawTypes))) {
    throw new Error('index.d.ts is stale: run npm run build and commit it')
  }
}

const { values } = parseArgs({
  options: {
    'if-needed': { type: 'boolean', default: false },
    'check-types': { type: 'boolean', default: false },
  },
})
try {
  if (!(values['if-needed'] && (await upToDate()))) {
    // A CI run must find a stale file, not mend it in passing.
    await build({ checkTypes: values['check-types'] || Boolean(process.env.CI) })
  }
} catch (error) {
  process.stderr.write(`build: ${error.message}\n`)
  process.exitCode = 1
}
