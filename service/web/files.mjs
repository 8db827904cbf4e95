// Files: how they come to the page, what each is by its type and name, and how they are handed to the user.

import { byId } from './dom.mjs'

const RESULTS = /\.(json|jsonl|ndjson)$/i
const VIDEO = /\.(mp4|m4v|mov|mkv|webm|avi|ts|mts|m2ts|mpe?g|wmv|flv|ogv|3gp)$/i
const PHOTO = /\.(jpe?g|png|webp|gif|bmp|avif|heic|heif|tiff?)$/i
const READ_BY_ENGINE = new Set(['image/jpeg', 'image/png', 'image/webp'])

/** `results`, `video`, `photo`, or null. */
export function kindOf({ type, name }) {
  if (RESULTS.test(name) || type === 'application/json') return 'results'
  // Some systems say that a transport stream is text.
  if (type.startsWith('video/') || VIDEO.test(name)) return 'video'
  return type.startsWith('image/') || PHOTO.test(name) ? 'photo' : null
}

/** As the engine reads it: formats that only the browser knows are drawn anew as JPEG. */
export async function readable(file) {
  if (READ_BY_ENGINE.has(file.type)) return file
  let bitmap
  try {
    bitmap = await createImageBitmap(file)
  } catch {
    throw new Error(
      `${file.name}: neither the engine nor this browser reads ${file.type || 'this format'}; use JPEG, PNG or WebP`,
    )
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
  canvas.getContext('2d').drawImage(bitmap, 0, 0)
  bitmap.close()
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.95 })
  return new File([blob], file.name, { type: 'image/jpeg' })
}

const base = (path) => path.split(/[\\/]/).pop()

/** Is this the picture that results speak of? */
export const sameFile = (file, name) => Boolean(name) && base(name) === base(file.name)

/** Hands a text to the user as a file. */
export function save(name, type, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10000)
}

/** Calls `open` with the files that are dropped on the page or pasted into it. */
export function onFilesGiven(open) {
  const target = byId('drop')
  const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes('Files')
  // Elements within the page are entered and left on the way.
  let depth = 0
  addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return
    depth += 1
    target.hidden = false
  })
  addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return
    depth = Math.max(0, depth - 1)
    target.hidden = depth === 0
  })
  addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault()
  })
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    depth = 0
    target.hidden = true
    open([...event.dataTransfer.files])
  })
  addEventListener('paste', ({ clipboardData }) => {
    if (clipboardData?.files.length > 0) open([...clipboardData.files])
  })
}
