// The page on a server of its own, with answers from a real engine, and a headless Chromium to look at it with.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fastify from 'fastify'
import { chromium } from 'playwright-core'
import { createEngine, renderOverlay } from '../../index.mjs'

const { registerWeb } = createRequire(import.meta.url)('../../service/web.cjs')

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

function onPath(name) {
  try {
    return execFileSync('which', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')[0]
  } catch {
    return null
  }
}

/** A browser that is already here: `POSE4D_CHROMIUM`, one on the PATH, or one that Playwright was told to fetch. */
function findChromium() {
  const asked = process.env.POSE4D_CHROMIUM
  if (asked) return existsSync(asked) ? asked : null
  const fetched = chromium.executablePath()
  return NAMES.map(onPath).find(Boolean) ?? (existsSync(fetched) ? fetched : null)
}

export const CHROMIUM = findChromium()

export const needsChromium = {
  skip: CHROMIUM
    ? false
    : 'no Chromium: install one (Debian: apt-get install chromium; anywhere: npx playwright-core install chromium) or name it in POSE4D_CHROMIUM',
}

const rows = (values, width) =>
  Array.from({ length: values.length / width }, (_, i) =>
    Array.from(values.subarray(width * i, width * (i + 1))),
  )

const cameraOverHttp = ({ translation: [tx, ty, tz], center: [cx, cy], focalLength }) => ({
  ...{ tx, ty, tz, cx, cy },
  focal_length: focalLength,
})

/** A person as the service spells it over HTTP. */
const personOverHttp = (person) => ({
  track_id: person.trackId,
  confidence: person.score,
  tracking_confidence: person.trackingConfidence,
  source: person.source,
  bbox: Array.from(person.box),
  keypoints: person.keypoints,
  keypoints_3d: rows(person.joints3d, 3),
  joint_angles_3d: person.jointAngles3d,
  ...(person.camera && { camera: cameraOverHttp(person.camera) }),
})

const frameOverHttp = (result) => ({
  frame_number: result.frameNumber,
  ...(result.timestampMs !== undefined && { timestamp: result.timestampMs / 1000 }),
  frame_width: result.frameWidth,
  frame_height: result.frameHeight,
  persons: result.persons.map(personOverHttp),
  processing_time_ms: result.processingTimeMs,
  model_version: result.modelVersion,
  error: result.error ?? null,
  error_code: result.errorCode,
})

/** The uploaded file of a form, as the platform itself reads forms. */
async function uploaded({ headers, body }) {
  const form = await new Response(body, {
    headers: { 'content-type': headers['content-type'] },
  }).formData()
  return Buffer.from(await form.get('video').arrayBuffer())
}

/** Runs a video through the engine and keeps count. */
async function runJob(engine, job, file) {
  const video = engine.processVideo(file)
  try {
    const { frames } = await video.info
    job.frames_total = frames
    for await (const result of video) {
      if (job.removed) return
      job.frames.push(frameOverHttp(result))
      job.frames_done = job.frames.length
    }
    job.status = 'completed'
  } catch (error) {
    Object.assign(job, { status: 'error', error: error.message })
  }
}

function poseRoutes(app, engine, { folder, state }) {
  const jobs = new Map()
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_, body, done) =>
    done(null, body),
  )
  app.addHook('onRequest', async (request, reply) => {
    if (!state.token || request.routeOptions.config.open) return
    if (request.headers.authorization !== `Bearer ${state.token}`)
      return reply.code(401).send({ error: 'a token is needed' })
  })
  app.get('/health', { config: { open: true } }, async () => ({ status: 'ready', ready: true }))
  app.post('/pose', async (request) => {
    const { image_base64: imageBase64, frame_number: frameNumber } = request.body
    const frame = { frameNumber, imageBase64 }
    const [result] = await engine.processFrames([frame], { tracking: false })
    return frameOverHttp(result)
  })
  app.post('/pose/video', async (request, reply) => {
    const id = String(jobs.size + 1)
    const file = path.join(folder, `${id}.mp4`)
    writeFileSync(file, await uploaded(request))
    const job = { job_id: id, status: 'processing', frames: [], frames_done: 0, frames_total: null }
    jobs.set(id, job)
    runJob(engine, job, file)
    return reply.code(202).send({ status: 'queued', job_id: id })
  })
  app.get('/pose/video/status/:id', async (request, reply) => {
    const job = jobs.get(request.params.id)
    if (!job) return reply.code(404).send({ error: 'no such job' })
    const { frames, ...answer } = job
    const done = job.status === 'completed' && request.query.result !== 'false'
    return { ...answer, result: done ? { frames, model_version: frames[0]?.model_version } : null }
  })
  app.delete('/job_status/:id', async ({ params: { id } }) => {
    jobs.get(id).removed = true
    state.removed.push(id)
    return { job_id: id, status: 'removed' }
  })
}

/** A server with the page, below `prefix`; `state.token`: what it asks for from then on; `state.removed`: jobs. */
export async function serveWeb({ prefix = '', port = 0 } = {}) {
  const engine = await createEngine({ model: 'blazepose' })
  const folder = mkdtempSync(path.join(tmpdir(), 'pose4d-web-'))
  const app = fastify({ bodyLimit: 64 << 20, forceCloseConnections: true })
  const state = { token: null, removed: [] }
  await app.register(
    async (part) => {
      registerWeb(part)
      poseRoutes(part, engine, { folder, state })
    },
    { prefix },
  )
  const origin = await app.listen({ port, host: '127.0.0.1' })
  return {
    app,
    engine,
    folder,
    state,
    origin,
    url: `${origin}${prefix}/`,
    async close() {
      await app.close()
      await engine.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** WebGL on the processor: no card is needed. */
const FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader']

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: FLAGS })

/**
 * A page whose every fault is noted: `problems` has errors, refusals by the policy and requests that would leave the
 * origin. The view is asked for still, unless a test is about motion.
 */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    reducedMotion: 'reduce',
    ...options,
  })
  const page = await context.newPage()
  const problems = []
  const { origin } = new URL(url)
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`))
  page.on('console', (message) => {
    // A refused or missing answer is what some tests are about, and reading pixels back is what tests do.
    const expected = /Failed to load resource|getImageData/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !expected) problems.push(message.text())
  })
  page.on('request', (request) => {
    const asked = new URL(request.url())
    if (asked.protocol.startsWith('http') && asked.origin !== origin)
      problems.push(`left the origin: ${asked}`)
  })
  await page.goto(url)
  return { page, problems, close: () => context.close() }
}

/** As somebody drops files on the page; `files`: `[{ name, type, bytes }]`. */
export async function drop(page, files) {
  const plain = files.map(({ name, type, bytes }) => ({
    name,
    type,
    text: bytes.toString('base64'),
  }))
  const transfer = await page.evaluateHandle((list) => {
    const data = new DataTransfer()
    for (const { name, type, text } of list) {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
      data.items.add(new File([bytes], name, { type }))
    }
    return data
  }, plain)
  for (const event of ['dragenter', 'dragover', 'drop'])
    await page.dispatchEvent('body', event, { dataTransfer: transfer })
}

/** Until people are shown; fails with what the page complains of. */
export async function shown(page) {
  const either = '#viewer:not([hidden]), #problem:not([hidden])'
  await page.waitForSelector(either, { timeout: 120_000 })
  if (!(await page.isVisible('#viewer'))) throw new Error(await page.textContent('#problem'))
}

/** The page has drawn what it was asked to draw. */
export const drawn = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) =>
        requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(resolve))),
      ),
  )

/** What the 3D view shows, as pixels. */
export async function space(page) {
  await drawn(page)
  return pixelsOf(await page.locator('#space canvas').screenshot({ animations: 'disabled' }))
}

/** Share of pixels that differ between two pictures of one size. */
export function difference(a, b) {
  if (a.width !== b.width || a.height !== b.height) throw new Error('pictures of two sizes')
  let count = 0
  for (let i = 0; i < a.rgb.length; i += 3) {
    const apart = [0, 1, 2].map((at) => Math.abs(a.rgb[i + at] - b.rgb[i + at]))
    if (Math.max(...apart) > 24) count += 1
  }
  return (3 * count) / a.rgb.length
}

/** A PNG's pixels: `{ width, height, rgb }`. */
export async function pixelsOf(png) {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)]
  const frame = { frameWidth: width, frameHeight: height, persons: [] }
  const rgb = await renderOverlay({ image: png }, frame, { format: 'rgb' })
  return { width, height, rgb }
}
