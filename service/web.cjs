'use strict'
// The web page: its files, read once, under addresses that change with their content, with headers that let
// nothing else in and nothing out.

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { promisify } = require('node:util')
const zlib = require('node:zlib')

const FOLDER = path.join(__dirname, 'web')

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** `blob:` is what the user opened, shown from the browser's own memory. */
const POLICY = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' blob:",
  'media-src': "'self' blob:",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
  // The page builds elements, never markup.
  'require-trusted-types-for': "'script'",
  'trusted-types': "'none'",
}

const HEADERS = {
  'content-security-policy': Object.entries(POLICY)
    .map((pair) => pair.join(' '))
    .join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

const FOR_EVER = 'public, max-age=31536000, immutable'
/** Kept, and asked after each time: the page names the files that belong to it. */
const ASK = 'no-cache'

const compress = { br: promisify(zlib.brotliCompress), gzip: promisify(zlib.gzip) }
const BROTLI = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 9 } }

const digest = (bytes) => createHash('sha256').update(bytes).digest('base64url').slice(0, 16)

/** One file of the page; compressed when it is first asked for. */
class Asset {
  #packed = new Map()

  constructor(type, bytes) {
    this.type = type
    this.bytes = bytes
    this.tag = digest(bytes)
  }

  /** The bytes as an encoding has them. */
  packed(encoding) {
    if (encoding === 'identity') return this.bytes
    if (!this.#packed.has(encoding))
      this.#packed.set(encoding, compress[encoding](this.bytes, encoding === 'br' ? BROTLI : {}))
    return this.#packed.get(encoding)
  }
}

/** The best encoding that the client takes. */
function encodingFor(accepted = '') {
  const taken = accepted
    .split(',')
    .map((part) => part.trim().split(/\s*;\s*q=/))
    .filter(([, weight]) => weight === undefined || Number(weight) > 0)
    .map(([name]) => name)
  return ['br', 'gzip'].find((name) => taken.includes(name)) ?? 'identity'
}

function* filesIn(folder, below = '') {
  for (const entry of fs.readdirSync(path.join(folder, below), { withFileTypes: true })) {
    const name = path.posix.join(below, entry.name)
    if (entry.isDirectory()) yield* filesIn(folder, name)
    else if (TYPES[path.extname(name)]) yield name
  }
}

/** The page and what belongs to it: `{ page, assets, version }`. */
function load() {
  const assets = new Map()
  for (const name of [...filesIn(FOLDER)].sort()) {
    const bytes = fs.readFileSync(path.join(FOLDER, name))
    assets.set(name, new Asset(TYPES[path.extname(name)], bytes))
  }
  const html = assets.get('index.html').bytes.toString('utf8')
  assets.delete('index.html')
  const version = digest([...assets].map(([name, { tag }]) => `${name} ${tag}`).join('\n'))
  // Beside the page, not below the root of the server: it may be mounted anywhere.
  const page = html.replaceAll('{{assets}}', `web/${version}`)
  return { page: new Asset(TYPES['.html'], Buffer.from(page)), assets, version }
}

async function answer(request, reply, asset, caching) {
  const encoding = encodingFor(request.headers['accept-encoding'])
  const tag = `"${asset.tag}-${encoding}"`
  reply.headers({ ...HEADERS, 'cache-control': caching, vary: 'accept-encoding', etag: tag })
  const known = request.headers['if-none-match']
  if (known?.split(/\s*,\s*/).some((one) => one.replace(/^W\//, '') === tag))
    return reply.code(304).send()
  if (encoding !== 'identity') reply.header('content-encoding', encoding)
  return reply.type(asset.type).send(await asset.packed(encoding))
}

/**
 * Adds the page to a fastify instance: `GET /` (below the instance's prefix) and `GET /web/<version>/…`.
 * `options.config` goes into the routes' `config`, for hooks that must tell them from others. `open`: no token is
 * needed, since the page holds nothing secret; it asks for the service's token when the service does.
 */
function registerWeb(fastify, options = {}) {
  const { page, assets, version } = load()
  const route = { config: { open: true, ...options.config }, schema: { hide: true } }
  fastify.get('/', route, async (request, reply) => {
    const [own] = request.url.split('?')
    // Without the slash the page's own addresses would be looked for one folder up.
    if (!own.endsWith('/')) return reply.redirect(`${path.posix.basename(own)}/`, 308)
    return answer(request, reply, page, ASK)
  })
  fastify.get('/web/:version/*', route, async (request, reply) => {
    const { version: asked, '*': name } = request.params
    const asset = assets.get(name)
    if (!asset)
      return reply
        .code(404)
        .headers(HEADERS)
        .send({ error: `the web page has no file ${name}` })
    // A page that was open while the server changed takes what there is, and does not keep it.
    return answer(request, reply, asset, asked === version ? FOR_EVER : ASK)
  })
}

module.exports = { registerWeb }
