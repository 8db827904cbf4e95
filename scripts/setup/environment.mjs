// The environment in which cargo and what it runs find libtorch.

import { spawn } from 'node:child_process'
import path from 'node:path'
import runtime from '../../lib/runtime.cjs'

const LIBRARY_PATH = { linux: 'LD_LIBRARY_PATH', darwin: 'DYLD_LIBRARY_PATH', win32: 'PATH' }

/** `process.env` with the project's libtorch first, whatever else the shell points to. */
export function cargoEnvironment(env = process.env) {
  const link = path.join(runtime.ROOT, '.libtorch')
  const name = LIBRARY_PATH[process.platform] ?? 'LD_LIBRARY_PATH'
  const lib = path.join(link, 'lib')
  const before = env[name]
  return { ...env, LIBTORCH: link, [name]: before ? `${lib}${path.delimiter}${before}` : lib }
}

/** Runs a command in the project with its output shown; resolves to the exit status. */
export function run(program, args, { env = process.env, onOutput } = {}) {
  const watched = Boolean(onOutput)
  const child = spawn(program, args, {
    cwd: runtime.ROOT,
    env,
    stdio: ['ignore', watched ? 'pipe' : 'inherit', watched ? 'pipe' : 'inherit'],
    shell: process.platform === 'win32' && !path.isAbsolute(program),
  })
  child.stdout?.on('data', (chunk) => {
    process.stdout.write(chunk)
    onOutput(chunk.toString())
  })
  child.stderr?.on('data', (chunk) => process.stderr.write(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve(status ?? 1))
  })
}

/** Runs a JavaScript command-line tool of a dependency with this very Node. */
export function runTool(packageFile, args, options) {
  return run(
    process.execPath,
    [path.join(runtime.ROOT, 'node_modules', packageFile), ...args],
    options,
  )
}
