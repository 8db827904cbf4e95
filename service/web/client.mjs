// Talks to the service. The one place that knows its addresses and the shape of its answers.

import { Clip } from './clip.mjs'
import { frameReader } from './people.mjs'
import { facesOf } from './results.mjs'

/** The page may be mounted below any path; what it asks for lies beside it. */
const address = (path) => new URL(path, document.baseURI)

const POLL_FIRST_MS = 250
const POLL_MOST_MS = 2000
/** Answers of a job that may go missing (a restart of the service) before the page gives up. */
const MISSES = 20
/** Frames with meshes that a browser can hold: a body is 400 kB of JSON. */
const MOST_MESHES = 300

let token = sessionStorage.getItem('pose4d-token') ?? ''

/** A bearer token, if the service asks for one; kept until the tab is closed. */
export function useToken(value) {
  token = value
  sessionStorage.setItem('pose4d-token', value)
}

/** `status`: of HTTP; 0 where nobody answered. */
export class ServiceError extends Error {
  constructor(message, status = 0, retryAfterMs = 0) {
    super(message)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** Errors are in-band as the old service had them (`error`), or as fastify writes them (`message`). */
function reason(answer, status) {
  const { error, message, details } = answer ?? {}
  const said = [error?.message ?? error, message].find((text) => typeof text === 'string' && text)
  if (status === 413) return `the service takes no file of this size (${said ?? 'HTTP 413'})`
  if (message && error && typeof error === 'string' && error !== message) return message
  return said ?? (typeof details === 'string' ? details : `the service answered HTTP ${status}`)
}

function fault(status, answer, retryAfter) {
  return new ServiceError(reason(answer, status), status, 1000 * (Number(retryAfter) || 0))
}

const UNREACHABLE = 'the service does not answer; is “pose4d serve” still running?'

async function ask(path, { body, signal, method = body ? 'POST' : 'GET' } = {}) {
  const headers = { accept: 'application/json' }
  if (token) headers.authorization = `Bearer ${token}`
  if (body) headers['content-type'] = 'application/json'
  let response
  try {
    response = await fetch(address(path), { method, body, headers, signal })
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw new ServiceError(`${UNREACHABLE} (${error.message})`)
  }
  const answer = await response.json().catch(() => null)
  if (!response.ok) throw fault(response.status, answer, response.headers.get('retry-after'))
  return answer ?? {}
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/** `{ ready, status, model }`, or null where there is no service behind the page. */
export async function health() {
  try {
    const answer = await ask('health')
    const ready = answer.ready ?? answer.status === 'ready'
    return { ready, status: answer.status ?? 'ready', model: answer.model_version ?? null }
  } catch (error) {
    if (error.status === 503) return { ready: false, status: 'warming_up', model: null }
    if (error.status === 401) return { ready: true, status: 'token', model: null }
    return null
  }
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1))
    reader.onerror = () => reject(new Error(`cannot read the file: ${reader.error.message}`))
    reader.readAsDataURL(blob)
  })
}

/** Triangles come with each answer or not at all; they are the same for everybody. */
const triangles = (answer) =>
  answer.mesh_faces_data ?? answer.mesh_faces ?? answer.meshFaces ?? null

/** One photo → `{ frame, faces, model }`. Waits and asks again where the service is full. */
export async function posePhoto(blob, frameNumber, { signal, name }) {
  const body = JSON.stringify({
    image_base64: await base64(blob),
    frame_number: frameNumber,
    mesh: true,
  })
  for (let tries = 0; ; tries++) {
    try {
      const answer = await ask('pose', { body, signal })
      const frame = frameReader()(answer, name)
      if (frame.errorCode) throw new ServiceError(frame.error ?? frame.errorCode, 200)
      return { frame, faces: triangles(answer), model: answer.model_version ?? null }
    } catch (error) {
      if (error.status !== 429 || tries >= 5) throw error
      await pause(error.retryAfterMs || 1000, signal)
    }
  }
}

export function photosClip(photos) {
  const frames = photos.map(({ frame, name }) => ({ ...frame, file: name }))
  const faces = photos.find((photo) => photo.faces)?.faces
  const [{ name, model }] = photos
  return new Clip(
    {
      name: photos.length === 1 ? name : `${photos.length} photos`,
      kind: 'photos',
      tracked: false,
      model,
      file: null,
      fps: null,
      complete: true,
      meshFaces: facesOf(faces, frames),
    },
    frames,
  )
}

/** Sends a file; `fetch` cannot say how much of it has gone. */
function upload(path, form, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', address(path))
    request.responseType = 'json'
    if (token) request.setRequestHeader('authorization', `Bearer ${token}`)
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : null)
    request.onload = () => {
      const { status, response } = request
      if (status >= 200 && status < 300) resolve(response ?? {})
      else reject(fault(status, response, request.getResponseHeader('retry-after')))
    }
    request.onerror = () => reject(new ServiceError(UNREACHABLE))
    request.onabort = () => reject(signal.reason)
    signal?.addEventListener('abort', () => request.abort(), { once: true })
    request.send(form)
  })
}

/** How far a job is, from 0 to 1; null where nobody knows how many frames there are. */
function progressOf({ frames_done: done, frames_total: all }) {
  return typeof done === 'number' && all > 0 ? Math.min(1, done / all) : null
}

const jobAddress = (job, query) => `pose/video/status/${encodeURIComponent(job)}?${query}`

/** Asks until the job is done; a service that is restarted meanwhile goes on with it. */
async function finished(job, { signal, onProgress }) {
  let wait = POLL_FIRST_MS
  let missed = 0
  for (;;) {
    try {
      const answer = await ask(jobAddress(job, 'result=false'), { signal })
      missed = 0
      if (answer.status === 'completed') return answer
      if (answer.status === 'error') throw new ServiceError(reason(answer, 200), 200)
      onProgress(answer.status === 'queued' ? 'queued' : 'processing', progressOf(answer))
    } catch (error) {
      const passing = error.status === 0 || error.status === 429 || error.status >= 502
      missed += 1
      if (signal?.aborted || !passing || missed > MISSES) throw error
      wait = POLL_MOST_MS
    }
    await pause(wait, signal)
    wait = Math.min(POLL_MOST_MS, wait * 1.3)
  }
}

/** Over HTTP a video's frames have seconds. */
const timed = (frame) => ({ ...frame, timestamp_ms: 1000 * frame.timestamp })

/** A frame's picture as the service has it, for videos that the browser cannot play. */
async function framePicture(job, index) {
  const headers = token ? { authorization: `Bearer ${token}` } : {}
  const path = `frame/${encodeURIComponent(job)}/${index}?overlay=false`
  const response = await fetch(address(path), { headers })
  if (!response.ok) throw fault(response.status, null)
  return response.blob()
}

function videoClip(file, result, job) {
  const frameOf = frameReader()
  const frames = result.frames.map((frame) => frameOf(timed(frame), file.name))
  return new Clip(
    {
      name: file.name,
      kind: 'video',
      tracked: true,
      model: result.model_version ?? null,
      file: file.name,
      fps: result.fps ?? null,
      complete: !result.warning,
      meshFaces: facesOf(result.mesh_faces, frames),
      pictureOf: (index) => framePicture(job, index),
    },
    frames,
  )
}

/** A video → `Clip`. `onProgress(stage, share)`: `upload`, `queued`, `processing`, `fetching`. */
export async function poseVideo(file, { signal, onProgress }) {
  const form = new FormData()
  form.append('video', file, file.name)
  const sent = (part) => onProgress('upload', part)
  const accepted = await upload('pose/video?wait=false', form, { signal, onProgress: sent })
  const { job_id: job } = accepted
  if (!job) throw new ServiceError('the service took the video and gave no job_id')
  try {
    const { frames_done: count } = await finished(job, { signal, onProgress })
    onProgress('fetching', null)
    const { result } = await ask(jobAddress(job, `mesh=${count <= MOST_MESHES}`), { signal })
    if (!Array.isArray(result?.frames))
      throw new ServiceError(`the service says that job ${job} is done, and gives no frames`)
    return videoClip(file, result, job)
  } catch (error) {
    // Nobody waits for it any more; what cannot be told now ends by itself.
    if (signal?.aborted)
      ask(`job_status/${encodeURIComponent(job)}`, { method: 'DELETE' }).catch(() => {})
    throw error
  }
}
