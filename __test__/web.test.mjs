// The web page without a browser: how it is served, and its modules against the package's own readers and writers.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import fastify from 'fastify'
import { createEngine, exportPoses, readPoses } from '../index.mjs'
import { bundle } from '../scripts/vendor_three.mjs'
import { readResults } from '../service/web/results.mjs'
import { csvOf, resultsOf } from '../service/web/saved.mjs'
import { CLIP, needsFfmpeg } from './helpers/videos.mjs'

const { registerWeb } = createRequire(import.meta.url)('../service/web.cjs')
const folder = mkdtempSync(path.join(tmpdir(), 'pose4d-web-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const file = (name) => path.join(folder, name)
const opened = (name) => new File([readFileSync(file(name))], name)

async function server(prefix = '') {
  const app = fastify()
  await app.register(async (part) => registerWeb(part), { prefix })
  return app
}

const assetsOf = (html) => [...html.matchAll(/(?:href|src)="(web\/[^"]+)"/g)].map(([, url]) => url)

test('the page names files that are there, each kept for ever under an address of its own', async () => {
  const app = await server()
  const page = await app.inject('/')
  assert.equal(page.statusCode, 200)
  assert.match(page.headers['content-type'], /^text\/html/)
  assert.equal(page.headers['cache-control'], 'no-cache')
  const urls = assetsOf(page.body)
  assert.ok(urls.length >= 4)
  const seen = new Set()
  while (urls.length > 0) {
    const url = urls.pop()
    if (seen.has(url)) continue
    seen.add(url)
    const asset = await app.inject(`/${url}`)
    assert.equal(asset.statusCode, 200, url)
    assert.match(asset.headers['cache-control'], /immutable/, url)
    assert.equal(asset.headers['x-content-type-options'], 'nosniff')
    // What the modules import is there, too.
    if (!url.includes('/vendor/'))
      for (const [, name] of asset.body.matchAll(/(?:from |import\()'\.\/([^']+)'/g))
        urls.push(new URL(name, `http://x/${url}`).pathname.slice(1))
  }
  assert.ok(seen.size > 15, `only ${seen.size} files were found`)
  await app.close()
})

test('nothing but the page itself may run, be loaded or be asked', async () => {
  const app = await server()
  const { headers, body } = await app.inject('/')
  const policy = Object.fromEntries(
    headers['content-security-policy'].split('; ').map((rule) => {
      const [name, ...values] = rule.split(' ')
      return [name, values.join(' ')]
    }),
  )
  assert.equal(policy['default-src'], "'none'")
  assert.equal(policy['script-src'], "'self'")
  assert.equal(policy['style-src'], "'self'")
  assert.equal(policy['connect-src'], "'self'")
  assert.equal(policy['frame-ancestors'], "'none'")
  assert.equal(policy['require-trusted-types-for'], "'script'")
  assert.doesNotMatch(headers['content-security-policy'], /unsafe|https?:|\*/)
  assert.doesNotMatch(body, /https?:\/\/(?!www\.w3\.org)/)
  assert.doesNotMatch(body, /<script(?![^>]*src=)|<style| style=| on\w+="/)
  await app.close()
})

test('brotli, gzip or neither, each with its own tag; 304 where it is known', async () => {
  const app = await server()
  const [url] = assetsOf((await app.inject('/')).body).filter((name) => name.endsWith('three.mjs'))
  const ask = (headers) => app.inject({ url: `/${url}`, headers })
  const plain = await ask({})
  const brotli = await ask({ 'accept-encoding': 'gzip, deflate, br' })
  const gzip = await ask({ 'accept-encoding': 'br;q=0, gzip;q=0.5' })
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(brotli.headers['content-encoding'], 'br')
  assert.equal(gzip.headers['content-encoding'], 'gzip')
  assert.deepEqual(brotliDecompressSync(brotli.rawPayload), plain.rawPayload)
  assert.deepEqual(gunzipSync(gzip.rawPayload), plain.rawPayload)
  assert.ok(brotli.rawPayload.length < plain.rawPayload.length / 3)
  assert.equal(new Set([plain, brotli, gzip].map(({ headers }) => headers.etag)).size, 3)
  const known = await ask({ 'if-none-match': `"other", ${plain.headers.etag}` })
  assert.equal(known.statusCode, 304)
  assert.equal(known.body, '')
  assert.equal((await ask({ 'if-none-match': '"other"' })).statusCode, 200)
  await app.close()
})

test('no other file of the machine is reached', async () => {
  const app = await server()
  for (const name of [
    '../web.cjs',
    '..%2fweb.cjs',
    '%2e%2e/%2e%2e/package.json',
    'nothing.mjs',
    '',
  ]) {
    const answer = await app.inject(`/web/x/${name}`)
    assert.equal(answer.statusCode, 404, name)
    assert.doesNotMatch(answer.body, /registerWeb|"dependencies"/)
  }
  const old = await app.inject('/web/anything/style.css')
  assert.equal(old.statusCode, 200)
  assert.equal(old.headers['cache-control'], 'no-cache')
  await app.close()
})

test('below a prefix the address ends in a slash, and files lie beside it', async () => {
  const app = await server('/tools/pose')
  const bare = await app.inject('/tools/pose')
  assert.equal(bare.statusCode, 308)
  assert.equal(new URL(bare.headers.location, 'http://x/tools/pose').pathname, '/tools/pose/')
  const page = await app.inject('/tools/pose/')
  assert.equal(page.statusCode, 200)
  const [url] = assetsOf(page.body)
  assert.equal((await app.inject(`/tools/pose/${url}`)).statusCode, 200)
  await app.close()
})

test('vendor/three.mjs is what the installed three gives', async () => {
  const kept = readFileSync(new URL('../service/web/vendor/three.mjs', import.meta.url), 'utf8')
  assert.ok((await bundle()) === kept, 'run node scripts/vendor_three.mjs')
})

/** A clip with times of its own, written as JSON and JSON Lines. */
async function clipFiles() {
  const engine = await createEngine({ model: 'blazepose' })
  const all = []
  for await (const result of engine.processVideo(CLIP, { end: 0.4 })) all.push(result)
  await engine.close()
  const header = { source: { kind: 'video', file: 'clip.mp4', fps: 30 } }
  await exportPoses(all, file('clip.json'), { header })
  await exportPoses(all, file('clip.jsonl'), { header })
  return all
}

test('the page reads, saves and tabulates results as the package does', needsFfmpeg, async (t) => {
  const results = await clipFiles()
  assert.ok(results.length > 8 && results.some(({ persons }) => persons.length > 1))
  for (const name of ['clip.json', 'clip.jsonl']) {
    await t.test(name, async () => {
      const clip = await readResults(opened(name))
      assert.equal(clip.kind, 'video')
      assert.equal(clip.file, 'clip.mp4')
      assert.equal(clip.complete, true)
      assert.equal(clip.length, results.length)
      results.forEach((result, index) => {
        const frame = clip.frames[index]
        assert.equal(frame.number, result.frameNumber)
        assert.ok(Math.abs(clip.times[index] - result.timestampMs) < 1e-6)
        assert.deepEqual(
          frame.persons.map(({ trackId, source }) => [trackId, source]),
          result.persons.map(({ trackId, source }) => [trackId, source]),
        )
        result.persons.forEach((person, at) => {
          const read = frame.persons[at]
          assert.deepEqual(
            read.names,
            person.keypoints.map((point) => point.name),
          )
          for (const [i, value] of person.joints3d.entries())
            assert.ok(Math.abs(read.joints[i] - value) < 1e-5)
          for (const [angle, value] of Object.entries(person.jointAngles3d))
            assert.ok(Math.abs(read.angles[angle] - value) < 1e-3)
        })
      })
    })
  }

  await t.test('saved again, the package reads the same', async () => {
    const clip = await readResults(opened('clip.json'))
    writeFileSync(file('saved.jsonl'), [...resultsOf(clip)].join(''))
    const all = async (name) => {
      const { header, results: frames } = await readPoses(file(name))
      const list = []
      for await (const { timings, ...frame } of frames) list.push(frame)
      return { list, model: header.model.version, tracked: header.tracked }
    }
    assert.deepEqual(await all('saved.jsonl'), await all('clip.json'))
  })

  await t.test('the table of angles is that of the CSV export, byte for byte', async () => {
    const { results: frames } = await readPoses(file('clip.json'))
    await exportPoses(frames, file('angles.csv'))
    const clip = await readResults(opened('clip.json'))
    assert.equal(csvOf(clip).join(''), readFileSync(file('angles.csv'), 'utf8'))
  })
})

test('files that are no results say what was expected and found', async () => {
  const refused = async (name, text, pattern) =>
    assert.rejects(readResults(new File([text], name)), (error) => {
      assert.match(error.message, pattern)
      assert.ok(error.message.includes(name), error.message)
      return true
    })
  await refused('a.json', '{"frames": [', /is not JSON/)
  await refused('b.json', '{"frames": []}', /"schema": 1, found none.*pose4d process/)
  await refused('c.json', '{"schema": 2, "frames": []}', /found 2/)
  await refused('d.json', '{"schema": 1}', /no list of `frames`/)
  const header = '{"type":"header","schema":1}'
  await refused('e.jsonl', `${header}\n{"type":"frame","frameNumber":0`, /line 2 is not JSON/)
  await refused('f.jsonl', `${header}\n{"type":"frame","persons":[]}`, /line 2.*frameNumber/)
  const person = '{"trackId":1,"keypoints":[]}'
  await refused(
    'g.json',
    `{"schema":1,"frames":[{"frameNumber":4,"persons":[${person}]}]}`,
    /frame 4.*box/,
  )
})

test('a file that was cut off says so, and shows what there is', async () => {
  const frame = '{"type":"frame","frameNumber":0,"frameWidth":4,"frameHeight":3,"persons":[]}'
  const text = `{"type":"header","schema":1}\n${frame}\n`
  const clip = await readResults(new File([text], 'cut.jsonl'))
  assert.equal(clip.length, 1)
  assert.equal(clip.complete, false)
})
