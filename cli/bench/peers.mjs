// The original networks in Python processes that answer line by line, for `--peer`.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { EnvironmentError } from '../exit.mjs'

const folder = fileURLToPath(new URL('../../benches/peers/', import.meta.url))
const DETECTORS = `${folder}detectors_python.py`

/**
 * The original of `network` in a process of its own; nothing where it was not asked for, or where
 * it does not start, which `report.missing` then tells.
 */
export async function startPeer(network, { given, threads, files, report }) {
  const missing = (why) => {
    report.missing.push({ name: `the original ${network}`, why })
  }
  const [script, args] = command(network, { given, threads, files })
  if (!script) return undefined
  if (script === DETECTORS && given.photo === undefined) return missing('it needs a photo')
  if (script === DETECTORS && !files[network].endsWith('.pkl'))
    return missing(`it reads pickles, and the file here is ${files[network]}`)
  const peer = new Peer(given.python, script, args)
  const hello = await peer.hello()
  if (hello.missing) {
    await peer.close()
    return missing(hello.missing)
  }
  report.peers = { ...report.peers, [network]: hello.ready }
  return peer
}

function command(network, { given, threads, files }) {
  if (network === 'hmr2' && given.peer !== undefined)
    return [`${folder}hmr2_python.py`, [given.peer, String(threads)]]
  if (['vitdet', 'regnety'].includes(network) && given.detectron2 !== undefined)
    return [DETECTORS, [given.detectron2, String(threads), network, files[network]]]
  return []
}

/** The detectors as pickles that both sides read, with random weights; answers their paths. */
export function writeDetectors(given, target) {
  const files = {}
  for (const kind of ['regnety', 'vitdet']) {
    const path = `${target}/${kind}.pkl`
    if (!existsSync(path)) {
      const args = [DETECTORS, 'write', given.detectron2, kind, path]
      const { status, stderr, error } = spawnSync(given.python, args, {
        env: environment(),
        encoding: 'utf8',
      })
      if (status !== 0)
        throw new EnvironmentError(
          `The original ${kind} cannot be made: ${error?.message ?? stderr.trim().split('\n').at(-1)}`,
        )
    }
    files[kind] = path
  }
  return files
}

/** Its libtorch is its own. */
function environment() {
  const { LD_LIBRARY_PATH: _, ...env } = process.env
  return env
}

class Peer {
  #child
  #lines
  #gone
  #errors = ''

  constructor(python, script, args) {
    this.#child = spawn(python, [script, ...args], {
      env: environment(),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.on('data', (data) => {
      this.#errors = (this.#errors + data).slice(-2000)
    })
    this.#gone = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message))
      this.#child.once('exit', (code, signal) =>
        resolve(`ended with ${signal ?? code}: ${this.#errors.trim().split('\n').at(-1)}`),
      )
    })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** `{ ready }`, or why not: `{ missing }`. */
  async hello() {
    try {
      return await this.#answer()
    } catch (error) {
      return { missing: error.message }
    }
  }

  async #answer() {
    const next = await Promise.race([this.#lines.next(), this.#gone.then((why) => ({ why }))])
    // What it printed before it ended is still in the pipe.
    const line = next.why === undefined ? next : await this.#lines.next()
    if (line.done) throw new Error(await this.#gone)
    return JSON.parse(line.value)
  }

  /** Milliseconds of one pass. */
  async ask(task, batch, image) {
    this.#child.stdin.write(`${JSON.stringify({ task, batch, repeat: 1, image })}\n`)
    const { ms } = await this.#answer()
    return Array.isArray(ms) ? ms[0] : ms.whole
  }

  async close() {
    this.#child.stdin.end()
    const late = setTimeout(() => this.#child.kill(), 3000)
    await this.#gone
    clearTimeout(late)
  }
}
