// A model world in small: weights made here, a server that has them, a manifest that names them,
// and a home folder of its own.

import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

/** A safetensors file of float32 tensors `{ name: shape }`, filled with a simple pattern. */
export function safetensors(shapes, seed = 1) {
  const header = {}
  const parts = []
  let offset = 0
  for (const [name, shape] of Object.entries(shapes)) {
    const values = new Float32Array(shape.reduce((n, d) => n * d, 1))
    for (let i = 0; i < values.length; i++) values[i] = Math.sin(seed + i * 0.37) * 0.5
    const bytes = Buffer.from(values.buffer)
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes.length] }
    offset += bytes.length
    parts.push(bytes)
  }
  let text = JSON.stringify(header)
  text += ' '.repeat((8 - (text.length % 8)) % 8)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, Buffer.from(text), ...parts])
}

/**
 * A server of `files` (`{ name: Buffer }`) that understands ranges and ETags. `pace(name, sent)`
 * may answer a promise to wait for after each piece; every request is kept in `requests`.
 */
export async function serve(files, { pace, piece = 64 << 10 } = {}) {
  const requests = []
  const server = createServer(async (request, response) => {
    const name = decodeURIComponent(request.url.slice(1))
    requests.push({ name, range: request.headers.range })
    const bytes = files[name]
    if (!bytes) return response.writeHead(404).end('no such file')
    const etag = `"${sha256(bytes).slice(0, 16)}"`
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const fits = !request.headers['if-range'] || request.headers['if-range'] === etag
    const start = range && fits ? Number(range[1]) : 0
    const end = range?.[2] && fits ? Number(range[2]) + 1 : bytes.length
    const head = { etag, 'accept-ranges': 'bytes', 'content-length': end - start }
    if (range && fits) head['content-range'] = `bytes ${start}-${end - 1}/${bytes.length}`
    response.writeHead(range && fits ? 206 : 200, head)
    if (request.method === 'HEAD') return response.end()
    for (let at = start; at < end && !response.destroyed; at += piece) {
      response.write(bytes.subarray(at, Math.min(end, at + piece)))
      await pace?.(name, at + piece)
    }
    response.end()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A manifest entry of a file that is downloaded. */
export const entry = (id, bytes, urls, more) => ({
  id,
  family: 'test',
  component: id,
  purpose: `the test file ${id}`,
  source: 'download',
  file: `${id}.safetensors`,
  place: `test/${id}.safetensors`,
  urls,
  bytes: bytes.length,
  exact: true,
  sha256: sha256(bytes),
  licence: 'MIT',
  format: 'safetensors',
  precision: 'fp32',
  ...more,
})

/**
 * Folders for one test: a home, a cache, a place to work. `environment` is for a child process;
 * nothing of this machine's own caches is seen in it.
 */
export function world(entries = [], sets = {}) {
  const root = mkdtempSync(join(tmpdir(), 'pose4d-models-'))
  const path = (name) => join(root, name)
  for (const name of ['home', 'work']) mkdirSync(path(name))
  const manifest = path('manifest.json')
  writeFileSync(manifest, JSON.stringify({ version: 1, sets, entries }))
  return {
    root,
    path,
    cacheDir: path('cache'),
    manifest,
    environment: {
      HOME: path('home'),
      USERPROFILE: path('home'),
      XDG_CACHE_HOME: path('home/.cache'),
      POSE4D_CACHE_DIR: path('cache'),
      POSE4D_MANIFEST: manifest,
      FVCORE_CACHE: '',
      TORCH_HOME: '',
      HF_HOME: '',
      HF_HUB_CACHE: '',
      HUGGINGFACE_HUB_CACHE: '',
      POSE4D_OFFLINE: '',
      HTTP_PROXY: '',
      http_proxy: '',
      HTTPS_PROXY: '',
      https_proxy: '',
      ALL_PROXY: '',
      all_proxy: '',
      NO_PROXY: '',
      no_proxy: '',
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}
