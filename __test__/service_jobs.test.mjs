// Video jobs: results as of the direct call, in the old shapes; what survives a restart and a kill.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { createEngine } from '../index.mjs'
import { createServer } from '../service/index.cjs'
import resuming from '../service/jobs/resume.cjs'
import stores from '../service/jobs/store.cjs'
import { humansCache, SEES } from './helpers/humans.mjs'
import { describedBy, endWithTests, form, serve } from './helpers/service.mjs'
import { CLIP, card, cutOff, needsFfmpeg, probe } from './helpers/videos.mjs'

const BIN = fileURLToPath(new URL('../bin/pose4d.mjs', import.meta.url))
const FRAMES = 45
const MODEL = { model: 'blazepose', modelVariant: 'fast' }
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const scratch = mkdtempSync(join(tmpdir(), 'pose4d-jobs-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const clip = () => ({ bytes: readFileSync(CLIP), name: 'clip.mp4' })

/** What is compared of a person: everything that was measured. */
const told = ({ track_id, bbox, keypoints_3d, source }) => ({
  track_id,
  bbox,
  keypoints_3d,
  source,
})
const direct = ({ trackId, box, joints3d, source }) => ({
  track_id: trackId,
  bbox: [...box],
  keypoints_3d: Array.from({ length: joints3d.length / 3 }, (_, i) => [
    ...joints3d.subarray(3 * i, 3 * i + 3),
  ]),
  source,
})

async function settled(app, id, query = '') {
  for (let i = 0; i < 10_000; i++) {
    const response = await app.inject(`/job_status/${id}${query}`)
    const job = response.json()
    if (!['queued', 'processing'].includes(job.status)) return job
    await pause(20)
  }
  assert.fail('the job never ended')
}

let engine
let expected
before(async () => {
  engine = await createEngine(MODEL)
  expected = []
  if (needsFfmpeg.skip) return
  for await (const result of engine.processVideo(CLIP)) expected.push(result)
})
after(() => engine.close())

describe('endpoints', needsFfmpeg, () => {
  let service
  let api
  before(async () => {
    service = await serve({ engine, roots: [dirname(CLIP), scratch] })
    api = await describedBy(service.app)
  })
  after(() => service.close())
  const post = async (url, payload, headers) => {
    const response = await service.app.inject({ method: 'POST', url, payload, headers })
    return { status: response.statusCode, headers: response.headers, body: response.json() }
  }
  const upload = async (url, fields) => {
    const { payload, headers } = await form(fields)
    return post(url, payload, headers)
  }

  test('/pose/video: every frame once, everybody in it, equal to processVideo', async () => {
    const { status, body } = await post('/pose/video', { video_path: 'clip.mp4' })
    assert.equal(status, 200, body.error)
    api.check('/pose/video', 'post', 200, body)
    assert.equal(body.status, 'success')
    assert.equal(body.video_path, 'clip.mp4')
    assert.equal(body.total_frames, FRAMES)
    assert.deepEqual(
      body.frames.map(({ frame_number }) => frame_number),
      expected.map(({ frameNumber }) => frameNumber),
    )
    assert.ok(Math.abs(body.frames[30].timestamp - 1) < 0.002, 'seconds')
    body.frames.forEach((frame, i) => {
      assert.deepEqual(frame.persons.map(told), expected[i].persons.map(direct))
    })
    assert.equal(body.coverage.holds, true)
    assert.equal(body.coverage.complete, true)
    assert.ok(body.processing_time_seconds > 0 && body.parsing_time_seconds >= 0)

    const state = (await service.app.inject(`/pose/video/status/${body.job_id}`)).json()
    api.check('/pose/video/status/{id}', 'get', 200, state)
    assert.equal(state.status, 'completed')
    assert.deepEqual(state.result.frames, body.frames)
    const brief = (
      await service.app.inject(`/pose/video/status/${body.job_id}?result=false`)
    ).json()
    assert.equal(brief.result, null)
    assert.ok(state.queued_at <= state.started_at && state.started_at <= state.completed_at)
  })

  test('/process_video: the timeline with nothing dropped, and the drawn video', async () => {
    const { status, body } = await upload('/process_video', {
      video: clip(),
      max_frames: '12',
      output_format: 'base64',
    })
    assert.equal(status, 200, body.error)
    api.check('/process_video', 'post', 200, body)
    const { data } = body
    // Every fourth of 45, spread over all of it.
    const numbers = data.pose_timeline.map(({ originalFrameNumber }) => originalFrameNumber)
    assert.deepEqual(numbers, [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44])
    assert.equal(data.total_frames, FRAMES)
    assert.equal(data.processed_frames, 12)
    assert.deepEqual(data.resolution, [640, 360])
    assert.equal(data.fps, 30)
    for (const list of [data.pose_timeline, data.frames, data.frame_acceptance])
      assert.deepEqual(
        list.map(({ frameNumber }) => frameNumber),
        numbers.map((_, i) => i),
      )
    assert.ok(data.pose_timeline.every(({ keypoints, has3D }) => has3D && keypoints.length === 33))
    assert.ok(data.frame_acceptance.every(({ accepted }) => accepted))
    const drawn = Buffer.from(data.output_base64, 'base64')
    assert.deepEqual(drawn, readFileSync(data.output_path))
    assert.equal(Number(probe(data.output_path).nb_read_frames), 12)
    assert.ok(Math.abs(data.output_size_mb - drawn.length / 2 ** 20) < 0.01)
  })

  test('/process_video_async, /job_status, /frame, /output, and away with it', async () => {
    const { status, body } = await upload('/process_video_async', {
      max_frames: '5',
      video: clip(),
    })
    assert.equal(status, 200)
    api.check('/process_video_async', 'post', 200, body)
    assert.equal(body.status, 'accepted')
    const first = (await service.app.inject(`/job_status/${body.job_id}`)).json()
    api.check('/job_status/{id}', 'get', 200, first)
    assert.ok(['queued', 'processing'].includes(first.status))
    const job = await settled(service.app, body.job_id)
    api.check('/job_status/{id}', 'get', 200, job)
    assert.equal(job.status, 'complete')
    assert.ok(job.processing_time > 0)
    assert.equal(job.result.pose_timeline.length, 5)
    assert.equal(job.output_path, job.result.output_path)

    const picture = async (i, query = '') =>
      service.app.inject(`/frame/${body.job_id}/${i}${query}`)
    const [drawn, bare] = [await picture(2), await picture(2, '?overlay=false')]
    assert.equal(drawn.headers['content-type'], 'image/jpeg')
    assert.equal(drawn.rawPayload.readUInt16BE(0), 0xffd8)
    assert.notDeepEqual(drawn.rawPayload, bare.rawPayload)
    assert.equal((await picture(5)).statusCode, 404)
    assert.equal((await picture('x')).statusCode, 400)
    const file = await service.app.inject(`/output/${body.job_id}`)
    assert.deepEqual(file.rawPayload, readFileSync(job.output_path))

    const gone = await service.app.inject({ method: 'DELETE', url: `/job_status/${body.job_id}` })
    assert.deepEqual(gone.json(), { job_id: body.job_id, status: 'removed' })
    assert.equal((await service.app.inject(`/job_status/${body.job_id}`)).statusCode, 404)
    assert.equal(existsSync(job.output_path), false)
  })

  test('busy: 202 with a place in the line, and the result later', async () => {
    const running = await upload('/process_video_async', { video: clip() })
    const { status, body } = await post('/pose/video', { video_path: 'clip.mp4', max_frames: 3 })
    assert.equal(status, 202)
    api.check('/pose/video', 'post', 202, body)
    assert.ok(body.queue_position >= 1)
    const state = async () => (await service.app.inject(`/pose/video/status/${body.job_id}`)).json()
    while (['queued', 'processing'].includes((await state()).status)) await pause(30)
    assert.equal((await state()).result.total_frames, 3)
    await settled(service.app, running.body.job_id)
    const counts = (await service.app.inject('/api/pose/pool-status')).json().jobs
    assert.equal(counts.queued + counts.processing, 0)
    assert.ok(counts.completed >= 2)
  })

  test('a file that is cut off: what is there, with a warning', async () => {
    const whole = card(join(scratch, 'card.mp4'))
    cutOff(whole, 0.6, join(scratch, 'half.mp4'))
    const { status, body } = await post('/pose/video', { video_path: join(scratch, 'half.mp4') })
    assert.equal(status, 200, body.error)
    assert.match(body.warning, /is cut off/)
    assert.ok(body.total_frames > 10 && body.total_frames < 60)
    assert.equal(body.coverage.complete, false)
  })

  test('what is no video, in the words of the request and not of the disk', async () => {
    const { status, body } = await upload('/process_video', {
      video: { bytes: Buffer.from('no video'), name: 'mine.mp4' },
    })
    assert.equal(status, 422)
    api.check('/process_video', 'post', 422, body)
    assert.equal(body.error_code, 'ERR_POSE4D_VIDEO_FORMAT')
    assert.ok(body.error.includes('mine.mp4') && !body.error.includes(service.dataDir), body.error)
    const state = (await service.app.inject(`/job_status/${body.job_id}`)).json()
    api.check('/job_status/{id}', 'get', 200, state)
    assert.equal(state.status, 'error')
  })

  const refusals = [
    ['no file', { max_frames: '3' }],
    ['an empty file', { video: { bytes: Buffer.alloc(0), name: 'a.mp4' } }],
    ['a file in another field', { film: clip() }],
    ['two files', { video: clip(), other: clip() }],
    ['a number that is none', { video: clip(), max_frames: 'all' }],
    ['an unknown format', { video: clip(), output_format: 'gif' }],
  ]
  for (const [name, fields] of refusals) {
    test(`refused, and nothing is left on the disk: ${name}`, async () => {
      const uploads = join(service.dataDir, 'uploads')
      const before = readdirSync(uploads).sort()
      const { status, body } = await upload('/process_video_async', fields)
      assert.equal(status, 400, body.error)
      api.check('/process_video_async', 'post', 400, body)
      assert.deepEqual(readdirSync(uploads).sort(), before)
    })
  }

  test('unknown jobs', async () => {
    const id = '00000000-0000-4000-8000-000000000000'
    for (const url of [
      `/job_status/${id}`,
      `/pose/video/status/${id}`,
      `/frame/${id}/0`,
      `/output/${id}`,
    ])
      assert.equal((await service.app.inject(url)).statusCode, 404, url)
    for (const url of ['/job_status/1', '/frame/..%2f..%2fetc/0'])
      assert.equal((await service.app.inject(url)).statusCode, 400, url)
  })
})

describe('limits', needsFfmpeg, () => {
  test('an upload that is too large', async () => {
    const service = await serve({ engine, maxVideoBytes: 20_000 })
    const { payload, headers } = await form({ video: clip() })
    const url = '/process_video_async'
    const response = await service.app.inject({ method: 'POST', url, payload, headers })
    assert.equal(response.statusCode, 413)
    assert.deepEqual(readdirSync(join(service.dataDir, 'uploads')), [])
    await service.close()
  })

  test('jobs that wait, and a client who leaves takes its job along', async () => {
    const service = await serve({ engine, maxJobs: 1, roots: [dirname(CLIP)] })
    const body = JSON.stringify({ video_path: CLIP })
    const headers = { 'content-type': 'application/json' }
    const ask = (signal, query = '') =>
      fetch(`${service.url}/pose/video${query}`, { method: 'POST', signal, headers, body })
    const leaving = new AbortController()
    const first = ask(leaving.signal)
    first.catch(() => {})
    const jobs = async () => (await fetch(`${service.url}/api/pose/pool-status`)).json()
    for (let i = 0; (await jobs()).jobs.processing !== 1; i++) {
      assert.ok(i < 5000)
      await pause(10)
    }
    assert.equal((await ask(undefined, '?wait=false')).status, 202)
    const full = await ask()
    assert.equal(full.status, 429)
    assert.ok(Number(full.headers.get('retry-after')) > 0)
    leaving.abort()
    for (let i = 0; (await jobs()).jobs.total !== 1; i++) {
      assert.ok(i < 5000, 'the job of who left is still there')
      await pause(10)
    }
    await service.close()
  })

  test('without jobs nothing is written, and video endpoints say so', async () => {
    const dataDir = join(scratch, 'none')
    const app = await createServer({ engine, jobs: false, dataDir, warmup: false })
    const url = '/process_video_async'
    const response = await app.inject({ method: 'POST', url, ...(await form({ video: clip() })) })
    assert.deepEqual(
      [response.statusCode, response.json().error_code],
      [501, 'ERR_POSE4D_JOBS_OFF'],
    )
    await app.close()
    assert.equal(existsSync(dataDir), false)
  })

  test('a folder belongs to one service; what a dead one left is taken over', async () => {
    const service = await serve({ engine })
    await assert.rejects(
      createServer({ engine, dataDir: service.dataDir }),
      /in use by another service/,
    )
    await service.close()
    const dataDir = join(scratch, 'dead')
    mkdirSync(join(dataDir, 'jobs.sqlite.lock'), { recursive: true })
    const { pid } = spawn(process.execPath, ['-e', ''])
    await pause(300)
    writeFileSync(join(dataDir, 'service.lock'), JSON.stringify({ pid, host: 'elsewhere' }))
    await assert.rejects(createServer({ engine, dataDir }), /in use/, 'perhaps it lives, elsewhere')
    const { hostname } = await import('node:os')
    writeFileSync(join(dataDir, 'service.lock'), JSON.stringify({ pid, host: hostname() }))
    const app = await createServer({ engine, dataDir, warmup: false })
    await app.close()
    assert.equal(existsSync(join(dataDir, 'service.lock')), false)
  })
})

describe('what survives', needsFfmpeg, () => {
  test('a restart: results; a job that was stopped goes on', async () => {
    const dataDir = join(scratch, 'restart')
    const first = await serve({ engine, dataDir, roots: [dirname(CLIP)] })
    const request = { method: 'POST', url: '/pose/video', payload: { video_path: 'clip.mp4' } }
    const done = (await first.app.inject(request)).json()
    const cut = (await first.app.inject({ ...request, url: '/pose/video?wait=false' })).json()
    await pause(150)
    await first.close()
    const second = await serve({ engine, dataDir, roots: [dirname(CLIP)] })
    const state = async (id) => (await second.app.inject(`/pose/video/status/${id}`)).json()
    assert.deepEqual((await state(done.job_id)).result.frames, done.frames)
    while ((await state(cut.job_id)).status !== 'completed') await pause(30)
    assert.deepEqual((await state(cut.job_id)).result.frames, done.frames)
    await second.close()
  })

  test('kill -9 while it works: every accepted job is done, as if nothing had been', async () => {
    const dataDir = join(scratch, 'killed')
    const start = async () => {
      const args = [BIN, 'serve', '--port', '0', '--model', 'blazepose', '--model-variant', 'fast']
      const child = spawn(process.execPath, [...args, '--data-dir', dataDir], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      endWithTests(child)
      const exited = once(child, 'exit')
      let log = ''
      child.stderr.on('data', (data) => {
        log += data
      })
      for (let i = 0; !/pose4d listens on/.test(log); i++) {
        assert.ok(i < 3000 && child.exitCode === null, log)
        await pause(20)
      }
      const [, url] = /pose4d listens on (http:\S+?)"/.exec(log)
      return { child, exited, url }
    }
    const kill = async ({ child, exited }) => {
      child.kill('SIGKILL')
      await exited
    }
    const { payload, headers } = await form({ video: clip(), max_frames: '15' })
    const sampled = []
    for await (const result of engine.processVideo(CLIP, { every: 3 })) sampled.push(result)
    const accepted = []
    const accept = async ({ url }) => {
      const response = await fetch(`${url}/process_video_async`, {
        method: 'POST',
        headers,
        body: payload,
      })
      accepted.push((await response.json()).job_id)
    }

    let service = await start()
    await accept(service)
    await accept(service)
    // At once, while it loads, and in the middle of the work.
    await kill(service)
    for (const ms of [100, 700, 1500]) {
      service = await start()
      await pause(ms)
      await accept(service)
      await kill(service)
    }
    service = await start()
    for (const id of accepted) {
      for (;;) {
        const url = `${service.url}/pose/video/status/${id}`
        const job = await (await fetch(url)).json()
        if (['queued', 'processing'].includes(job.status)) {
          await pause(50)
          continue
        }
        assert.equal(job.status, 'completed', job.error)
        assert.equal(job.result.frames.length, sampled.length)
        job.result.frames.forEach((frame, i) => {
          assert.deepEqual(frame.persons.map(told), sampled[i].persons.map(direct))
        })
        break
      }
    }
    assert.equal(accepted.length, 5)
    service.child.kill('SIGTERM')
    assert.deepEqual(await service.exited, [0, null])
  })

  test('a job at which the process keeps dying is given up, with the reason', async () => {
    const dataDir = join(scratch, 'poison')
    mkdirSync(dataDir, { recursive: true })
    const store = new stores.JobStore(dataDir)
    const id = '11111111-1111-4111-8111-111111111111'
    store.add({
      id,
      kind: 'track',
      video: CLIP,
      name: 'clip.mp4',
      uploaded: false,
      options: {},
      created: 1,
    })
    store.set(id, { status: 'processing', attempts: 5 })
    store.close()
    const service = await serve({ engine, dataDir })
    const job = await settled(service.app, id)
    assert.equal(job.status, 'error')
    assert.match(job.error, /5 times/)
    await service.close()
  })

  test('jobs past their time are removed with their files', async () => {
    const dataDir = join(scratch, 'old')
    const first = await serve({ engine, dataDir })
    const { payload, headers } = await form({ video: clip(), max_frames: '2' })
    const request = { method: 'POST', url: '/process_video_async', payload, headers }
    const { job_id: id } = (await first.app.inject(request)).json()
    await settled(first.app, id)
    await first.close()
    assert.equal(readdirSync(join(dataDir, 'uploads')).length, 1)
    await pause(20)
    const second = await serve({ engine, dataDir, keepJobsDays: 1e-7 })
    assert.equal((await second.app.inject(`/job_status/${id}`)).statusCode, 404)
    assert.deepEqual(readdirSync(join(dataDir, 'uploads')), [])
    assert.deepEqual(readdirSync(join(dataDir, 'outputs')), [])
    await second.close()
  })
})

test('the store: a checkpoint is whole or not there, typed arrays come back as they were', () => {
  const folder = join(scratch, 'store')
  mkdirSync(folder)
  let store = new stores.JobStore(folder)
  const job = {
    kind: 'track',
    video: '/v.mp4',
    name: 'v',
    uploaded: false,
    options: { a: 1 },
    created: 5,
  }
  store.add({ id: 'one', ...job })
  const results = [0, 1].map((frameNumber) => ({
    frameNumber,
    box: Float32Array.of(1, 2.5, -0, 4),
  }))
  store.append('one', 0, results, Uint8Array.of(1, 2, 3))
  const unwritable = { frameNumber: 2, broken: () => {} }
  assert.throws(() => store.append('one', 2, [results[0], unwritable], Uint8Array.of(9)))
  assert.equal(store.get('one').frames_done, 2)
  assert.deepEqual([...store.snapshot('one')], [1, 2, 3])
  store.close()
  store = new stores.JobStore(folder)
  assert.deepEqual([...store.results('one')], results)
  assert.deepEqual(store.get('one').options, { a: 1 })
  assert.throws(() => store.append('none', 0, results), /removed/)
  assert.throws(() => store.set('one', { 'status = 1 --': 2 }), /no field/)
  store.forget('one')
  assert.deepEqual([...store.results('one')], [])
  store.close()
})

test('a clip goes on from its snapshot where the engine has them, and begins anew where not', async () => {
  const job = { id: 'x', frames_done: 2 }
  const opened = []
  const engineOf = (clip) => ({
    openClip(options) {
      opened.push(options)
      return clip
    },
  })
  const withSnapshots = engineOf({ snapshot: () => {} })
  const without = engineOf({})
  const store = { snapshot: () => Uint8Array.of(7), forget: () => opened.push('forgotten') }
  assert.equal((await resuming.resume(withSnapshots, store, job, { fps: 5 })).done, 2)
  assert.deepEqual(opened.splice(0), [{ snapshot: Uint8Array.of(7) }])
  const none = { ...store, snapshot: () => undefined }
  assert.equal((await resuming.resume(without, none, job, { fps: 5 })).done, 0)
  assert.deepEqual(opened.splice(0), ['forgotten', { fps: 5 }])
  const changed = {
    openClip({ snapshot, ...options }) {
      if (snapshot) throw Object.assign(new Error('another'), { code: 'ERR_POSE4D_SNAPSHOT' })
      opened.push(options)
    },
  }
  assert.equal((await resuming.resume(changed, store, job, { fps: 5 })).done, 0)
  assert.deepEqual(opened, ['forgotten', { fps: 5 }])
})

test(
  'a mesh goes through the store and back: /pose/video with 4D-Humans in small',
  needsFfmpeg,
  async () => {
    const cache = humansCache()
    const config = { model: '4dhumans', cacheDir: cache.cacheDir, precision: 'fp32', humans: SEES }
    const service = await serve({ engineConfig: config, roots: [dirname(CLIP)] })
    try {
      const ask = async (query) => {
        const payload = { video_path: CLIP, max_frames: 3 }
        const url = `/pose/video${query}`
        return (await service.app.inject({ method: 'POST', url, payload })).json()
      }
      const body = await ask('')
      const api = await describedBy(service.app)
      api.check('/pose/video', 'post', 200, body)
      const [person] = body.frames[0].persons
      assert.equal(person.mesh_vertices.length, 6890)
      assert.equal(body.mesh_faces.length, 13776)
      assert.equal(person.smpl.betas.length, 10)
      const plain = (
        await service.app.inject(`/pose/video/status/${body.job_id}?mesh=false`)
      ).json()
      assert.equal(plain.result.frames[0].persons[0].mesh_vertices, undefined)
      const timeline = (await service.app.inject(`/job_status/${body.job_id}`)).json().result
      assert.deepEqual(timeline.pose_timeline[0].vertices, person.mesh_vertices)
      assert.deepEqual(timeline.frames[0].faces, body.mesh_faces)
    } finally {
      await service.close()
      cache.remove()
    }
  },
)
