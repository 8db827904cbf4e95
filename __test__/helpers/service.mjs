// The service as its clients meet it: listening on a port of its own, with a folder of its own.

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { renderOverlay } from '../../index.mjs'
import { createServer } from '../../service/index.cjs'
import { sample } from './images.mjs'

const require = createRequire(import.meta.url)
const Ajv = require('ajv/dist/2020').default

/** What a test that failed left running. */
const running = new Set()
after(() => Promise.all([...running].map((close) => close())))

/** Ended with the tests, whatever became of them. */
export function endWithTests(child) {
  const end = async () => child.kill('SIGKILL')
  running.add(end)
  child.once('exit', () => running.delete(end))
  return child
}

/** `{ app, url, dataDir, close }`; `close` takes the folder along. */
export async function serve(options = {}) {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'pose4d-service-'))
  const app = await createServer({ warmup: false, ...options, dataDir })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const close = async () => {
    running.delete(close)
    await app.close()
    if (!options.dataDir) rmSync(dataDir, { recursive: true, force: true })
  }
  running.add(close)
  return { app, url, dataDir, port: app.server.address().port, close }
}

/** Checks answers against the service's own description: every field, type and nothing beside. */
export async function describedBy(app) {
  const { body } = await app.inject('/openapi.json')
  const document = JSON.parse(body)
  const ajv = new Ajv({ strict: false, allErrors: true })
  ajv.addSchema({ $id: 'api', ...document })
  return {
    document,
    check(path, method, status, value) {
      const at = path.replaceAll('~', '~0').replaceAll('/', '~1')
      const place = `api#/paths/${encodeURIComponent(at)}/${method}/responses/${status}/content/application~1json/schema`
      const validate = ajv.getSchema(place)
      if (!validate) throw new Error(`${method} ${path} ${status} is not described`)
      if (validate(value)) return
      const [first] = validate.errors
      throw new Error(
        `${method} ${path} ${status}: ${first.instancePath} ${first.message} ${JSON.stringify(first.params)}`,
      )
    },
  }
}

/** A file as a browser's form sends it. */
export async function form(fields) {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) {
    if (value?.bytes) data.append(name, new Blob([value.bytes]), value.name)
    else data.append(name, value)
  }
  const request = new Request('http://localhost/', { method: 'POST', body: data })
  return {
    payload: Buffer.from(await request.arrayBuffer()),
    headers: { 'content-type': request.headers.get('content-type') },
  }
}

const SIDE = 560
/** Cut-outs of the sample photo, each another: `count` JPEGs with people at different places. */
export async function cutouts(count) {
  const whole = { image: sample() }
  const nobody = { persons: [] }
  const size = { width: 1768, height: 994 }
  const empty = { frameWidth: size.width, frameHeight: size.height, ...nobody }
  const pixels = await renderOverlay(whole, empty, { format: 'rgb' })
  const cut = (i) => {
    const left = 280 + 3 * (i % 47)
    const top = 5 * Math.floor(i / 47)
    const part = Buffer.alloc(SIDE * SIDE * 3)
    for (let y = 0; y < SIDE; y++) {
      const from = 3 * ((top + y) * size.width + left)
      pixels.copy(part, 3 * y * SIDE, from, from + 3 * SIDE)
    }
    const frame = { pixels: part, width: SIDE, height: SIDE }
    return renderOverlay(
      frame,
      { frameWidth: SIDE, frameHeight: SIDE, ...nobody },
      { format: 'jpeg' },
    )
  }
  return Promise.all(Array.from({ length: count }, (_, i) => cut(i)))
}
