#!/usr/bin/env node
// Finds the libtorch to build against, or fetches it, and leaves the link .libtorch to it.
//   node scripts/libtorch.mjs            find or fetch, then link
//   node scripts/libtorch.mjs --find     the same without fetching; exit code 1 if there is none
//   node scripts/libtorch.mjs --fetch-only [--platform linux --arch arm64]   only fill the cache

import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import runtime from '../lib/runtime.cjs'
import { neededLibraries } from './setup/elf.mjs'
import { fetchLibtorch, say } from './setup/fetch.mjs'

const { LIBRARIES, ROOT, TORCH_VERSION, cachedRuntime, candidates, inspect } = runtime
const PYTHON_QUESTION =
  "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"

/** Every way to supply libtorch, for the message when none worked. */
export function waysToSupply() {
  return [
    `set POSE4D_LIBTORCH (or LIBTORCH) to an unpacked libtorch ${TORCH_VERSION} or a PyTorch's torch folder`,
    `or install it for Python: pip install torch==${TORCH_VERSION}`,
    `or copy ${cachedRuntime()} from a machine that has it (POSE4D_CACHE_DIR moves it)`,
    `or, on a machine with network: pip download --no-deps torch==${TORCH_VERSION} and pip download 'cuda-toolkit[cudart,cupti]==13.0.2', then set POSE4D_WHEELS to that folder here`,
    'or let this script reach PyPI (pip obeys PIP_INDEX_URL and HTTPS_PROXY)',
  ]
}

/** What a build needs beyond what running needs. */
function buildProblems(seen, platform = process.platform) {
  const problems = [...seen.problems]
  if (problems.length > 0) return problems
  const header = path.join(seen.root, 'include/torch/csrc/api/include/torch/torch.h')
  if (!existsSync(header)) problems.push('the C++ headers (include/) are missing')
  if (platform === 'win32') {
    if (seen.cuda) problems.push('a CUDA libtorch cannot be built against on Windows')
    if (!existsSync(path.join(seen.root, 'lib', 'torch_cpu.lib'))) {
      problems.push('lib/torch_cpu.lib is missing')
    }
  }
  return problems
}

function pythonTorch() {
  for (const python of ['python3', 'python']) {
    const answer = spawnSync(python, ['-c', PYTHON_QUESTION], { encoding: 'utf8' })
    const dir = answer.status === 0 ? answer.stdout.trim() : ''
    if (dir) return [{ from: `the torch of ${python}`, dir }]
  }
  return []
}

/** The first libtorch that a build can use, with the reasons against those before it. */
export function findForBuild() {
  const rejected = []
  const all = candidates()
  const cache = all.pop()
  const lazily = [...all.map((one) => () => [one]), pythonTorch, () => [cache]]
  for (const next of lazily) {
    for (const candidate of next()) {
      const seen = inspect(candidate.dir)
      const problems = buildProblems(seen)
      if (problems.length === 0) return { found: { ...candidate, ...seen }, rejected }
      rejected.push({ ...candidate, problems })
      if (candidate.strict) return { found: null, rejected }
    }
  }
  return { found: null, rejected }
}

/**
 * A folder to link against. A full PyTorch would tie the addon to CUDA, so it is shown to the
 * linker through a view that holds its CPU half only; at run time the real folder is used.
 */
async function linkable({ root, libDir, cuda }) {
  const torch = path.join(libDir, 'libtorch.so')
  const stub = path.basename(realpathSync(existsSync(torch) ? torch : libDir))
  if (process.platform !== 'linux' || (!cuda && stub === LIBRARIES.linux.cpu)) return root
  const real = realpathSync(root)
  const name = `view-${createHash('sha256').update(real).digest('hex').slice(0, 12)}`
  const view = path.join(path.dirname(cachedRuntime()), name)
  const temp = `${view}.${randomBytes(4).toString('hex')}`
  await mkdir(path.join(temp, 'lib'), { recursive: true })
  await symlink(path.join(real, 'include'), path.join(temp, 'include'))
  const version = path.join(real, 'version.py')
  if (existsSync(version)) await symlink(version, path.join(temp, 'version.py'))
  await linkClosure(libDir, path.join(temp, 'lib'))
  await rm(view, { recursive: true, force: true })
  await rename(temp, view)
  return view
}

async function linkClosure(libDir, target) {
  const vendors = path.join(libDir, '..', '..', 'nvidia')
  const folders = [libDir]
  if (existsSync(vendors)) {
    folders.push(...(await readdir(vendors)).sort().map((name) => path.join(vendors, name, 'lib')))
  }
  const queue = [LIBRARIES.linux.cpu]
  const done = new Set()
  for (let name = queue.shift(); name; name = queue.shift()) {
    const home = folders.map((dir) => path.join(dir, name)).find((file) => existsSync(file))
    if (done.has(name) || !home) continue
    done.add(name)
    await symlink(home, path.join(target, name))
    queue.push(...(await neededLibraries(home)))
  }
  await symlink(LIBRARIES.linux.cpu, path.join(target, 'libtorch.so'))
}

/** Points the project's .libtorch at `dir`, in one step. */
async function pointLink(dir) {
  const link = path.join(ROOT, '.libtorch')
  if (path.resolve(dir) === link) return
  if (existsSync(link) && realpathSync(link) === realpathSync(dir)) return
  const temp = `${link}-${randomBytes(4).toString('hex')}`
  await symlink(path.resolve(dir), temp, 'junction')
  if (process.platform === 'win32') await rm(link, { recursive: true, force: true })
  await rename(temp, link)
}

/** Finds or fetches; returns the folder that .libtorch now leads to. */
export async function provideLibtorch({ fetch = true } = {}) {
  let { found, rejected } = findForBuild()
  const strict = rejected.find((candidate) => candidate.strict)
  if (!found && strict) throw failure(`${strict.from} cannot be used`, rejected)
  if (!found && !fetch) throw failure('none found', rejected)
  if (!found) {
    try {
      const dir = await fetchLibtorch()
      found = { from: 'the cache', dir, ...inspect(dir) }
    } catch (error) {
      throw failure(`none found, and fetching it failed: ${error.message}`, rejected)
    }
  }
  await pointLink(await linkable(found))
  say(`${found.version} from ${found.from} (${found.root}${found.cuda ? ', with CUDA' : ''})`)
  return found
}

function failure(headline, rejected) {
  const causes = rejected.map(
    ({ from, dir, problems }) => `${from} (${dir}): ${problems.join(', ')}`,
  )
  const lines = [
    headline,
    'looked at:',
    ...causes.map((line) => `  - ${line}`),
    'ways to supply it:',
  ]
  return new Error([...lines, ...waysToSupply().map((line) => `  - ${line}`)].join('\n'))
}

async function main() {
  const { values } = parseArgs({
    options: {
      find: { type: 'boolean', default: false },
      'fetch-only': { type: 'boolean', default: false },
      platform: { type: 'string', default: process.platform },
      arch: { type: 'string', default: process.arch },
    },
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
  try {
    if (values['fetch-only']) {
      await fetchLibtorch({ platform: values.platform, arch: values.arch }).catch((error) => {
        throw failure(`fetching failed: ${error.message}`, [])
      })
    } else {
      await provideLibtorch({ fetch: !values.find })
    }
  } catch (error) {
    say(error.message)
    process.exitCode = 1
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  await main()
