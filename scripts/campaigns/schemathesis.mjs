#!/usr/bin/env node
// Schemathesis, the property-based tester of APIs, on the service's own OpenAPI description: malformed and
// well-formed requests by the ten thousand, none of which may be answered with 5xx or with a body that is
// not described.
//   node scripts/campaigns/schemathesis.mjs [--examples n] [--seed n] [--python file]
// needs: Python 3.10 or later; schemathesis comes from PyPI into a folder of its own

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import runtime from '../../lib/runtime.cjs'
import { createServer } from '../../service/index.cjs'

const VERSION = '4.32.5'
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'unsupported_method',
]
const { values } = parseArgs({
  options: {
    examples: { type: 'string', default: '760' },
    seed: { type: 'string', default: '20261121' },
    python: { type: 'string', default: 'python3' },
  },
})

function run(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options })
  let text = ''
  child.stdout.on('data', (data) => {
    text += data
    process.stdout.write(data)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, text }))
  })
}

async function schemathesis() {
  const folder = path.join(runtime.cacheRoot(), 'pose4d', `schemathesis-${VERSION}`)
  const tool = path.join(folder, process.platform === 'win32' ? 'Scripts' : 'bin', 'schemathesis')
  if (existsSync(tool)) return tool
  await run(values.python, ['-m', 'venv', folder])
  const pip = path.join(path.dirname(tool), 'pip')
  const { code } = await run(pip, ['install', '-q', `schemathesis==${VERSION}`])
  if (code !== 0) throw new Error('schemathesis could not be installed')
  return tool
}

const tool = await schemathesis()
const folder = mkdtempSync(path.join(tmpdir(), 'pose4d-schemathesis-'))
const faults = []
const app = await createServer({
  engineConfig: { model: 'blazepose', modelVariant: 'fast', blazepose: { tileScales: [] } },
  cacheDir: path.join(folder, 'cache'),
  dataDir: path.join(folder, 'data'),
  logger: { level: 'error', stream: { write: (line) => faults.push(line) } },
})
let requests = 0
const statuses = {}
app.addHook('onResponse', async (_, reply) => {
  requests += 1
  statuses[reply.statusCode] = (statuses[reply.statusCode] ?? 0) + 1
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })
const began = Date.now()
const { code, text } = await run(
  tool,
  [
    ...['run', `${url}/openapi.json`],
    ...['--checks', CHECKS.join(','), '--mode', 'all', '--phases', 'examples,coverage,fuzzing'],
    ...['--max-examples', values.examples, '--seed', values.seed, '--continue-on-failure'],
    ...['--request-timeout', '60'],
    // A deadline of 100 ms may pass, on a busy machine, and is then answered as asked for: with 504.
    ...['--header', 'x-timeout-ms: 60000'],
  ],
  { cwd: folder },
)
const seconds = Math.round((Date.now() - began) / 1000)
await app.close()
rmSync(folder, { recursive: true, force: true })
const server = Object.entries(statuses).filter(([status]) => Number(status) >= 500)
process.stdout.write(
  `${faults.join('')}${requests} requests in ${seconds} s: ${JSON.stringify(statuses)}\n`,
)
process.stdout.write(`5xx: ${JSON.stringify(Object.fromEntries(server))}\n`)
/** In a form everything is bytes: a number in the place of the file is a file with digits in it. */
const known = (finding) => finding.includes('violates `type` at /properties/video')
const findings = text.split(/^- ST\d+ /m).slice(1)
const ok = code === 0 || (findings.length > 0 && findings.every(known))
process.exitCode = ok && server.length === 0 && faults.length === 0 ? 0 : 1
