// The original networks in Python processes that answer line by line, for `--peer`.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const SCRIPTS = { hmr2: 'hmr2_python.py' }
const folder = fileURLToPath(new URL('../../benches/peers/', import.meta.url))

/** The processes for `--peer`; none without it. What does not start is told in `report.missing`. */
export async function openPeers(given, threads, report) {
  const open = new Map()
  if (given.peer !== undefined) {
    report.peers = {}
    for (const [name, script] of Object.entries(SCRIPTS)) {
      if (!existsSync(`${folder}${script}`)) continue
      const peer = new Peer(given.python, `${folder}${script}`, [given.peer, String(threads)])
      const { ready, missing } = await peer.hello()
      if (ready) {
        open.set(name, peer)
        report.peers[name] = ready
      } else {
        report.missing.push({ name: `the original ${name}`, why: missing })
        await peer.close()
      }
    }
  }
  return {
    of: (name) => open.get(name),
    close: () => Promise.all([...open.values()].map((peer) => peer.close())),
  }
}

class Peer {
  #child
  #lines
  #gone
  #errors = ''

  constructor(python, script, args) {
    // Its libtorch is its own.
    const { LD_LIBRARY_PATH: _, ...env } = process.env
    this.#child = spawn(python, [script, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] })
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
  async ask(task, batch) {
    this.#child.stdin.write(`${JSON.stringify({ task, batch, repeat: 1 })}\n`)
    return (await this.#answer()).ms[0]
  }

  async close() {
    this.#child.stdin.end()
    const late = setTimeout(() => this.#child.kill(), 3000)
    await this.#gone
    clearTimeout(late)
  }
}
