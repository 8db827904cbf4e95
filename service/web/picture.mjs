// The picture behind the people: a photo, a video, or none.

import { make } from './dom.mjs'

const SLOW_TO_OPEN_MS = 8000

/** Resolves to whether the browser can show the video. */
function opens(video) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), SLOW_TO_OPEN_MS)
    const done = (able) => {
      clearTimeout(timer)
      video.onloadeddata = null
      video.onerror = null
      resolve(able)
    }
    video.onloadeddata = () => done(video.videoWidth > 0)
    video.onerror = () => done(false)
  })
}

/** A file shown in the place of the start page's mark while it is worked on. */
export function preview(file, isVideo) {
  const url = URL.createObjectURL(file)
  const element = isVideo
    ? make('video', { muted: true, playsinline: true, preload: 'metadata', 'aria-hidden': 'true' })
    : make('img', { alt: '' })
  element.src = url
  return { element, release: () => URL.revokeObjectURL(url) }
}

export class Picture {
  #fit
  #photo
  #video
  #url = null
  #photos = []
  #shown = null
  #pictureOf = null
  #fetching = false

  constructor(fit, photo, video) {
    this.#fit = fit
    this.#photo = photo
    this.#video = video
  }

  /** Nothing, of a clip's size. */
  clear({ width, height } = {}) {
    this.#release()
    this.#photos = []
    this.#pictureOf = null
    this.#shown = null
    this.#photo.hidden = true
    this.#photo.removeAttribute('src')
    this.#video.hidden = true
    this.#video.removeAttribute('src')
    this.#video.load()
    this.shape(width, height)
    this.#fit.dataset.bare = ''
  }

  #release() {
    if (this.#url) URL.revokeObjectURL(this.#url)
    this.#url = null
  }

  shape(width, height) {
    const ratio = width > 0 && height > 0 ? width / height : 16 / 9
    this.#fit.parentElement.style.setProperty('--ratio', ratio.toFixed(4))
  }

  get bare() {
    return this.#fit.dataset.bare !== undefined
  }

  /** The video element, or null where the browser cannot play the file. */
  async openVideo(file) {
    this.#release()
    this.#url = URL.createObjectURL(file)
    const opened = opens(this.#video)
    this.#video.src = this.#url
    if (!(await opened)) {
      this.#release()
      this.#video.removeAttribute('src')
      return null
    }
    this.#video.hidden = false
    delete this.#fit.dataset.bare
    return this.#video
  }

  /** A photo for each frame; null where there is none. */
  setPhotos(files) {
    this.#photos = files
    this.#shown = null
  }

  /** Frame by frame from somebody who has them: `pictureOf(index)` promises a blob. */
  fetchFrom(pictureOf, index) {
    this.#pictureOf = pictureOf
    this.#shown = null
    this.show(index)
  }

  show(index) {
    if (this.#shown === index) return
    this.#shown = index
    if (this.#pictureOf) this.#fetch()
    else if (this.#photos.length > 0) this.#put(this.#photos[index], index)
  }

  #put(file, index) {
    this.#release()
    this.#photo.hidden = !file
    if (!file) {
      this.#fit.dataset.bare = ''
      return
    }
    this.#url = URL.createObjectURL(file)
    this.#photo.src = this.#url
    this.#photo.dataset.frame = index
    delete this.#fit.dataset.bare
  }

  /** One after the other; of frames that were passed meanwhile none. */
  async #fetch() {
    if (this.#fetching) return
    this.#fetching = true
    const pictureOf = this.#pictureOf
    for (let at = null; at !== this.#shown && pictureOf === this.#pictureOf; ) {
      at = this.#shown
      // A frame that cannot be had is none: what was found in it is shown all the same.
      const file = await pictureOf(at).catch(() => null)
      if (pictureOf === this.#pictureOf) this.#put(file, at)
    }
    this.#fetching = false
    if (this.#pictureOf && pictureOf !== this.#pictureOf) this.#fetch()
  }
}
