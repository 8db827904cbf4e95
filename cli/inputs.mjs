// Turns what was named on the command line into photos, a clip of images, or one video.
import { createWriteStream } from 'node:fs'
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, extname, join, relative, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { UsageError } from './exit.mjs'

const IMAGE_EXTENSIONS = new Set(['.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp'])
const isImageName = (path) => IMAGE_EXTENSIONS.has(extname(path).toLowerCase())
const byName = new Intl.Collator('en', { numeric: true }).compare

/**
 * `{ kind: 'photos' | 'clip', paths }` or `{ kind: 'video', path, name }`, and `dispose()`, which
 * removes what was spooled from stdin.
 */
export async function resolveInputs(names, { clip = false, signal } = {}) {
  if (names.length === 0)
    throw new UsageError('Nothing to process: name photos, a folder, a video, or `-` for stdin.', {
      command: 'process',
    })
  if (names.includes('-')) {
    if (names.length > 1)
      throw new UsageError('`-` (stdin) cannot be mixed with other inputs.', { command: 'process' })
    return fromStdin(signal)
  }
  const paths = []
  for (const name of names) paths.push(...(await expand(name)))
  const found = await Promise.all(paths.map(looksLike))
  const videos = paths.filter((_, i) => found[i] === 'other')
  if (videos.length > 0) {
    if (paths.length > 1) {
      throw new UsageError(
        `One video at a time, and no photos beside it: ${videos[0]} is not a photo (JPEG, PNG, WebP).`,
      )
    }
    if (clip) throw new UsageError('`--clip` is for images; a video is a clip already.')
    return { kind: 'video', path: videos[0], name: videos[0], dispose: async () => {} }
  }
  if (found.every((kind) => kind === 'missing'))
    throw new UsageError(`No such file: ${paths.join(', ')}.`)
  return { kind: clip ? 'clip' : 'photos', paths, dispose: async () => {} }
}

/** Files behind one name: the file itself, a folder's images, or what a pattern matches. */
async function expand(name) {
  const info = await stat(name).catch(() => undefined)
  if (info?.isDirectory()) {
    const entries = await readdir(name, { withFileTypes: true })
    const images = entries.filter(
      (entry) => !entry.isDirectory() && !entry.name.startsWith('.') && isImageName(entry.name),
    )
    if (images.length === 0)
      throw new UsageError(`No photos (${[...IMAGE_EXTENSIONS].join(', ')}) in the folder ${name}.`)
    return images.map((entry) => join(name, entry.name)).sort(byName)
  }
  if (!info && /[*?]/.test(name)) {
    const matches = await glob(name)
    if (matches.length === 0) throw new UsageError(`No file matches ${name}.`)
    return matches.sort(byName)
  }
  return [name]
}

/** One part of a path as a regular expression, with the slash after it. */
function asPattern(part) {
  if (part === '**') return '(?:[^/]+/)*'
  const literal = part.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return `${literal.replace(/\*/g, '[^/]*').replace(/\?/g, '[^/]')}/`
}

/** Files that match a pattern of `*`, `?` and `**` (any depth). Shells do this too; Windows' do not. */
async function glob(pattern) {
  const parts = pattern.split(sep === '\\' ? /[\\/]/ : '/')
  const wild = parts.findIndex((part) => /[*?]/.test(part))
  const base = parts.slice(0, wild).join('/') || (pattern.startsWith('/') ? '/' : '.')
  const source = parts.slice(wild).map(asPattern).join('').replace(/\/$/, '')
  const matcher = new RegExp(`^${source}$`)
  const recursive = parts.slice(wild, -1).length > 0
  const entries = await readdir(base, { withFileTypes: true, recursive }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath ?? entry.path ?? base, entry.name))
    .filter((path) => matcher.test(relative(base, path).split(sep).join('/')))
}

/** 'image' by name or by first bytes, 'missing', or 'other' (perhaps a video). */
async function looksLike(path) {
  if (isImageName(path)) return (await stat(path).catch(() => undefined)) ? 'image' : 'missing'
  const file = await open(path).catch((error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new UsageError(`Cannot read ${path}: ${error.message}`)
  })
  if (!file) return 'missing'
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(12), 0, 12, 0)
    return isImageBytes(buffer.subarray(0, bytesRead)) ? 'image' : 'other'
  } finally {
    await file.close()
  }
}

function isImageBytes(bytes) {
  const latin = bytes.toString('latin1')
  return (
    latin.startsWith('\xff\xd8\xff') ||
    latin.startsWith('\x89PNG\r\n\x1a\n') ||
    (latin.startsWith('RIFF') && latin.slice(8) === 'WEBP')
  )
}

/** Spools stdin to a file: a video needs seeking (an MP4's index is often at its end). */
async function fromStdin(signal) {
  if (process.stdin.isTTY)
    throw new UsageError('`-` reads a photo or a video from stdin, but stdin is a terminal.')
  const folder = await mkdtemp(join(tmpdir(), 'pose4d-'))
  const dispose = () => rm(folder, { recursive: true, force: true })
  try {
    const path = join(folder, 'stdin')
    await pipeline(process.stdin, createWriteStream(path), { signal })
    const { size } = await stat(path)
    if (size === 0) throw new UsageError('Nothing came on stdin.')
    if ((await looksLike(path)) === 'image')
      return { kind: 'photos', paths: [path], names: ['stdin'], dispose }
    return { kind: 'video', path, name: 'stdin', dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Names for the overlays of photos: their own, made distinct. */
export function distinctNames(paths, suffix) {
  const seen = new Map()
  return paths.map((path) => {
    const stem = basename(path, extname(path))
    const count = (seen.get(stem) ?? 0) + 1
    seen.set(stem, count)
    return `${stem}${count > 1 ? `_${count}` : ''}${suffix}`
  })
}
