// Where drawn frames go: one picture, a folder of pictures, or a video. The drawing is the addon's.
import { existsSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'

import { EnvironmentError, UsageError } from './exit.mjs'
import { makeFolder } from './folders.mjs'
import { distinctNames } from './inputs.mjs'
import { VideoWriter } from './video.mjs'

const PICTURES = { '.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg' }
const VIDEOS = new Set(['.mp4', '.mov', '.mkv', '.m4v'])

const isFolder = (target) =>
  /[\\/]$/.test(target) ||
  (existsSync(target) ? statSync(target).isDirectory() : extname(target) === '')

/**
 * Checks `--overlay` against what is processed, before any work. Returns
 * `{ write(frame, result, index), close(), kill(), wrote }`; `wrote`: whether there is anything to see.
 */
export function openOverlay(target, { render, inputs, fps, drawing }) {
  const kind = extname(target).toLowerCase()
  if (isFolder(target))
    return new FolderOverlay(target, { render, drawing, names: pictureNames(inputs) })
  if (VIDEOS.has(kind)) {
    if (inputs.kind === 'photos')
      throw new UsageError(
        '`--overlay` can be a video only for a video or, with `--clip`, for a series of images.',
      )
    return new VideoOverlay(target, { render, drawing, fps })
  }
  if (!PICTURES[kind]) {
    throw new UsageError(
      `\`--overlay\` must be a folder or end in ${[...Object.keys(PICTURES), ...VIDEOS].join(', ')}; found \`${target}\`.`,
    )
  }
  if (inputs.kind === 'video' || inputs.paths.length > 1) {
    throw new UsageError(
      `\`--overlay ${target}\` is one picture, but there are several frames. Give a folder${inputs.kind === 'photos' ? '' : ' or a video (.mp4)'}.`,
    )
  }
  return new PictureOverlay(target, { render, drawing, format: PICTURES[kind] })
}

function pictureNames(inputs) {
  if (inputs.kind === 'video') return (index) => `frame_${String(index).padStart(6, '0')}.jpg`
  const names = distinctNames(inputs.names ?? inputs.paths, '.overlay.jpg')
  return (index) => names[index]
}

async function save(path, bytes) {
  await makeFolder(dirname(path))
  await writeFile(path, bytes).catch((error) => {
    throw new EnvironmentError(`Cannot write ${path}: ${error.message}`)
  })
}

class PictureOverlay {
  constructor(path, options) {
    Object.assign(this, options, { path })
  }

  async write(frame, result) {
    if (result.errorCode) return
    this.wrote = true
    await save(
      this.path,
      await this.render(frame, result, { ...this.drawing, format: this.format }),
    )
  }

  async close() {}
  kill() {}
}

class FolderOverlay {
  constructor(path, options) {
    Object.assign(this, options, { path })
  }

  async write(frame, result, index) {
    if (result.errorCode) return
    this.wrote = true
    await save(
      join(this.path, this.names(index)),
      await this.render(frame, result, { ...this.drawing, format: 'jpeg' }),
    )
  }

  async close() {}
  kill() {}
}

/** Longest still in an overlay video, seconds: a wild time stamp must not fill the disk. */
const LONGEST_STILL = 10

class VideoOverlay {
  #writer
  #written = 0
  #first

  constructor(path, options) {
    Object.assign(this, options, { path })
  }

  async write(frame, result) {
    // A frame that failed keeps its place in a video, undrawn; an unreadable image file has no picture to show.
    const failed = Boolean(result.errorCode)
    if (failed && !frame.pixels) return
    const size = failed ? frame : { width: result.frameWidth, height: result.frameHeight }
    const pixels = failed
      ? frame.pixels
      : await this.render(frame, result, { ...this.drawing, format: 'rgb' })
    if (!this.#writer) {
      await makeFolder(dirname(this.path))
      this.#writer = new VideoWriter(this.path, { ...size, fps: this.fps })
      this.wrote = true
    }
    for (let copies = this.#copies(frame.timestampMs); copies > 0; copies--)
      await this.#writer.write(pixels, size)
  }

  /**
   * How often a frame is written so that the video, whose rate is constant, keeps the time of a
   * source whose rate is not: at least once (none is lost), more often after a gap.
   */
  #copies(timestampMs) {
    this.#first ??= timestampMs
    const due = Math.round(((timestampMs - this.#first) / 1000) * this.fps) + 1
    const copies = Math.min(Math.max(1, due - this.#written), Math.ceil(LONGEST_STILL * this.fps))
    this.#written += copies
    return copies
  }

  async close() {
    await this.#writer?.close()
  }

  kill() {
    this.#writer?.kill()
  }
}
