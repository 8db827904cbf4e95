// Where drawn frames go: one picture, a folder of pictures, or a video. The drawing is the addon's.
import { existsSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'

import drawing from '../lib/video/overlay.cjs'
import { EnvironmentError, UsageError } from './exit.mjs'
import { makeFolder } from './folders.mjs'
import { distinctNames } from './inputs.mjs'

const PICTURES = { '.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg' }

const isFolder = (target) =>
  /[\\/]$/.test(target) ||
  (existsSync(target) ? statSync(target).isDirectory() : extname(target) === '')

/**
 * Checks `--overlay` against what is processed, before any work. Returns
 * `{ write(frame, result), close(), wrote }`; `wrote`: whether there is anything to see.
 */
export function openOverlay(target, { render, inputs, fps }) {
  const kind = extname(target).toLowerCase()
  if (isFolder(target)) return new FolderOverlay(target, { render, names: pictureNames(inputs) })
  if (drawing.isVideoName(target)) {
    if (inputs.kind === 'photos')
      throw new UsageError(
        '`--overlay` can be a video only for a video or, with `--clip`, for a series of images.',
      )
    // Of a video, the API draws it.
    if (inputs.kind === 'video') return { videoPath: target, wrote: false, close: async () => {} }
    return new drawing.VideoOverlay(target, { fps })
  }
  if (!PICTURES[kind]) {
    throw new UsageError(
      `\`--overlay\` must be a folder or end in ${[...Object.keys(PICTURES), ...drawing.VIDEO_ENDINGS].join(', ')}; found \`${target}\`.`,
    )
  }
  if (inputs.kind === 'video' || inputs.paths.length > 1) {
    throw new UsageError(
      `\`--overlay ${target}\` is one picture, but there are several frames. Give a folder${inputs.kind === 'photos' ? '' : ' or a video (.mp4)'}.`,
    )
  }
  return new PictureOverlay(target, { render, format: PICTURES[kind] })
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
    await save(this.path, await this.render(frame, result, { format: this.format }))
  }

  async close() {}
}

class FolderOverlay {
  constructor(path, options) {
    Object.assign(this, options, { path })
  }

  async write(frame, result) {
    if (result.errorCode) return
    this.wrote = true
    const picture = await this.render(frame, result, { format: 'jpeg' })
    await save(join(this.path, this.names(frame.frameNumber)), picture)
  }

  async close() {}
}
