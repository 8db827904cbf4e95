// Exports on the command line: several files of one run, a report, results exported later.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { shrink, Thumbnails } from '../cli/thumbnails.mjs'
import { exportPoses, loadBody } from '../index.mjs'
import { distance, frameOf, Glb, placed, readNpz, walker } from './helpers/exports.mjs'
import { humansCache, PLACES } from './helpers/humans.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const pictures = join(root, 'tests/fixtures/goldens/blazepose/clip')
const scratch = mkdtempSync(join(tmpdir(), 'pose4d-exports-cli-'))
const inScratch = (name) => join(scratch, name)
let cache
before(() => {
  cache = humansCache()
})
after(() => {
  cache.remove()
  rmSync(scratch, { recursive: true, force: true })
})

const pose4d = (...args) =>
  new Promise((resolve) => {
    const home = join(scratch, 'home')
    const env = { ...process.env, HOME: home, XDG_CACHE_HOME: home, POSE4D_CACHE_DIR: home }
    execFile(
      process.execPath,
      [join(root, 'bin', 'pose4d.mjs'), ...args],
      { env, maxBuffer: 1 << 28 },
      (error, stdout, stderr) => resolve({ code: error ? error.code : 0, stdout, stderr }),
    )
  })

const clip = ['process', join(pictures, '*.jpg'), '--clip', '--model', 'blazepose']

test('one run writes every file asked for, and a report with pictures', async () => {
  const names = ['a.json', 'a.csv', 'a.npz', 'a.pkl', 'a.glb', 'a.bvh']
  const outs = names.flatMap((name) => ['--out', inScratch(name)])
  const { code, stdout, stderr } = await pose4d(...clip, ...outs, '--report', inScratch('a.html'))
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^28 frames in/)
  for (const name of [...names, 'a.html']) {
    assert.ok(existsSync(inScratch(name)), name)
    assert.ok(stderr.includes(`Wrote ${inScratch(name)}\n`), name)
  }
  const { frames } = JSON.parse(readFileSync(inScratch('a.json'), 'utf8'))
  assert.equal(frames.length, 28)
  const rows = readFileSync(inScratch('a.csv'), 'utf8').trim().split('\r\n').slice(1)
  assert.equal(rows.length, frames.flatMap(({ persons }) => persons).length)
  // Times of an image clip: 30 a second.
  assert.equal(Number(rows[3].split(',')[1]), 0.1)
  const html = readFileSync(inScratch('a.html'), 'utf8')
  assert.equal(html.match(/<figure data-index/g).length, 28)
  const jpeg = /src="data:image\/jpeg;base64,([^"]+)"/.exec(html)[1]
  assert.equal(Buffer.from(jpeg, 'base64').readUInt16BE(0), 0xffd8)
})

test('what was written is exported again to the same', async () => {
  const [json, again] = [inScratch('a.json'), inScratch('again.glb')]
  const outs = ['--out', again, '--out', inScratch('again.npz'), '--out', inScratch('again.jsonl')]
  const { code, stdout, stderr } = await pose4d('export', json, ...outs, '--json')
  assert.equal(code, 0, stderr)
  const [glb, npz] = JSON.parse(stdout)
  assert.deepEqual([glb.format, glb.written, npz.records], ['glb', 28, 28])
  const { frames } = JSON.parse(readFileSync(json, 'utf8'))
  const found = new Glb(again)
  const knee = frames[0].persons[0].keypoints.findIndex(({ name }) => name === 'left_knee')
  for (const { frameNumber, persons } of frames) {
    const { place } = found.world(found.node('left_knee'), frameNumber / 30)
    assert.ok(distance(place, placed(persons[0], knee)) < 1e-4)
  }
  assert.deepEqual(readNpz(inScratch('again.npz')).joints3d.shape, [28, 33, 3])
  const lines = readFileSync(inScratch('again.jsonl'), 'utf8').trim().split('\n')
  assert.deepEqual(JSON.parse(lines[1]).persons, frames[0].persons)
})

test('the skin comes with the SMPL model that is named, sticks without', async () => {
  const body = await loadBody({ cacheDir: cache.cacheDir })
  const results = walker(body, 3).map((person, at) => frameOf(at, [person]))
  const [source, target] = [inScratch('body.jsonl'), inScratch('body.glb')]
  await exportPoses(results, source)
  const smpl = join(cache.cacheDir, PLACES['smpl-neutral'][0])
  const named = await pose4d('export', source, '--out', target, '--smpl', smpl)
  assert.equal(named.code, 0, named.stderr)
  const vertices = () => {
    const { json } = new Glb(target)
    return json.accessors[json.meshes[0].primitives[0].attributes.POSITION].count
  }
  assert.equal(vertices(), 6890)
  const bare = await pose4d('export', source, '--out', target, '--no-body')
  assert.equal(bare.code, 0, bare.stderr)
  assert.ok(vertices() < 6890)
  const wrong = await pose4d('export', source, '--out', target, '--smpl', inScratch('a.json'))
  assert.equal(wrong.code, 3)
})

test('mistakes are told with the exit code of their kind', async () => {
  const json = inScratch('a.json')
  writeFileSync(inScratch('other.json'), '{}')
  const cases = [
    [['export'], 2, /Name one file of results/],
    [['export', json], 2, /say where with `--out`/],
    [['export', json, '--out', json], 2, /is the input itself/],
    [['export', json, '--out', 'x.csv', '--out', 'x.csv'], 2, /is there twice/],
    [['export', json, '--out', inScratch('x.csv'), '--track', 'one'], 2, /`--track` must be/],
    [['export', json, '--out', inScratch('x.glb'), '--space', 'moon'], 2, /`--space` must be/],
    [['export', inScratch('other.json'), '--out', inScratch('x.csv')], 3, /no file of results/],
    [['export', inScratch('none.json'), '--out', inScratch('x.csv')], 3, /cannot read/],
    [['export', json, '--out', inScratch('x.glb'), '--track', '99'], 3, /was not written/],
    [[...clip, '--report', 'report.txt'], 2, /end `report\.txt` in \.html/],
  ]
  for (const [args, expected, message] of cases) {
    const { code, stderr } = await pose4d(...args)
    assert.equal(code, expected, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, message)
  }
})

test('one file that cannot be written does not keep the others from it', async () => {
  const photo = join(pictures, readdirSync(pictures)[0])
  const nobody = ['process', photo, photo, '--model', 'blazepose']
  const outs = ['--out', inScratch('two.glb'), '--out', inScratch('two.csv')]
  const { code, stderr } = await pose4d(...nobody, ...outs)
  assert.equal(code, 3)
  assert.match(stderr, /Wrote .*two\.csv/)
  assert.match(stderr, /two\.glb was not written: glb shows one clip, and these are 2 photos/)
})

test('a report’s pictures are spread over the clip, however long it is', async () => {
  const drawn = []
  const thumbnails = new Thumbnails(async (frame, _result, { format }) => {
    if (format === 'rgb') return Buffer.alloc(12 * 8 * 3, 100)
    drawn.push(frame)
    return Buffer.from([0xff, 0xd8, drawn.length])
  })
  for (let frameNumber = 0; frameNumber < 1000; frameNumber++)
    await thumbnails.write({}, { frameNumber, frameWidth: 12, frameHeight: 8, persons: [] })
  const numbers = thumbnails.list.map(({ frameNumber }) => frameNumber)
  assert.ok(numbers.length > 24 && numbers.length <= 48)
  const steps = new Set(numbers.slice(1).map((number, at) => number - numbers[at]))
  assert.deepEqual([...steps], [32])
  assert.ok(drawn.length < 200)
})

test('small pictures are means of areas', () => {
  const pixels = Buffer.from([0, 0, 0, 100, 10, 20, 200, 0, 0, 100, 30, 60])
  assert.deepEqual(shrink(pixels, 2, 2, 1), {
    pixels: Buffer.from([100, 10, 20]),
    width: 1,
    height: 1,
  })
  const same = shrink(pixels, 2, 2, 10)
  assert.deepEqual([same.width, same.height, same.pixels.equals(pixels)], [2, 2, true])
})
