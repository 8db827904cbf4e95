// The old pool's two sides: `PoseProcessPool` in its place, `pose4d stdio` in the place of its process,
// and 140 frames at once through its settings.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { createEngine, toLegacyResult } from '../index.mjs'
import { PoseProcessPool } from '../service/index.cjs'
import { SAMPLE, sample } from './helpers/images.mjs'
import { ExecWrapper, HttpWrapper } from './helpers/old_client.mjs'
import { measured } from './helpers/results.mjs'
import { cutouts, serve } from './helpers/service.mjs'

const BIN = fileURLToPath(new URL('../bin/pose4d.mjs', import.meta.url))
const FRAMES = 140
/** Those of today: MAX_CONCURRENT_PROCESSES and QUEUE_MAX_SIZE. */
const OLD_SETTINGS = { maxConcurrentProcesses: 4, queueMaxSize: 100 }

const timeless = ({ processingTimeMs, ...rest }) => rest
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

let engine
let pictures
let expected
before(async () => {
  engine = await createEngine({
    model: 'blazepose',
    modelVariant: 'fast',
    blazepose: { tileScales: [] },
  })
  pictures = (await cutouts(FRAMES)).map((image) => image.toString('base64'))
  const frames = pictures.map((imageBase64, frameNumber) => ({ frameNumber, imageBase64 }))
  expected = await engine.processFrames(frames, { tracking: false })
})
after(() => engine.close())

test('the pictures tell the frames apart', () => {
  const seen = new Set(expected.map(({ persons }) => JSON.stringify(persons[0]?.keypoints ?? null)))
  assert.ok(seen.size > FRAMES * 0.9, `${seen.size} different`)
})

describe(`${FRAMES} frames at once`, () => {
  test('through the pool: none lost, none swapped, equal to processFrames', async () => {
    const pool = new PoseProcessPool({ engine, ...OLD_SETTINGS })
    let refused = 0
    const one = async (imageBase64, frameNumber) => {
      for (;;) {
        try {
          return await pool.processRequest([{ frameNumber, imageBase64 }])
        } catch (error) {
          assert.equal(error.message, 'Queue full (max 100 requests)')
          refused += 1
          await pause(50)
        }
      }
    }
    const answers = pictures.map(one)
    const status = pool.getStatus()
    assert.deepEqual([status.activeProcesses, status.queuedRequests], [4, 100])
    const results = await Promise.all(answers)
    assert.ok(refused >= FRAMES - 104, 'the rest was told so')
    results.forEach((result, i) => {
      assert.deepEqual(result.map(timeless), [timeless(toLegacyResult(expected[i], engine))])
    })
    const { totalProcessed, totalErrors, activeProcesses, queuedRequests, uptime } =
      pool.getStatus()
    assert.deepEqual([totalProcessed, totalErrors], [FRAMES, 0])
    assert.deepEqual([activeProcesses, queuedRequests], [0, 0])
    assert.ok(uptime > 0 && uptime < 600_000)
    await pool.shutdown()
  })

  test('over HTTP: 200, or 429 with Retry-After, until all are there', async () => {
    const service = await serve({ engine, concurrency: 4, maxQueue: 100 })
    const seen = {}
    const one = async (image_base64, frame_number) => {
      for (;;) {
        const response = await fetch(`${service.url}/pose/hybrid`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ image_base64, frame_number }),
        })
        seen[response.status] = (seen[response.status] ?? 0) + 1
        const body = await response.json()
        if (response.status === 200) return body
        assert.equal(response.status, 429, body.error)
        assert.equal(body.error_code, 'ERR_POSE4D_QUEUE_FULL')
        await pause(1000 * Number(response.headers.get('retry-after')))
      }
    }
    const results = await Promise.all(pictures.map(one))
    await service.close()
    assert.equal(seen[200], FRAMES)
    results.forEach((result, i) => {
      assert.equal(result.frame_number, i)
      const { persons } = expected[i]
      assert.deepEqual(
        result.persons.map(({ bbox }) => bbox),
        persons.map(({ box }) => [...box]),
      )
      const places = ({ x, y, z, confidence }) => [x, y, z, confidence]
      assert.deepEqual(result.keypoints.map(places), expected[i].keypoints.map(places))
    })
  })
})

describe('PoseProcessPool', () => {
  const request = (n, from = 0) =>
    pictures.slice(from, from + n).map((imageBase64, i) => ({ frameNumber: from + i, imageBase64 }))

  test('several frames in one request, a bad one among them, and an imagePath', async () => {
    const pool = new PoseProcessPool({ engine, pythonServicePath: '/old', debug: true })
    const results = await pool.processRequest([
      ...request(1, 5),
      { frameNumber: 6, imageBase64: 'bm90IGFuIGltYWdl' },
      { frameNumber: 7, imagePath: fileURLToPath(SAMPLE) },
      { frameNumber: 8 },
    ])
    assert.deepEqual(
      results.map(({ frameNumber, error }) => [frameNumber, Boolean(error)]),
      [
        [5, false],
        [6, true],
        [7, false],
        [8, true],
      ],
    )
    assert.deepEqual(results[1].keypoints, [])
    assert.equal(results[1].has3d, false)
    assert.deepEqual(timeless(results[0]), timeless(toLegacyResult(expected[5], engine)))
    assert.deepEqual(pool.getStatus().totalErrors, 2)
  })

  test('shutdown rejects what waits and finishes what runs', async () => {
    const pool = new PoseProcessPool({ engine, maxConcurrentProcesses: 1 })
    const running = pool.processRequest(request(3))
    const waiting = pool.processRequest(request(1))
    const over = pool.shutdown()
    await assert.rejects(waiting, { message: 'Pool is shutting down' })
    await assert.rejects(pool.processRequest(request(1)), {
      message: 'Pool is shutting down, not accepting new requests',
    })
    assert.equal((await running).length, 3)
    await over
    assert.equal(engine.health().status, 'ready', 'an engine that was given is not closed')
  })

  test('a time limit, in the old words', async () => {
    const pool = new PoseProcessPool({ engine, processTimeoutMs: 1 })
    await assert.rejects(pool.processRequest(request(20)), { message: 'Process timeout after 1ms' })
    assert.equal(pool.getStatus().totalErrors, 1)
    assert.equal(pool.getStatus().activeProcesses, 0)
  })

  test('an engine of its own, made with the first request and closed with the pool', async () => {
    const pool = new PoseProcessPool({ engineConfig: { model: 'blazepose' } })
    const [result] = await pool.getPoseInfo([{ frameNumber: 1, imageBase64: pictures[0] }])
    assert.equal(result.frameNumber, 1)
    await pool.cleanup()
  })

  test('wrong configurations say what is wrong', () => {
    for (const config of [
      { maxConcurrentProcesses: -1 },
      { queueMaxSize: 1.5 },
      { processTimeoutMs: 'x' },
    ])
      assert.throws(() => new PoseProcessPool(config), { code: 'ERR_POSE4D_INVALID_ARGUMENT' })
    assert.throws(() => new PoseProcessPool({ engine, engineConfig: {} }), /not both/)
    assert.throws(() => new PoseProcessPool({ engine, legacyNames: true }), /legacyNames/)
  })
})

describe('both wrappers of today', () => {
  test('over HTTP', async () => {
    const service = await serve({ engine })
    const wrapper = new HttpWrapper(service.url, { interval: 5 })
    const frames = [0, 1, 2].map((i) => ({ frameNumber: i, imageBase64: pictures[i] }))
    const results = await wrapper.getPoseInfo([...frames, { frameNumber: 3, imagePath: 'x.jpg' }])
    await service.close()
    assert.equal(results[3].error, 'Missing imageBase64')
    results.slice(0, 3).forEach((result, i) => {
      assert.equal(result.error, undefined)
      assert.equal(result.frameNumber, i)
      assert.equal(result.has3d, expected[i].has3d)
      assert.deepEqual(result.jointAngles3d, expected[i].jointAngles3d ?? {})
      assert.deepEqual(result.cameraTranslation, expected[i].cameraTranslation)
      assert.equal(result.keypoints.length, expected[i].keypoints.length)
    })
  })

  test('over a process: pose4d stdio', async () => {
    const wrapper = new ExecWrapper([process.execPath, BIN, 'stdio', '--model', 'blazepose'])
    const results = await wrapper.getPoseInfo([
      { frameNumber: 4, imageBase64: sample().toString('base64') },
      { frameNumber: 2, imagePath: fileURLToPath(SAMPLE) },
      { frameNumber: 9, imageBase64: 'AAAA' },
    ])
    const direct = await createEngine({ model: 'blazepose' })
    const [photo] = await direct.processFrames([{ frameNumber: 4, image: sample() }], {
      tracking: false,
    })
    await direct.close()
    assert.deepEqual(
      results.map(({ frameNumber }) => frameNumber),
      [4, 2, 9],
    )
    const inJson = JSON.parse(JSON.stringify(toLegacyResult(photo)))
    assert.deepEqual(timeless(results[0]), timeless(inJson))
    assert.deepEqual({ ...timeless(results[1]), frameNumber: 4 }, timeless(inJson))
    assert.match(results[2].error, /expected JPEG/)
  })
})

describe('pose4d stdio', () => {
  const stdio = (input, args = []) =>
    new Promise((resolve) => {
      const all = [BIN, 'stdio', '--model', 'blazepose', ...args]
      const child = execFile(process.execPath, all, (error, stdout, stderr) => {
        resolve({ code: error ? error.code : 0, stdout, stderr })
      })
      child.stdin.on('error', () => {})
      child.stdin.end(input)
    })

  const mistakes = [
    ['nothing', '', /stdin is empty/],
    ['no JSON', 'frames', /not JSON/],
    ['no frames', '{"frame": []}', /no "frames"/],
    ['frames that are none', '{"frames": [1]}', /frames\[0\] must be an object/],
    ['JSON that ends early', '{"frames": [', /not JSON/],
  ]
  for (const [name, input, words] of mistakes) {
    test(`${name}: nothing on stdout, exit code 2`, async () => {
      const { code, stdout, stderr } = await stdio(input)
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, words)
    })
  }

  test('no frames are no results', async () => {
    const { code, stdout } = await stdio('{"frames": []}')
    assert.deepEqual([code, stdout], [0, '[]\n'])
  })

  test('whatever writes to stdout while it works, one JSON text comes out', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pose4d-stdio-'))
    const noisy = join(folder, 'noisy.mjs')
    writeFileSync(
      noisy,
      `import { stdio } from ${JSON.stringify(new URL('../cli/stdio.mjs', import.meta.url).href)}
      setInterval(() => { console.log('noise'); process.stdout.write('more noise') }, 1).unref()
      process.exitCode = await stdio.run({ values: { model: 'blazepose' }, positionals: [] })`,
    )
    copyFileSync(SAMPLE, join(folder, 'photo.jpg'))
    const request = { frames: [{ frameNumber: 0, imagePath: join(folder, 'photo.jpg') }] }
    const { stdout, stderr } = await new Promise((resolve) => {
      const options = { maxBuffer: 1 << 26 }
      const child = execFile(process.execPath, [noisy], options, (_, out, err) =>
        resolve({ stdout: out, stderr: err }),
      )
      child.stdin.end(JSON.stringify(request))
    })
    rmSync(folder, { recursive: true })
    assert.equal(JSON.parse(stdout.split('\n')[0])[0].keypoints.length, 33)
    assert.match(stderr, /noise/)
  })

  test('--track: people keep their identity from frame to frame', async () => {
    const image = sample().toString('base64')
    const frames = [0, 1, 2].map((frameNumber) => ({ frameNumber, imageBase64: image }))
    const { code, stdout } = await stdio(JSON.stringify({ frames }), ['--track'])
    assert.equal(code, 0)
    const results = JSON.parse(stdout)
    assert.deepEqual(
      results.map(({ error, keypointCount }) => [error, keypointCount]),
      [0, 1, 2].map(() => [undefined, 33]),
    )
  })
})

test('measured results are the same however they come', async () => {
  const [again] = await engine.processFrames([{ frameNumber: 0, imageBase64: pictures[0] }], {
    tracking: false,
  })
  assert.deepEqual(measured(again), measured(expected[0]))
})
