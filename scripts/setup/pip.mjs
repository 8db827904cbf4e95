// Fetches wheels through pip, whatever version the Python beside it has.

import { spawn, spawnSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'

const COMMANDS = [
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['py', '-3', '-m', 'pip'],
  ['pip3'],
  ['pip'],
]

/** The first way to call pip that answers, or null. */
export function findPip() {
  for (const command of COMMANDS) {
    const [program, ...args] = command
    const answer = spawnSync(program, [...args, '--version'], { encoding: 'utf8' })
    if (answer.status === 0) return { command, version: /pip (\S+)/.exec(answer.stdout)?.[1] }
  }
  return null
}

/** pip's names for the platforms whose wheels run here, for `--platform`. */
export function platformTags(platform, arch) {
  if (platform === 'linux') {
    const machine = { x64: 'x86_64', arm64: 'aarch64' }[arch]
    // A wheel is found only under the very tag it was published with, so all are named.
    const minors = Array.from({ length: 24 }, (_, index) => 28 - index)
    return [...minors.map((n) => `manylinux_2_${n}_${machine}`), `manylinux2014_${machine}`]
  }
  if (platform === 'darwin') return ['macosx_14_0_arm64', 'macosx_11_0_arm64']
  return ['win_amd64']
}

/**
 * Downloads wheels into `folder`; pip's own progress goes to stderr.
 * @param {{ command: string[] }} pip
 */
export async function downloadWheels(pip, folder, requirements, { platform, arch, deps }) {
  const [program, ...before] = pip.command
  const args = [...before, 'download', ...requirements, '--dest', folder]
  args.push('--only-binary=:all:', '--implementation', 'cp', '--python-version', '3.11')
  // What is kept lies in our own cache; pip's would hold half a gigabyte for nobody.
  args.push('--no-cache-dir', '--disable-pip-version-check')
  if (!deps) args.push('--no-deps')
  for (const tag of platformTags(platform, arch)) args.push('--platform', tag)
  const child = spawn(program, args, { stdio: ['ignore', 2, 2] })
  const stop = () => child.kill()
  process.once('exit', stop)
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  process.removeListener('exit', stop)
  if (status !== 0) throw new Error(`pip download ${requirements.join(' ')} failed (see above)`)
}

/** The wheel of a package in `folder`, or null. */
export async function wheelIn(folder, name, version = '') {
  const prefix = `${name.replaceAll('-', '_')}-${version}`
  const files = (await readdir(folder)).filter((f) => f.startsWith(prefix) && f.endsWith('.whl'))
  return files.length > 0 ? path.join(folder, files.sort().at(-1)) : null
}
