// Many machines: clips over several worker processes and a real Redis equal those of one machine to the bit,
// whoever is killed in between.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { after, afterEach, before, describe } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createEngine } from '../index.mjs'
import { createServer } from '../service/index.cjs'
import stores from '../service/jobs/store.cjs'
import connections from '../service/redis/connection.cjs'
import redisStores from '../service/redis/store.cjs'
import { drawn, needsRedis, startRedis, startWorker } from './helpers/redis.mjs'
import { measured } from './helpers/results.mjs'
import { form, serve } from './helpers/service.mjs'
import { CLIP } from './helpers/videos.mjs'

const BIN = fileURLToPath(new URL('../bin/pose4d.mjs', import.meta.url))
const ENGINE = {
  ...{ model: 'blazepose', modelVariant: 'fast', threads: 1 },
  blazepose: { tileScales: [0.6] },
}
const SHARD = 8
const SEEDS = Number(process.env.POSE4D_REDIS_SEEDS ?? 0)

const quiet = { info() {}, warn() {}, error() {}, debug() {} }
const scratch = mkdtempSync(join(tmpdir(), 'pose4d-many-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** The results of a stored job, apart from how long they took. */
async function stored(store, id) {
  const results = []
  for await (const result of store.results(id)) results.push(measured(result))
  return results
}

describe('many machines', needsRedis, () => {
  let redis
  let engine
  let expected
  let service
  let store

  before(async () => {
    engine = await createEngine(ENGINE)
    redis = await startRedis()
    expected = await onOneMachine({})
    const dataDir = join(scratch, 'many')
    service = await serve({ engine, dataDir, roots: [dirname(CLIP)], redis: redis.url })
    store = new redisStores.RedisStore({ url: redis.url, log: quiet, patient: true })
    await store.open(quiet)
  })
  after(async () => {
    await store?.close()
    await service?.close()
    await redis?.close()
    await engine?.close()
  })

  /** What the store of one machine has of the clip. */
  async function onOneMachine(payload) {
    const dataDir = mkdtempSync(join(scratch, 'one-'))
    const alone = await serve({ engine, dataDir, roots: [dirname(CLIP)] })
    const request = { method: 'POST', url: '/pose/video' }
    const answer = await alone.app.inject({
      ...request,
      payload: { video_path: 'clip.mp4', ...payload },
    })
    await alone.close()
    const kept = new stores.JobStore(dataDir)
    const results = await stored(kept, answer.json().job_id)
    const { summary } = kept.get(answer.json().job_id)
    kept.close()
    assert.ok(results.length > 0)
    return { results, summary }
  }

  const alive = new Set()
  afterEach(async () => {
    await Promise.all([...alive].map(({ kill }) => kill()))
    alive.clear()
  })

  function worker(options = {}) {
    const started = startWorker({
      ...{ redis: redis.url, engineConfig: ENGINE, shardFrames: SHARD, stalledSeconds: 1 },
      ...{ roots: [dirname(CLIP)], dataDir: join(scratch, 'many'), ...options },
    })
    alive.add(started)
    return started
  }

  async function accept(payload = {}) {
    const answer = await service.app.inject({
      method: 'POST',
      url: '/pose/video?wait=false',
      payload: { video_path: 'clip.mp4', ...payload },
    })
    assert.equal(answer.statusCode, 202, answer.body)
    return answer.json().job_id
  }

  const state = async (id) =>
    (await service.app.inject(`/pose/video/status/${id}?result=false`)).json()

  async function ended(id, limit = 120_000) {
    for (const began = Date.now(); ; await pause(50)) {
      const job = await state(id)
      if (!['queued', 'processing'].includes(job.status)) return job
      assert.ok(Date.now() - began < limit, `still ${job.status} at frame ${job.frames_done}`)
    }
  }

  async function equals(id, { results, summary } = expected) {
    const job = await ended(id)
    assert.equal(job.status, 'completed', job.error)
    assert.deepEqual(await stored(store, id), results)
    assert.deepEqual((await store.get(id)).summary, summary)
  }

  /** Of looks and states nothing is left behind. */
  async function nothingLeft() {
    const keys = await store.client.keys('*')
    assert.deepEqual(
      keys.filter((key) => /:(looks|clip|tries):/.test(key)),
      [],
    )
    for (let i = 0; Object.values(await depths()).some((n) => n > 0); i++) {
      assert.ok(i < 200, JSON.stringify(await depths()))
      await pause(50)
    }
  }

  async function depths() {
    const text = (await service.app.inject('/metrics')).body
    const lines = text.matchAll(/^pose4d_worker_queue_depth\{queue="(\w+)"\} (\d+)$/gm)
    return Object.fromEntries([...lines].map(([, name, n]) => [name, Number(n)]))
  }

  test('two find, one follows: equal to the bit, and nothing is left behind', async () => {
    const workers = [worker({ role: 'find' }), worker({ role: 'find' }), worker({ role: 'track' })]
    const ids = [await accept(), await accept({ max_frames: 20, mesh: false })]
    await equals(ids[0])
    await equals(ids[1], await onOneMachine({ max_frames: 20, mesh: false }))
    await nothingLeft()
    for (const { kill } of workers) assert.deepEqual(await kill('SIGTERM'), [0, null])
    const [, , tracker] = workers
    assert.ok(tracker.log().includes('video job done'))
    assert.ok(!/look that fits|nobody could find/.test(tracker.log()), tracker.log())
    const answer = await service.app.inject(`/pose/video/status/${ids[0]}`)
    assert.equal(answer.json().result.frames.length, expected.results.length)
    const [, first] = answer.json().result.frames
    assert.equal(first.persons.length, expected.results[1].persons.length)
  })

  /** Workers are killed and replaced until the jobs are done. */
  async function massacre(seed, count) {
    const draw = drawn(seed)
    const roles = ['find', 'all', 'all']
    const workers = roles.map((role) => worker({ role }))
    const ids = []
    for (let i = 0; i < count; i++) ids.push(await accept())
    let deaths = 0
    let over = false
    const done = Promise.all(ids.map((id) => equals(id))).finally(() => {
      over = true
    })
    done.catch(() => {})
    while (!over) {
      const at = Math.floor(draw() * workers.length)
      await Promise.race([workers[at].ready(), done])
      await pause(200 + 2000 * draw())
      await workers[at].kill()
      deaths += 1
      workers[at] = worker({ role: roles[at] })
    }
    await done
    return deaths
  }

  test('workers killed at random lose and change nothing', async () => {
    const deaths = await massacre(1, 2)
    assert.ok(deaths > 0)
    await nothingLeftOfTheDead()
  })

  /** What the dead were at is found stalled by those who live. */
  async function nothingLeftOfTheDead() {
    await worker().ready()
    await nothingLeft()
  }

  const long = SEEDS > 0 ? {} : { skip: 'POSE4D_REDIS_SEEDS=20 runs so many seeds' }
  test('the same with many seeds', long, async () => {
    for (let seed = 2; seed < 2 + SEEDS; seed++) await massacre(seed, 3)
    await nothingLeftOfTheDead()
  })

  test('a worker that is told to stop gives back what it is at, and another goes on', async () => {
    const first = worker()
    const id = await accept()
    await first.ready()
    while ((await state(id)).frames_done === 0) await pause(20)
    assert.deepEqual(await first.kill('SIGTERM'), [0, null])
    const left = await store.get(id)
    if (left.status !== 'complete') {
      assert.equal(left.status, 'queued')
      assert.equal(left.attempts, 0)
    }
    const second = worker()
    await equals(id)
    await second.kill('SIGTERM')
    await nothingLeft()
  })

  test('Redis killed and started again in between', async () => {
    const only = worker()
    const id = await accept()
    while ((await state(id)).frames_done === 0) await pause(20)
    await redis.kill()
    const away = await service.app.inject(`/pose/video/status/${id}`)
    assert.equal(away.statusCode, 503, away.body)
    assert.equal(away.json().error_code, 'ERR_POSE4D_REDIS')
    assert.equal((await service.app.inject('/metrics')).statusCode, 200)
    await redis.start()
    await equals(id)
    await only.kill('SIGTERM')
    assert.match(only.log(), /is back/)
  })

  test('a shard at which workers die is told frame by frame, and the others are as they are', async () => {
    const tracker = worker({ role: 'track' })
    const id = await accept()
    const deadly = () => worker({ role: 'find', deadlyFrame: 20 })
    let finder = deadly()
    let over = false
    const end = ended(id).finally(() => {
      over = true
    })
    let deaths = 0
    while (!over) {
      await Promise.race([finder.exited, end])
      if (over) break
      deaths += 1
      finder = deadly()
    }
    const job = await end
    assert.equal(job.status, 'completed', job.error)
    assert.equal(deaths, 5)
    const results = await stored(store, id)
    assert.equal(results.length, expected.results.length)
    results.forEach((result, i) => {
      const bad = i >= 16 && i < 24
      assert.equal(result.errorCode, bad ? 'ERR_POSE4D_WORKER' : undefined, `frame ${i}`)
      if (i < 16) assert.deepEqual(result, expected.results[i])
    })
    assert.match(results[16].error, /frame 16: .*5 workers died/)
    assert.ok(results[40].persons.length > 0)
    await finder.kill()
    await tracker.kill('SIGTERM')
  })

  test('a job that is removed ends wherever it is at work', async () => {
    const only = worker()
    const id = await accept()
    while ((await state(id)).frames_done === 0) await pause(20)
    assert.equal(
      (await service.app.inject({ method: 'DELETE', url: `/job_status/${id}` })).statusCode,
      200,
    )
    assert.equal((await service.app.inject(`/job_status/${id}`)).statusCode, 404)
    for (let i = 0; !/removed/.test(only.log()); i++) {
      assert.ok(i < 200, only.log())
      await pause(50)
    }
    await nothingLeft()
    const next = await accept()
    await equals(next)
    await only.kill('SIGTERM')
  })

  test('an upload, drawn, through the command line’s own worker', async () => {
    const args = ['worker', '--redis', redis.url, '--data-dir', join(scratch, 'many')]
    const model = ['--model', 'blazepose', '--model-variant', 'fast', '--threads', '1']
    const child = spawn(process.execPath, [BIN, ...args, ...model, '--stalled-after', '2'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const copy = join(scratch, 'copy.mp4')
    copyFileSync(CLIP, copy)
    const { readFileSync } = await import('node:fs')
    const { payload, headers } = await form({
      video: { bytes: readFileSync(copy), name: 'copy.mp4' },
    })
    const request = { method: 'POST', url: '/process_video', payload, headers }
    const answer = (await service.app.inject(request)).json()
    assert.equal(answer.status, 'success', JSON.stringify(answer).slice(0, 500))
    assert.ok(existsSync(answer.data.output_path))
    assert.equal(answer.data.processed_frames, expected.results.length)
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [0, null])
    const job = answer.data.output_path.match(/([\w-]+)\.mp4$/)[1]
    await service.app.inject({ method: 'DELETE', url: `/job_status/${job}` })
    assert.equal(existsSync(answer.data.output_path), false)
  })

  test('a video that is not below a worker’s roots fails with the reason', async () => {
    const elsewhere = worker({ roots: [scratch] })
    const id = await accept()
    const job = await ended(id)
    assert.deepEqual([job.status, job.error_code], ['error', 'ERR_POSE4D_FORBIDDEN'])
    assert.ok(!job.error.includes(dirname(CLIP)), job.error)
    await elsewhere.kill('SIGTERM')
  })

  test('who has other settings is of no use, and does no harm', async () => {
    worker({ role: 'find', engineConfig: { ...ENGINE, maxPersons: 7 } })
    const tracker = worker({ role: 'track' })
    await equals(await accept())
    assert.match(tracker.log(), /nobody could find people in shard 0.*other settings/)
  })

  test('a password is used and not told', async () => {
    const guarded = await startRedis(['--requirepass', 'geheim'])
    const withPassword = guarded.url.replace('//', '//:geheim@')
    const open = async (url) => {
      const lines = []
      const told = (...what) => lines.push(JSON.stringify(what))
      const log = { info: told, warn: told, error: told, debug: told }
      const guardedStore = new redisStores.RedisStore({ url, log })
      try {
        await guardedStore.open(log)
        return { counts: await guardedStore.counts(), lines }
      } finally {
        await guardedStore.close()
      }
    }
    const { counts, lines } = await open(withPassword)
    assert.equal(counts.queued, 0)
    assert.ok(!lines.join().includes('geheim'))
    const refused = { code: 'ERR_POSE4D_REDIS', message: /NOAUTH|WRONGPASS/ }
    await assert.rejects(open(guarded.url), refused)
    await assert.rejects(open(guarded.url.replace('//', '//:falsch@')), (error) => {
      return refused.message.test(error.message) && !error.message.includes('falsch')
    })
    await guarded.close()
  })
})

test('without Redis service and worker say so', async () => {
  const { status, stderr } = await cli([
    'worker',
    '--redis',
    'redis://127.0.0.1:1',
    '--model',
    'blazepose',
  ])
  assert.equal(status, 3)
  assert.match(stderr, /Redis at redis:\/\/127\.0\.0\.1:1 cannot be reached.*ERR_POSE4D_REDIS/)
  const usage = await cli(['worker'])
  assert.equal(usage.status, 2)
  assert.match(usage.stderr, /--redis is missing/)
  const dataDir = join(scratch, 'nowhere')
  await assert.rejects(createServer({ redis: 'redis://127.0.0.1:1', dataDir, warmup: false }), {
    code: 'ERR_POSE4D_REDIS',
  })
  for (const redis of ['http://localhost', 'localhost:6379', 'redis://', ''])
    await assert.rejects(createServer({ redis, dataDir }), { code: 'ERR_POSE4D_INVALID_ARGUMENT' })
  assert.equal(connections.placeOf('rediss://me:secret@cache:6380/2'), 'rediss://cache:6380/2')
})

async function cli(args) {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (data) => {
    stderr += data
  })
  const [status] = await once(child, 'close')
  return { status, stderr }
}
