// What keeps the service up: limits, slow and vanishing clients, who may ask, shutting down, and what it
// says of itself.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { createEngine } from '../index.mjs'
import { createServer } from '../service/index.cjs'
import { sample } from './helpers/images.mjs'
import { endWithTests, serve } from './helpers/service.mjs'

const BIN = fileURLToPath(new URL('../bin/pose4d.mjs', import.meta.url))
const photo = sample().toString('base64')
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

let engine
before(async () => {
  engine = await createEngine({ model: 'blazepose', modelVariant: 'fast' })
})
after(() => engine.close())

/** An engine whose frames take as long as the test says; everything else is the real one. */
function slowEngine() {
  const waiting = []
  const seen = { started: 0, aborted: 0 }
  return {
    seen,
    release: () => {
      for (const go of waiting.splice(0)) go()
    },
    health: () => engine.health(),
    meshFaces: null,
    warmup: () => engine.warmup(),
    processFrames(frames, { signal, ...options }) {
      seen.started += 1
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => {
          seen.aborted += 1
          reject(signal.reason)
        })
        waiting.push(() => resolve(engine.processFrames(frames, options)))
      })
    },
  }
}

const until = async (holds, what) => {
  for (let i = 0; i < 6000; i++) {
    if (holds()) return
    await pause(10)
  }
  assert.fail(`never came: ${what}`)
}

const post = async (url, body, headers = {}) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

/** What a raw connection hears until it is closed, and when that was. */
async function raw(port, text, more = () => {}) {
  const socket = connect(port, '127.0.0.1')
  const began = Date.now()
  let heard = ''
  socket.on('data', (data) => {
    heard += data
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(text)
  const stop = more(socket)
  await once(socket, 'close')
  stop?.()
  return { heard, ms: Date.now() - began }
}

describe('limits', () => {
  test('a body that is too large is refused, also where its length is not announced', async () => {
    const service = await serve({ engine, maxBodyBytes: 200_000 })
    const large = JSON.stringify({ image_base64: 'A'.repeat(400_000) })
    const { status, body } = await post(`${service.url}/pose/hybrid`, large)
    assert.deepEqual([status, body.error_code], [413, 'ERR_POSE4D_BODY_TOO_LARGE'])
    assert.deepEqual(body.keypoints, [])
    const head = 'POST /pose HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
    const { heard } = await raw(
      service.port,
      `${head}Transfer-Encoding: chunked\r\n\r\n`,
      (socket) => {
        const chunk = `10000\r\n${'A'.repeat(65536)}\r\n`
        const timer = setInterval(() => socket.write(chunk), 5)
        return () => clearInterval(timer)
      },
    )
    assert.match(heard, /^HTTP\/1\.1 413 /)
    // Bodies without a picture are small.
    const other = await post(`${service.url}/api/models/cache/clear`, {
      confirm: false,
      x: 'A'.repeat(100_000),
    })
    assert.equal(other.status, 413)
    await service.close()
  })

  test('pixels', async () => {
    const small = await serve({ engineConfig: { model: 'blazepose' }, maxPixels: 1_000_000 })
    const { status, body } = await post(`${small.url}/pose`, { image_base64: photo })
    await small.close()
    assert.deepEqual([status, body.error_code], [413, 'ERR_POSE4D_IMAGE_TOO_LARGE'])
  })

  test('slow loris: heads that drip are cut off', async () => {
    const service = await serve({ engine, headerTimeoutMs: 300 })
    const { ms } = await raw(
      service.port,
      'GET /health HTTP/1.1\r\nHost: localhost\r\n',
      (socket) => {
        const timer = setInterval(() => socket.write('X-A: b\r\n'), 50)
        return () => clearInterval(timer)
      },
    )
    await service.close()
    assert.ok(ms < 15_000, `${ms} ms`)
  })

  test('slow loris: bodies that drip are cut off, with 408', async () => {
    const service = await serve({ engine, bodyTimeoutMs: 400 })
    const head = 'POST /pose HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
    const { heard, ms } = await raw(
      service.port,
      `${head}Content-Length: 100000\r\n\r\n{"image_base64":"`,
      (socket) => {
        const timer = setInterval(() => socket.write('A'), 50)
        return () => clearInterval(timer)
      },
    )
    await service.close()
    assert.match(heard, /^HTTP\/1\.1 408 [\s\S]*ERR_POSE4D_BODY_TOO_SLOW/)
    assert.ok(ms < 15_000, `${ms} ms`)
  })
})

describe('the queue', () => {
  test('full: 429 with Retry-After; a vanishing client leaves it; its work is aborted', async () => {
    const slow = slowEngine()
    const service = await serve({ engine: slow, concurrency: 1, maxQueue: 1 })
    const ask = (signal) =>
      fetch(`${service.url}/pose`, {
        method: 'POST',
        signal,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ image_base64: photo, frame_number: 5 }),
      })
    const working = new AbortController()
    const waiting = new AbortController()
    const first = ask(working.signal)
    first.catch(() => {})
    await until(() => slow.seen.started === 1, 'the first is at work')
    const second = ask(waiting.signal)
    second.catch(() => {})
    const status = async () => await (await fetch(`${service.url}/api/pose/pool-status`)).json()
    for (let i = 0; (await status()).queue.length !== 1; i++) assert.ok(i < 5000)

    const refused = await ask()
    assert.equal(refused.status, 429)
    assert.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
    assert.equal((await refused.json()).frame_number, 5)

    waiting.abort()
    for (let i = 0; (await status()).queue.length !== 0; i++) assert.ok(i < 5000)
    working.abort()
    await until(() => slow.seen.aborted === 1, 'the work is aborted')
    assert.equal(slow.seen.started, 1, 'what nobody waits for was never begun')
    for (let i = 0; (await status()).pool.active_workers !== 0; i++) assert.ok(i < 5000)
    await service.close()
  })

  test('a deadline, of the request and of the service: 504', async () => {
    const slow = slowEngine()
    const service = await serve({ engine: slow, timeoutMs: 400 })
    const late = await post(`${service.url}/pose`, { image_base64: photo })
    assert.deepEqual([late.status, late.body.error_code], [504, 'ERR_POSE4D_TIMEOUT'])
    assert.match(late.body.error, /400 ms/)
    const sooner = await post(
      `${service.url}/pose`,
      { image_base64: photo },
      { 'x-timeout-ms': '120' },
    )
    assert.match(sooner.body.error, / 120 ms/)
    await until(() => slow.seen.aborted === 2, 'both are aborted')
    await service.close()
  })

  test('closing: what is accepted is answered, what comes later is refused', async () => {
    const slow = slowEngine()
    const service = await serve({ engine: slow, concurrency: 1 })
    const accepted = [0, 1].map((frame_number) =>
      post(`${service.url}/pose`, { image_base64: photo, frame_number }),
    )
    const busy = async () => (await fetch(`${service.url}/api/pose/pool-status`)).json()
    for (let i = 0; (await busy()).queue.length !== 1; i++) assert.ok(i < 5000)
    const releasing = setInterval(slow.release, 20)
    await service.close()
    clearInterval(releasing)
    for (const { status, body } of await Promise.all(accepted)) {
      assert.equal(status, 200)
      assert.ok(body.keypoints.length > 0)
    }
    await assert.rejects(fetch(`${service.url}/health`))
  })

  test('closing does not wait for ever: after drainMs what is left is told so', async () => {
    const slow = slowEngine()
    const service = await serve({ engine: slow, drainMs: 100 })
    const stuck = post(`${service.url}/pose`, { image_base64: photo })
    await until(() => slow.seen.started === 1, 'at work')
    await service.close()
    const { status, body } = await stuck
    assert.deepEqual([status, body.error_code], [503, 'ERR_POSE4D_SHUTTING_DOWN'])
  })
})

describe('who may ask', () => {
  test('a token, for everything but health', async () => {
    const service = await serve({ engine, token: 'secret' })
    const ask = (path, authorization) =>
      fetch(service.url + path, { headers: authorization ? { authorization } : {} })
    for (const authorization of [undefined, 'Bearer wrong', 'Bearer ', 'Basic secret', 'secret']) {
      const response = await ask('/api/pose/pool-status', authorization)
      assert.equal(response.status, 401, authorization)
      assert.equal(response.headers.get('www-authenticate'), 'Bearer')
      assert.equal((await response.json()).error_code, 'ERR_POSE4D_UNAUTHORIZED')
    }
    assert.equal((await ask('/metrics')).status, 401)
    assert.equal((await ask('/no-such-thing')).status, 401, 'not even what there is')
    assert.equal((await ask('/api/pose/pool-status', 'Bearer secret')).status, 200)
    assert.equal((await ask('/health')).status, 200)
    assert.equal((await ask('/api/pose/health')).status, 200)
    await service.close()
  })

  test('web pages from elsewhere, by name or by origin, are kept out', async () => {
    const service = await serve({ engine, hosts: ['pose.test'], origins: ['http://app.test:3000'] })
    const ask = (headers) => service.app.inject({ url: '/api/pose/pool-status', headers })
    const heard = async (host, more = '') => {
      const text = `GET /api/pose/pool-status HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`
      return Number(/^HTTP\/1\.1 (\d+)/.exec((await raw(service.port, text)).heard)[1])
    }
    assert.equal(await heard(`localhost:${service.port}`), 200)
    assert.equal(await heard(`127.0.0.1:${service.port}`), 200)
    assert.equal(await heard('pose.test'), 200)
    assert.equal(await heard('evil.test'), 403, 'a name that was pointed here')
    const here = `127.0.0.1:${service.port}`
    assert.equal(await heard(here, `Origin: http://${here}\r\n`), 200)
    assert.equal(await heard(here, 'Origin: http://app.test:3000\r\n'), 200)
    assert.equal(await heard(here, 'Origin: http://evil.test\r\n'), 403)
    assert.equal(await heard(here, 'Origin: null\r\n'), 403)
    assert.equal((await ask({})).statusCode, 200)
    await service.close()
  })

  test('files: only below the roots, links resolved, and the answer tells nothing of others', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pose4d-roots-'))
    const root = join(folder, 'root')
    mkdirSync(join(root, 'inner'), { recursive: true })
    mkdirSync(join(folder, 'root-beside'))
    writeFileSync(join(folder, 'secret.mp4'), 'x')
    writeFileSync(join(folder, 'root-beside', 'video.mp4'), 'x')
    symlinkSync(join(folder, 'secret.mp4'), join(root, 'link.mp4'))
    symlinkSync(folder, join(root, 'out'))
    symlinkSync(join(folder, 'not-there.mp4'), join(root, 'dangling.mp4'))
    const service = await serve({ engine, roots: [root] })
    const ask = (video_path) => post(`${service.url}/pose/video`, { video_path })
    const outside = [
      join(folder, 'secret.mp4'),
      join(folder, 'not-there.mp4'),
      '../secret.mp4',
      'inner/../../secret.mp4',
      'link.mp4',
      'out/secret.mp4',
      '../root-beside/video.mp4',
      `${root}-beside/video.mp4`,
      '/etc/passwd',
      '/proc/self/environ',
      'inner/..\0/secret.mp4',
      'http://localhost:1/video.mp4',
      'file:///etc/passwd',
      'concat:/etc/passwd',
    ]
    for (const path of outside) {
      const { status, body } = await ask(path)
      assert.ok([403, 404].includes(status), `${path}: ${status}`)
      if (!path.includes(':')) assert.equal(status, 403, path)
      assert.ok(!JSON.stringify(body).includes('root:x'), path)
    }
    const missing = await ask('inner/none.mp4')
    assert.deepEqual([missing.status, missing.body.error_code], [404, 'ERR_POSE4D_VIDEO_NOT_FOUND'])
    assert.equal((await ask('inner')).status, 404)

    const write = (export_path) =>
      post(`${service.url}/api/models/export/blazepose-full`, { export_path })
    for (const path of [
      '/tmp/pose4d-out.tflite',
      '../x',
      'link.mp4',
      'out/x',
      'dangling.mp4',
      'inner',
    ])
      assert.equal((await write(path)).status, 403, path)
    const exported = await write('inner/model.tflite')
    assert.equal(exported.status, 200, exported.body.error)
    assert.equal(exported.body.success, true)
    assert.equal(exported.body.export_path, join(root, 'inner', 'model.tflite'))
    await service.close()
    rmSync(folder, { recursive: true })
  })
})

describe('what it says of itself', () => {
  test('metrics count frames, sources, stages, requests', async () => {
    const service = await serve({ engine })
    await post(`${service.url}/pose`, { image_base64: photo })
    await post(`${service.url}/pose`, { image_base64: 'bm90IGFuIGltYWdl' })
    const response = await fetch(`${service.url}/metrics`)
    assert.match(response.headers.get('content-type'), /^text\/plain/)
    const text = await response.text()
    const value = (line) => {
      const escaped = line.replace(/[{}"]/g, '\\$&')
      return Number(new RegExp(`^${escaped} (\\S+)$`, 'm').exec(text)?.[1])
    }
    assert.equal(value('pose4d_frames_total{code="none"}'), 1)
    assert.equal(value('pose4d_frames_total{code="ERR_POSE4D_IMAGE_FORMAT"}'), 1)
    assert.ok(value('pose4d_persons_total{source="detected"}') >= 1)
    assert.ok(value('pose4d_stage_seconds_count{stage="decode"}') >= 1)
    assert.equal(value('pose4d_batch_frames_count'), 2)
    assert.equal(value('pose4d_ready'), 1)
    assert.deepEqual([value('pose4d_queue_depth'), value('pose4d_queue_active')], [0, 0])
    assert.ok(value('pose4d_memory_bytes{kind="rss"}') > 1e6)
    assert.equal(value('pose4d_jobs{status="queued"}'), 0)
    assert.equal(value('pose4d_request_seconds_count{method="POST",route="/pose",status="422"}'), 1)
    await service.close()
  })

  test('one line of log per request, with its id and frame, and nothing secret', async () => {
    const lines = []
    const stream = { write: (line) => lines.push(JSON.parse(line)) }
    const service = await serve({ engine, token: 'secret', logger: { level: 'info', stream } })
    const answer = await post(
      `${service.url}/pose`,
      { image_base64: photo, frame_number: 17 },
      { authorization: 'Bearer secret', 'x-request-id': 'mine-1' },
    )
    assert.equal(answer.headers.get('x-request-id'), 'mine-1')
    await post(`${service.url}/pose`, {}, { authorization: 'Bearer secret', 'x-request-id': 'a b' })
    await service.close()
    const requests = lines.filter(({ msg }) => msg === 'request')
    assert.equal(requests.length, 2)
    const { reqId, route, status, frame, ms } = requests[0]
    assert.deepEqual(
      { reqId, route, status, frame },
      { reqId: 'mine-1', route: '/pose', status: 200, frame: 17 },
    )
    assert.ok(ms > 0)
    assert.equal(requests[1].code, 'ERR_POSE4D_REQUEST')
    assert.match(
      requests[1].reqId,
      /^[0-9a-f-]{36}$/,
      'one that is no plain name is not taken over',
    )
    assert.ok(!JSON.stringify(lines).includes('secret'))
  })

  test('addresses that are not there, and methods that are not theirs', async () => {
    const service = await serve({ engine })
    const nothing = await fetch(`${service.url}/no-such-thing`)
    assert.equal(nothing.status, 404)
    assert.equal((await nothing.json()).error_code, 'ERR_POSE4D_NOT_FOUND')
    const wrong = await fetch(`${service.url}/pose/hybrid`)
    assert.equal(wrong.status, 405)
    assert.equal(wrong.headers.get('allow'), 'POST')
    const type = await fetch(`${service.url}/pose`, { method: 'POST', body: 'text' })
    assert.equal(type.status, 415)
    await service.close()
  })

  test('a model that cannot be loaded: 503 with the reason, and ready once it can', async () => {
    const service = await serve({
      engineConfig: { model: '4dhumans', cacheDir: '/nowhere' },
      warmup: true,
    })
    const { status, body } = await post(`${service.url}/pose`, { image_base64: photo })
    assert.equal(status, 503)
    assert.match(body.error_code, /^ERR_POSE4D_(LICENCE|MODEL_UNAVAILABLE)$/)
    const health = await (await fetch(`${service.url}/health`)).json()
    assert.deepEqual(
      [health.status, health.ready, health.hybrid_available],
      ['not_ready', false, false],
    )
    assert.ok(health.error.length > 0)
    const warm = await fetch(`${service.url}/warmup`)
    assert.equal(warm.status, 503)
    assert.equal((await (await fetch(`${service.url}/api/pose/health`)).json()).status, 'error')
    await service.close()
  })

  test('options that are wrong say what is wrong', async () => {
    const wrong = [
      [{ prot: 5000 }, /no option prot/],
      [{ concurrency: 0 }, /concurrency must be a whole number, 1 or more/],
      [{ roots: '/srv' }, /roots must be an array/],
      [{ token: '' }, /token/],
      [{ engine: {} }, /PoseEngine/],
      [{ engine, engineConfig: {} }, /not both/],
      [{ engine, legacyNames: true }, /legacyNames/],
    ]
    for (const [options, words] of wrong)
      await assert.rejects(createServer(options), (error) => {
        assert.equal(error.code, 'ERR_POSE4D_INVALID_ARGUMENT')
        assert.match(error.message, words)
        return true
      })
  })
})

describe('pose4d serve', () => {
  async function start(args, env = {}) {
    const dataDir = mkdtempSync(join(tmpdir(), 'pose4d-serve-'))
    const all = [
      BIN,
      'serve',
      '--port',
      '0',
      '--model',
      'blazepose',
      '--data-dir',
      dataDir,
      ...args,
    ]
    const child = spawn(process.execPath, all, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    child.stderr.on('data', (data) => {
      log += data
    })
    endWithTests(child)
    const exited = once(child, 'exit')
    await until(() => /pose4d listens on/.test(log) || child.exitCode !== null, 'listening')
    const [, url] = /pose4d listens on (http:\S+?)"/.exec(log) ?? []
    return { child, url, exited, log: () => log, clean: () => rmSync(dataDir, { recursive: true }) }
  }

  test('warms up, answers, and on SIGTERM finishes what it has: exit code 0', async () => {
    const service = await start([])
    assert.match(service.url, /^http:\/\/127\.0\.0\.1:/)
    for (let i = 0; (await fetch(`${service.url}/api/pose/health`)).status !== 200; i++) {
      assert.ok(i < 1200, service.log())
      await pause(50)
    }
    const answers = [0, 1, 2, 3, 4, 5].map((frame_number) =>
      post(`${service.url}/pose`, { image_base64: photo, frame_number }),
    )
    const busy = async () => {
      const { pool, queue } = await (await fetch(`${service.url}/api/pose/pool-status`)).json()
      return pool.active_workers + queue.length
    }
    let most = 0
    // All that are not answered yet are in.
    for (let i = 0; most < 2 && i < 500; i++) most = Math.max(most, await busy())
    service.child.kill('SIGTERM')
    const statuses = []
    for (const { status, body } of await Promise.all(answers)) {
      statuses.push(status)
      // What was not taken in yet is told so.
      if (status === 503) continue
      assert.equal(status, 200)
      assert.equal(body.keypoint_count, 33)
    }
    const answered = statuses.filter((status) => status === 200).length
    assert.ok(answered >= most && most >= 2, `${most} were accepted: ${statuses}`)
    assert.deepEqual(await service.exited, [0, null])
    service.clean()
  })

  test('SKIP_WARMUP=1 and POSE4D_TOKEN are heeded', async () => {
    const service = await start([], { SKIP_WARMUP: '1', POSE4D_TOKEN: 'secret' })
    await pause(300)
    assert.equal((await (await fetch(`${service.url}/health`)).json()).status, 'not_ready')
    assert.equal((await fetch(`${service.url}/metrics`)).status, 401)
    service.child.kill('SIGINT')
    assert.deepEqual(await service.exited, [0, null])
    service.clean()
  })

  test('an address that is taken, and options that are wrong', async () => {
    const service = await start(['--no-warmup'])
    const { port } = new URL(service.url)
    const second = await start(['--port', port, '--no-warmup'])
    assert.deepEqual(await second.exited, [3, null])
    assert.match(second.log(), /another program listens there/)
    const third = await start(['--queue', 'many'])
    assert.deepEqual(await third.exited, [2, null])
    assert.match(third.log(), /`--queue` must be a whole number/)
    service.child.kill('SIGTERM')
    await service.exited
    for (const each of [service, second, third]) each.clean()
  })
})
