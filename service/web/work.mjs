// From files to a clip on the page: which go to the service, which are read here, how far it is, how to stop it.

import { health, photosClip, posePhoto, poseVideo, ServiceError, useToken } from './client.mjs'
import { byId, bytes, clock } from './dom.mjs'
import { kindOf, readable, sameFile } from './files.mjs'
import { preview } from './picture.mjs'
import { readResults } from './results.mjs'

/** Progress is spoken at most that often. */
const SPEAK_EVERY_MS = 4000

const STAGES = {
  upload: (name) => `Sending ${name}`,
  queued: (name) => `${name} waits for its turn`,
  processing: (name) => `Looking for people in ${name}`,
  fetching: (name) => `Fetching the poses of ${name}`,
  reading: (name) => `Reading ${name}`,
}

/** `12 s left`; nothing before there is something to reckon from. */
function remaining(started, share) {
  const gone = performance.now() - started
  if (!(share > 0.03) || gone < 1500) return ''
  const left = (gone / share) * (1 - share)
  return left < 60000
    ? `, ${Math.ceil(left / 1000)} s left`
    : `, ${clock(left).split('.')[0]} min left`
}

/** The bar below the head of the page. */
class Progress {
  #stage = null
  #started = 0
  #spoken = 0

  begin(label) {
    byId('work').hidden = false
    this.#spoken = 0
    this.#stage = null
    this.say(label, null)
  }

  /** `share` from 0 to 1, or null where nobody knows. */
  say(label, share) {
    const bar = byId('work-bar')
    if (label !== this.#stage) {
      this.#stage = label
      this.#started = performance.now()
      this.#spoken = 0
    }
    if (share === null) bar.removeAttribute('value')
    else bar.value = share
    const known = share === null ? '' : `: ${Math.round(100 * share)}%`
    const text = `${label}${known}${share === null ? '' : remaining(this.#started, share)}`
    byId('work-label').textContent = text
    const now = performance.now()
    if (!this.#spoken || now - this.#spoken > SPEAK_EVERY_MS) {
      this.#spoken = now
      announce(text)
    }
  }

  end() {
    byId('work').hidden = true
  }
}

/** Says something to who cannot see it. */
export function announce(text) {
  byId('status').textContent = text
}

export function complain(text) {
  byId('problem-text').textContent = text
  byId('problem').hidden = false
}

export const forgive = () => {
  byId('problem').hidden = true
}

function askForToken() {
  const dialog = byId('token')
  const value = byId('token-value')
  value.value = ''
  dialog.returnValue = ''
  byId('token-cancel').onclick = () => dialog.close('cancel')
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === 'use' && value.value ? value.value : null)
  })
}

/** Runs again with a token where the service asks for one. */
async function authorised(action) {
  for (;;) {
    try {
      return await action()
    } catch (error) {
      if (!(error instanceof ServiceError) || error.status !== 401) throw error
      const token = await askForToken()
      if (!token) throw error
      useToken(token)
    }
  }
}

/** By the service's own word for its state. */
const ENGINE = {
  ready: ['ready', 'Engine ready'],
  token: ['ready', 'The engine asks for a token'],
  warming_up: ['waking', 'The engine is loading…'],
  not_ready: ['waking', 'The engine loads with the first file'],
  error: ['none', 'The engine could not start'],
}
const NOBODY = ['none', 'No engine: results files only']

/** What the engine is doing, in the head of the page; asked again and again. */
export async function watchEngine() {
  const found = await health()
  const [state, text] = found ? (ENGINE[found.status] ?? ENGINE.ready) : NOBODY
  const place = byId('engine')
  if (place.textContent !== text) place.textContent = text
  place.dataset.state = state
  setTimeout(watchEngine, found?.ready ? 60000 : 3000)
}

export class Work {
  #progress = new Progress()
  #running = null
  #show
  #current

  /** `show(clip, media)`: `{ video }`, `{ photos }` or nothing. `current()`: `{ clip, bare, attach(file) }`. */
  constructor(show, current) {
    this.#show = show
    this.#current = current
    byId('cancel').addEventListener('click', () => this.cancel())
  }

  cancel() {
    this.#running?.abort(new DOMException('cancelled', 'AbortError'))
  }

  /** Files as they were dropped, chosen or pasted, all at once. */
  async open(list) {
    const files = { results: [], video: [], photo: [] }
    const strange = []
    for (const file of list) {
      const kind = kindOf(file)
      if (kind) files[kind].push(file)
      else strange.push(file.name)
    }
    forgive()
    if (strange.length > 0)
      complain(
        `${strange.join(', ')}: neither a photo, nor a video, nor results (.json, .jsonl) of “pose4d process”`,
      )
    const job = this.#jobOf(files)
    if (job) await this.#run(job)
  }

  #jobOf({ results, video, photo }) {
    if (results.length > 0) return (signal) => this.#results(results[0], video, photo, signal)
    const { clip, bare, attach } = this.#current()
    const picture = [...video, ...photo].find((file) => sameFile(file, clip?.file))
    if (bare && picture) return () => attach(picture)
    if (video.length > 0) return (signal) => this.#video(video[0], signal)
    return photo.length > 0 ? (signal) => this.#photos(photo, signal) : null
  }

  async #run(job) {
    this.cancel()
    const running = new AbortController()
    this.#running = running
    try {
      await job(running.signal)
    } catch (error) {
      if (running.signal.aborted) announce('Cancelled')
      else complain(error.message)
    } finally {
      if (this.#running === running) {
        this.#running = null
        this.#progress.end()
      }
    }
  }

  async #results(file, videos, photos, signal) {
    const label = STAGES.reading(`${file.name}, ${bytes(file.size)}`)
    this.#progress.begin(label)
    const clip = await readResults(file, (share) => this.#progress.say(label, share))
    signal.throwIfAborted()
    if (clip.length === 0) throw new Error(`${file.name} has no frames`)
    const video = videos.find((one) => sameFile(one, clip.file)) ?? videos[0]
    const found = clip.frames.map((frame) => photos.find((photo) => sameFile(photo, frame.file)))
    await this.#show(clip, { video, photos: found.some(Boolean) ? found : undefined })
  }

  async #video(file, signal) {
    this.#progress.begin(STAGES.upload(file.name))
    const release = this.#preview(file, true)
    const onProgress = (stage, share) => this.#progress.say(STAGES[stage](file.name), share)
    try {
      const clip = await authorised(() => poseVideo(file, { signal, onProgress }))
      if (clip.length === 0) throw new Error(`${file.name}: the service found no frames in it`)
      await this.#show(clip, { video: file })
    } finally {
      release()
    }
  }

  async #photos(files, signal) {
    this.#progress.begin(STAGES.processing(files[0].name))
    const release = this.#preview(files[0], false)
    const done = []
    const problems = []
    try {
      for (const [index, file] of files.entries()) {
        const share = files.length > 1 ? index / files.length : null
        this.#progress.say(STAGES.processing(file.name), share)
        try {
          const image = await readable(file)
          const answer = await authorised(() =>
            posePhoto(image, index, { signal, name: file.name }),
          )
          done.push({ ...answer, name: file.name, image })
        } catch (error) {
          if (signal.aborted || error.status === 0 || error.status === 401) throw error
          problems.push(
            error.message.includes(file.name) ? error.message : `${file.name}: ${error.message}`,
          )
        }
      }
      if (problems.length > 0) complain(problems.join('; '))
      if (done.length > 0)
        await this.#show(photosClip(done), { photos: done.map(({ image }) => image) })
    } finally {
      release()
    }
  }

  /** While nothing else is on the page, what is worked on. */
  #preview(file, isVideo) {
    const place = byId('preview')
    const before = [...place.childNodes]
    const { element, release } = preview(file, isVideo)
    place.replaceChildren(element)
    byId('start').dataset.busy = ''
    return () => {
      delete byId('start').dataset.busy
      place.replaceChildren(...before)
      release()
    }
  }
}
