// What must be on the machine before the project can be built, and how to get what is not.

import { spawnSync } from 'node:child_process'
import { findPip } from './pip.mjs'

const NODE = [20, 17]
const RUST = [1, 89]

function version(program, args = ['--version']) {
  const answer = spawnSync(program, args, { encoding: 'utf8', shell: process.platform === 'win32' })
  if (answer.status !== 0) return null
  const numbers = /(\d+)\.(\d+)/.exec(`${answer.stdout}${answer.stderr}`)
  return numbers ? numbers.slice(1, 3).map(Number) : [0, 0]
}

const older = (have, want) => have[0] < want[0] || (have[0] === want[0] && have[1] < want[1])

function systemHint(debian, mac, windows) {
  if (process.platform === 'darwin') return mac
  if (process.platform === 'win32') return windows
  return debian
}

/** Everything that is missing, each with the way to get it; `libtorch`: it is there already. */
export function missingPrerequisites({ libtorch }) {
  const missing = []
  const node = process.versions.node.split('.').map(Number)
  if (older(node, NODE)) {
    missing.push(`Node ${NODE.join('.')} or newer (this is ${process.version}): https://nodejs.org`)
  }
  const rust = version('rustc')
  const rustHint = 'https://rustup.rs, or: rustup update stable'
  if (!rust || !version('cargo')) {
    missing.push(`Rust ${RUST.join('.')} or newer with cargo (not found): ${rustHint}`)
  } else if (older(rust, RUST)) {
    missing.push(`Rust ${RUST.join('.')} or newer (this is ${rust.join('.')}): ${rustHint}`)
  }
  if (!compilerIsThere()) {
    const hint = systemHint(
      'apt-get install g++',
      'xcode-select --install',
      'Visual Studio Build Tools with "Desktop development with C++"',
    )
    missing.push(`a C++17 compiler (not found): ${hint}`)
  }
  if (!libtorch && !findPip()) {
    const hint = systemHint(
      'apt-get install python3-pip',
      'brew install python',
      'https://python.org',
    )
    missing.push(`Python's pip, to fetch libtorch (not found): ${hint}; or set POSE4D_LIBTORCH`)
  }
  return missing
}

function compilerIsThere() {
  // Visual Studio's compiler is on no PATH; cargo finds it by itself, or says so.
  if (process.platform === 'win32') return true
  const named = process.env.CXX ? [process.env.CXX] : []
  return [...named, 'c++', 'g++', 'clang++'].some((program) => version(program))
}
