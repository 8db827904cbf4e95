// Where in the clip we are, and what moves us on: the video where the browser plays it, else a clock.

/** Playing frame by frame of photos would be a slide show. */
const playable = (clip) => clip && clip.kind !== 'photos' && clip.length > 1

export class Player {
  #listeners = new Set()
  #clip = null
  #video = null
  #index = 0
  #playing = false
  #clock = null
  #ticket = 0

  rate = 1
  repeat = false

  /** `listener({ index, playing })` after each change. */
  listen(listener) {
    this.#listeners.add(listener)
  }

  get index() {
    return this.#index
  }

  get playing() {
    return this.#playing
  }

  get clip() {
    return this.#clip
  }

  get playable() {
    return playable(this.#clip)
  }

  load(clip) {
    this.pause()
    this.#clip = clip
    this.#index = 0
    this.#tell()
  }

  /** A video element that shows the clip's pictures, or null. */
  attach(video) {
    this.pause()
    this.#video = video
    if (video) {
      video.onended = () => this.#arrived()
      this.#show()
    }
  }

  seek(index) {
    const clip = this.#clip
    if (!clip) return
    const to = Math.max(0, Math.min(clip.length - 1, Math.round(index)))
    if (to === this.#index) return
    this.#index = to
    this.#show()
    if (this.#playing && !this.#video) this.#clock = null
    this.#tell()
  }

  /** Frame by frame; stops. */
  step(by) {
    this.pause()
    this.seek(this.#index + by)
  }

  toggle() {
    if (this.#playing) this.pause()
    else this.play()
  }

  play() {
    if (this.#playing || !this.playable) return
    if (this.#index === this.#clip.length - 1) this.seek(0)
    this.#playing = true
    this.#ticket += 1
    if (this.#video) this.#playVideo(this.#ticket)
    else this.#playClock(this.#ticket)
    this.#tell()
  }

  pause() {
    if (!this.#playing) return
    this.#playing = false
    this.#ticket += 1
    this.#clock = null
    this.#video?.pause()
    // On the very frame whose people are shown, not a little beyond it.
    this.#show()
    this.#tell()
  }

  /** In the middle of the frame's time, so that rounding cannot show its neighbour. */
  #show() {
    const video = this.#video
    const clip = this.#clip
    if (!video || !clip?.length) return
    const from = clip.times[this.#index]
    const to = clip.times[this.#index + 1] ?? from + clip.interval
    const time = (from + Math.min((to - from) / 2, 20)) / 1000
    if (Math.abs(video.currentTime - time) > 0.001) video.currentTime = time
  }

  #tell() {
    for (const listener of this.#listeners) listener({ index: this.#index, playing: this.#playing })
  }

  #at(ms) {
    const index = this.#clip.indexAt(ms + 0.5)
    const last = this.#clip.times[this.#clip.length - 1]
    if (ms >= last + this.#clip.interval) return this.#arrived()
    if (index !== this.#index) {
      this.#index = index
      this.#tell()
    }
  }

  #arrived() {
    if (!this.#playing) return
    if (this.repeat) {
      this.pause()
      this.seek(0)
      this.play()
    } else {
      this.#index = this.#clip.length - 1
      this.pause()
    }
  }

  async #playVideo(ticket) {
    const video = this.#video
    video.playbackRate = this.rate
    try {
      await video.play()
    } catch {
      // Interrupted by a pause that came at once, or the file cannot be played after all.
      if (ticket === this.#ticket) this.pause()
      return
    }
    const next = (_now, { mediaTime }) => {
      if (ticket !== this.#ticket) return
      this.#at(1000 * mediaTime)
      if (ticket === this.#ticket) video.requestVideoFrameCallback(next)
    }
    video.requestVideoFrameCallback(next)
  }

  #playClock(ticket) {
    const next = (now) => {
      if (ticket !== this.#ticket) return
      this.#clock ??= { now, ms: this.#clip.times[this.#index] }
      this.#at(this.#clock.ms + (now - this.#clock.now) * this.rate)
      if (ticket === this.#ticket) requestAnimationFrame(next)
    }
    requestAnimationFrame(next)
  }

  /** A new rate holds at once. */
  setRate(rate) {
    this.rate = rate
    this.#clock = null
    if (this.#video) this.#video.playbackRate = rate
  }
}
