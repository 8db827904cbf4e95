// Depth on the command line and in the service: files that are what they say, exit codes, the old manager's
// answers for these networks.

import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inflateSync } from 'node:zlib'

import { createEngine, models } from '../index.mjs'
import { depthConfig, FILES } from './helpers/depth.mjs'
import { SAMPLE } from './helpers/images.mjs'
import { describedBy, serve } from './helpers/service.mjs'

const BIN = fileURLToPath(new URL('../bin/pose4d.mjs', import.meta.url))
const CLIP = fileURLToPath(new URL('fixtures/clip.mp4', import.meta.url))
const PHOTO = fileURLToPath(SAMPLE)
const scratch = mkdtempSync(join(tmpdir(), 'pose4d-depth-tools-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const SMALL = ['--model', 'MiDaS_small', '--weights', FILES.MiDaS_small, '--precision', 'fp32']

function pose4d(args, env) {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env } }
    execFile(process.execPath, [BIN, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, stdout, stderr })
    })
  })
}

/** Samples and texts of a PNG whose rows are differences to the left. */
function readPng(file) {
  const bytes = readFileSync(file)
  assert.equal(bytes.toString('latin1', 0, 8), '\x89PNG\r\n\x1a\n')
  const found = { texts: {} }
  const data = []
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    const name = bytes.toString('latin1', at + 4, at + 8)
    const body = bytes.subarray(at + 8, at + 8 + length)
    if (name === 'IHDR') {
      found.width = body.readUInt32BE(0)
      found.height = body.readUInt32BE(4)
      found.bits = body[8]
      found.channels = { 0: 1, 2: 3 }[body[9]]
    }
    if (name === 'tEXt') {
      const [key, value] = body.toString('latin1').split('\0')
      found.texts[key] = value
    }
    if (name === 'IDAT') data.push(body)
    at += 12 + length
  }
  const step = found.channels * (found.bits / 8)
  const rows = inflateSync(Buffer.concat(data))
  const length = found.width * step
  found.samples = Buffer.alloc(length * found.height)
  for (let y = 0; y < found.height; y++) {
    assert.equal(rows[y * (length + 1)], 1)
    for (let x = 0; x < length; x++) {
      const left = x < step ? 0 : found.samples[y * length + x - step]
      found.samples[y * length + x] = rows[y * (length + 1) + 1 + x] + left
    }
  }
  return found
}

function readNpy(file) {
  const bytes = readFileSync(file)
  const head = bytes.toString('latin1', 10, 10 + bytes.readUInt16LE(8))
  assert.match(head, /'descr': '<f4', 'fortran_order': False/)
  const shape = /'shape': \((\d+), (\d+)\)/.exec(head).slice(1).map(Number)
  const start = 10 + bytes.readUInt16LE(8)
  return { shape, values: new Float32Array(bytes.buffer.slice(bytes.byteOffset + start)) }
}

test('a photo as PNG, NPY and preview: each says the map that the API gives', async () => {
  const out = join(scratch, 'photo')
  const args = ['depth', PHOTO, '--out', out, '--format', 'png,npy,preview', ...SMALL, '--json']
  const { code, stdout, stderr } = await pose4d(args)
  assert.equal(code, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), { frames: 1, failed: 0, out, model: 'MiDaS_small' })
  assert.deepEqual(readdirSync(out).sort(), [
    'depth.jsonl',
    'sample-preview.png',
    'sample.npy',
    'sample.png',
  ])
  const engine = await createEngine(depthConfig())
  const [map] = await engine.estimateDepth([{ frameNumber: 0, imagePath: PHOTO }])
  await engine.close()
  const { width, height, depth, range } = map

  const { shape, values } = readNpy(join(out, 'sample.npy'))
  assert.deepEqual(shape, [height, width])
  assert.deepEqual(values, depth)

  const png = readPng(join(out, 'sample.png'))
  assert.deepEqual([png.width, png.height, png.bits, png.channels], [width, height, 16, 1])
  const [low, high] = [Number(png.texts['pose4d:min']), Number(png.texts['pose4d:max'])]
  assert.deepEqual({ min: low, max: high }, range)
  const step = (high - low) / 65535
  for (let i = 0; i < depth.length; i += 97) {
    const back = low + step * png.samples.readUInt16BE(2 * i)
    assert.ok(Math.abs(back - depth[i]) <= 0.51 * step, `${i}: ${back} ${depth[i]}`)
  }

  const preview = readPng(join(out, 'sample-preview.png'))
  assert.deepEqual([preview.bits, preview.channels], [8, 3])
  const light = (i) => preview.samples.subarray(3 * i, 3 * i + 3).reduce((a, b) => a + b)
  const [far, near] = [depth.indexOf(range.min), depth.indexOf(range.max)]
  assert.deepEqual([...preview.samples.subarray(3 * far, 3 * far + 3)], [0, 0, 4])
  assert.deepEqual([...preview.samples.subarray(3 * near, 3 * near + 3)], [252, 255, 164])
  // Nearer is brighter.
  for (let i = 0; i < depth.length - 5000; i += 5003) {
    const [a, b] = [i, i + 4999]
    if (Math.abs(depth[a] - depth[b]) < (high - low) / 64) continue
    assert.equal(light(a) > light(b), depth[a] > depth[b])
  }
  const [line] = readFileSync(join(out, 'depth.jsonl'), 'utf8').trim().split('\n').map(JSON.parse)
  assert.deepEqual(line, {
    frameNumber: 0,
    file: PHOTO,
    width,
    height,
    range,
    model: 'MiDaS_small',
    written: ['sample.png', 'sample.npy', 'sample-preview.png'],
  })
})

test('a folder with a broken photo: the others are written, and the exit code says so', async () => {
  const photos = join(scratch, 'photos')
  mkdirSync(photos)
  for (const name of ['a.jpg', 'c.jpg']) copyFileSync(PHOTO, join(photos, name))
  writeFileSync(join(photos, 'b.jpg'), 'no picture')
  const out = join(scratch, 'folder')
  const { code, stderr } = await pose4d(['depth', photos, '-o', out, '--format', 'npy', ...SMALL])
  assert.equal(code, 1)
  assert.match(stderr, /b\.jpg: .*ERR_POSE4D_IMAGE_FORMAT/)
  assert.deepEqual(readdirSync(out).sort(), ['a.npy', 'c.npy', 'depth.jsonl'])
  const lines = readFileSync(join(out, 'depth.jsonl'), 'utf8').trim().split('\n').map(JSON.parse)
  assert.deepEqual(
    lines.map(({ errorCode }) => errorCode),
    [undefined, 'ERR_POSE4D_IMAGE_FORMAT', undefined],
  )
})

test('what is not understood is 2, what cannot be done is 3', async () => {
  const out = join(scratch, 'nothing')
  for (const [args, expected, said] of [
    [[PHOTO], 2, /Name a folder with `--out`/],
    [[PHOTO, '--out', out, '--format', 'tiff'], 2, /list of png, npy, preview; found `tiff`/],
    [[PHOTO, '--out', out, '--model', 'DPT_large'], 2, /Did you mean `DPT_Large`/],
    [[PHOTO, '--out', out, '--every', '2'], 2, /`--every` is for video/],
    [['--out', out], 2, /Nothing to process/],
    [[PHOTO, '--out', out, '--cache-dir', join(scratch, 'none')], 3, /MODEL_UNAVAILABLE/],
    [[PHOTO, '--out', out, ...SMALL, '--memory-budget', '40'], 3, /ERR_POSE4D_MEMORY/],
  ]) {
    const { code, stderr } = await pose4d(['depth', ...args], { HOME: scratch })
    assert.equal(code, expected, stderr)
    assert.match(stderr, said)
  }
})

function hasFfmpeg() {
  try {
    for (const tool of ['ffmpeg', 'ffprobe']) execFileSync(tool, ['-version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test('a video frame by frame', { skip: !hasFfmpeg() && 'no ffmpeg on the PATH' }, async () => {
  const out = join(scratch, 'video')
  const args = ['depth', CLIP, '--out', out, '--every', '15', '--format', 'preview', ...SMALL]
  const { code, stderr } = await pose4d(args)
  assert.equal(code, 0, stderr)
  const lines = readFileSync(join(out, 'depth.jsonl'), 'utf8').trim().split('\n').map(JSON.parse)
  assert.deepEqual(
    lines.map(({ frameNumber, timestampMs, written }) => [frameNumber, timestampMs, written]),
    [
      [0, 0, ['frame_000000-preview.png']],
      [15, 500, ['frame_000015-preview.png']],
      [30, 1000, ['frame_000030-preview.png']],
    ],
  )
  const { width, height } = readPng(join(out, 'frame_000015-preview.png'))
  assert.deepEqual([width, height], [lines[1].width, lines[1].height])
})

test('warm-up and the service’s model endpoints know the depth networks', async () => {
  const cacheDir = join(scratch, 'cache')
  mkdirSync(cacheDir)
  await models.import(FILES.MiDaS_small, 'MiDaS_small', { cacheDir, force: true })
  const warm = ['warmup', '--model', 'MiDaS_small', '--cache-dir', cacheDir, '--offline', '--json']
  const { code, stdout, stderr } = await pose4d([...warm, '--precision', 'fp32'], { HOME: scratch })
  assert.equal(code, 0, stderr + stdout)
  const report = JSON.parse(stdout)
  assert.equal(report.status, 'ready')
  const { status, precision, device, bytes } = report.models['midas-v21-small']
  assert.deepEqual([status, precision, device], ['loaded', 'fp32', 'cpu'])
  assert.ok(bytes > 100_000)
  const missing = await pose4d(
    ['warmup', '--model', 'DPT_Large', '--cache-dir', cacheDir, '--offline'],
    {
      HOME: scratch,
    },
  )
  assert.equal(missing.code, 3)
  assert.match(missing.stdout, /dpt-large/)

  const engine = await createEngine({ ...depthConfig({ files: {} }), cacheDir })
  const service = await serve({ engine, cacheDir, roots: [scratch] })
  const described = await describedBy(service.app)
  const ask = async (method, path, name, body) => {
    const response = await fetch(`${service.url}${path}`, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const answer = await response.json()
    described.check(name, method.toLowerCase(), response.status, answer)
    return answer
  }
  const state = () => ask('GET', '/api/models/status', '/api/models/status')
  const before = (await state()).status
  assert.deepEqual([before.midas_available, before.midas_loaded], [true, false])
  assert.ok(before.cached_models.includes('midas-v21-small'))
  assert.equal(before.midas_info.models.length, 4)
  const small = before.midas_info.models.find(({ name }) => name === 'midas-v21-small')
  assert.equal(small.available, true)
  assert.ok(before.cache_stats.total_files >= 1 && before.midas_cache_info.formats.pt >= 1)
  const frames = [{ frameNumber: 0, imagePath: PHOTO }]
  const [map] = await engine.estimateDepth(frames)
  assert.equal((await state()).status.midas_loaded, true)

  const target = join(scratch, 'exported.h5')
  const exported = await ask(
    'POST',
    '/api/models/export/MiDaS_small',
    '/api/models/export/{name}',
    {
      export_path: target,
      format: 'h5',
    },
  )
  assert.deepEqual([exported.success, exported.converted], [true, true])
  const again = await createEngine(depthConfig({ files: { MiDaS_small: target } }))
  const [same] = await again.estimateDepth(frames)
  assert.deepEqual(same.depth, map.depth)
  await again.close()
  const { cache_info } = await ask('GET', '/api/models/cache/info', '/api/models/cache/info')
  assert.ok(cache_info.models['midas-v21-small'].formats.pt.size_mb > 0)
  const cleared = await ask('POST', '/api/models/cache/clear', '/api/models/cache/clear', {
    model: 'MiDaS_small',
  })
  assert.ok(cleared.files_removed >= 1)
  assert.equal((await state()).status.midas_available, false)
  await service.close()
  await engine.close()
})
