// Thousands of malformed requests, made from the service's own description: it answers each with a
// refusal that its description has, and never with a fault of its own. `scripts/campaigns/schemathesis.mjs`
// is the long run.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { createEngine } from '../index.mjs'
import { png } from './helpers/images.mjs'
import { describedBy, serve } from './helpers/service.mjs'

const REQUESTS = 3000
const SEED = 20261121

/** mulberry32: the same requests in every run. */
function random(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const next = random(SEED)
const pick = (list) => list[Math.floor(next() * list.length)]
const chance = (share) => next() < share

const deep = (levels) => JSON.parse('['.repeat(levels) + ']'.repeat(levels))
const VALUES = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    -0,
    1e308,
    -1e308,
    2 ** 53,
    9e15,
    NaN,
    '',
    ' ',
    'a',
    '0',
    '-1',
  ],
  ...[
    '\0',
    '\ud800',
    '😀',
    '../..',
    '/etc/passwd',
    "' OR 1=1 --",
    '{{7*7}}',
    '%00',
    'A'.repeat(5000),
  ],
  ...['data:image/png;base64,', 'data:,x', '====', 'AAAA', '__proto__', 'http://localhost/x.mp4'],
  ...[png(8, 8).toString('base64'), [], [[]], {}, { a: 1 }, { length: 3 }, [null], deep(200)],
]
const NAMES = [
  'image_base64',
  'image',
  'frame_number',
  'visualize',
  'mesh',
  'constructor',
  'toString',
]
NAMES.push('video_path', 'max_frames', 'confirm', 'model', 'export_path', 'format', 'x', '')
const TEXTS = [
  '',
  '{',
  '}',
  '[',
  'null',
  '"a"',
  '1',
  '{"a":}',
  '{"a":1,}',
  '\u0000',
  '{"a":1}{"b":2}',
]
TEXTS.push(
  '{"__proto__":{"x":1}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '['.repeat(3000),
  'NaN',
)
TEXTS.push('{"image_base64":"a","image_base64":1}', '\ufeff{}', '{"image_base64":"\\ud800"}')
const TYPES = [
  'application/json',
  'text/plain',
  'application/x-www-form-urlencoded',
  'image/png',
  'x',
]
TYPES.push('application/json; charset=utf-16', 'multipart/form-data', 'application/json;', '', '/')
TYPES.push('multipart/form-data; boundary=x', 'multipart/form-data; boundary=')
const HEADERS = {
  'x-priority': ['high', 'urgent', '', '1', 'normal, high'],
  'x-timeout-ms': ['0', '-1', '1e9', 'abc', '99999999999', '', '5'],
  'x-client-id': ['', 'a', 'A'.repeat(300), '../..'],
  'x-request-id': ['', 'A'.repeat(500), 'a b', '%0a'],
  authorization: ['', 'Bearer', 'Basic x'],
  origin: ['null', 'http://evil.test', ':::'],
  'content-length': ['-1', 'abc', '0'],
  expect: ['nonsense'],
}

function body() {
  if (chance(0.2)) return pick(TEXTS)
  if (chance(0.1)) return JSON.stringify(pick(VALUES)) ?? ''
  const names = Array.from({ length: Math.floor(next() * 5) }, () => pick(NAMES))
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, pick(VALUES)])))
}

function headers() {
  const made = { 'content-type': chance(0.8) ? 'application/json' : pick(TYPES) }
  if (chance(0.3)) {
    const name = pick(Object.keys(HEADERS))
    made[name] = pick(HEADERS[name])
  }
  return made
}

const PARTS = [
  '--x\r\n',
  '--x--\r\n',
  'Content-Disposition: form-data; name="video"; filename="a.mp4"\r\n',
]
PARTS.push(
  '\r\n',
  'junk',
  'Content-Disposition: form-data; name="max_frames"\r\n',
  '\r\n\r\n5\r\n',
  '\0',
)

function multipart() {
  const pieces = Array.from({ length: Math.floor(next() * 12) }, () => pick(PARTS))
  return `${chance(0.7) ? '--x\r\n' : ''}${pieces.join('')}`
}

const fill = (path) =>
  path.replace(/\{\w+\}/g, () =>
    encodeURIComponent(
      String(
        pick([
          ...VALUES.filter((v) => typeof v === 'string' && v !== '' && v.isWellFormed()),
          1,
          'blazepose-full',
        ]),
      ),
    ),
  )

test(`${REQUESTS} malformed requests: refused, never a fault`, async () => {
  const cacheDir = mkdtempSync(join(tmpdir(), 'pose4d-fuzz-'))
  const engine = await createEngine({
    model: 'blazepose',
    modelVariant: 'fast',
    blazepose: { tileScales: [] },
  })
  after(() => engine.close())
  await engine.warmup()
  const errors = []
  const logger = { level: 'error', stream: { write: (line) => errors.push(line) } }
  const service = await serve({ engine, cacheDir, logger, maxQueue: 1000 })
  const api = await describedBy(service.app)
  const operations = Object.entries(api.document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ path, method })),
  )
  // Sends a frame through each time, and has nothing to get wrong.
  const tried = operations.filter(({ path }) => path !== '/warmup')
  const seen = {}
  for (let i = 0; i < REQUESTS; i++) {
    const { path, method } = pick(tried)
    const upload = chance(0.15)
    const known = upload ? { 'content-type': 'multipart/form-data; boundary=x' } : headers()
    const request = {
      method: (chance(0.95)
        ? method
        : pick(['get', 'post', 'put', 'patch', 'delete', 'head'])
      ).toUpperCase(),
      url:
        fill(path) +
        (chance(0.1) ? pick(['?mesh=1', '?result=x', '?a[]=1', '?%', '?overlay=']) : ''),
      headers: known,
      ...(method === 'get' ? {} : { payload: upload ? multipart() : body() }),
    }
    const response = await service.app.inject(request)
    const { statusCode: status } = response
    seen[status] = (seen[status] ?? 0) + 1
    const what = `${JSON.stringify(request).slice(0, 500)} → ${status} ${response.body.slice(0, 300)}`
    assert.ok(status < 500, what)
    if (status < 400 || request.method === 'HEAD') continue
    const answer = response.json()
    assert.match(answer.error_code, /^ERR_POSE4D_/, what)
    assert.ok(answer.error.length > 0, what)
    if (request.method.toLowerCase() === method && status !== 404 && status !== 414)
      api.check(path, method, status, answer)
  }
  await service.close()
  rmSync(cacheDir, { recursive: true })
  const refused = Object.entries(seen).reduce((sum, [s, n]) => sum + (Number(s) >= 400 ? n : 0), 0)
  assert.ok(refused > REQUESTS / 3, JSON.stringify(seen))
  assert.deepEqual(errors, [], 'nothing that the log calls an error')
})
