// Opens what `pose4d process --out` writes, JSON or JSON Lines, in the browser alone: nothing is sent anywhere.

import { Clip } from './clip.mjs'
import { frameReader } from './people.mjs'

/** A JSON document is read in one piece, for which a browser's strings set the bound. */
const LARGEST_DOCUMENT = 400 * 2 ** 20
const SCHEMA = 1

const HOW = 'write one with “pose4d process … --out results.json”'

function parse(text, where) {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${where} is not JSON: ${error.message}`)
  }
}

function checked(header, name) {
  if (header?.schema === SCHEMA) return header
  const found = header?.schema === undefined ? 'none' : JSON.stringify(header.schema)
  throw new Error(
    `${name} is no file of results: it should say "schema": ${SCHEMA}, found ${found}; ${HOW}`,
  )
}

/** Lines of a file, read piece by piece. */
async function* linesOf(file, onProgress) {
  const reader = file.stream().pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  let read = 0
  for (;;) {
    const { value, done } = await reader.read()
    if (done) break
    read += value.length
    onProgress?.(Math.min(1, read / file.size))
    const lines = (rest + value).split('\n')
    rest = lines.pop()
    yield* lines
  }
  if (rest.trim() !== '') yield rest
}

async function readLines(file, onProgress) {
  const frameOf = frameReader()
  const frames = []
  let header = null
  let end = { complete: false }
  let number = 0
  for await (const line of linesOf(file, onProgress)) {
    number += 1
    if (line.trim() === '') continue
    const where = `${file.name}, line ${number}`
    const { type, ...plain } = parse(line, where)
    if (!header) header = checked(type === 'header' ? plain : null, file.name)
    else if (type === 'frame') frames.push(frameOf(plain, where))
    else if (type === 'end') end = plain
  }
  return { header: checked(header, file.name), frames, complete: end.complete !== false }
}

async function readDocument(file) {
  if (file.size > LARGEST_DOCUMENT)
    throw new Error(
      `${file.name} has ${Math.round(file.size / 2 ** 20)} MB, too much for one JSON document; write results of this length as JSON Lines (.jsonl)`,
    )
  const { frames, complete, ...header } = parse(await file.text(), file.name) ?? {}
  checked(header, file.name)
  if (!Array.isArray(frames)) throw new Error(`${file.name} has no list of \`frames\``)
  const frameOf = frameReader()
  return {
    header,
    frames: frames.map((frame) => frameOf(frame, file.name)),
    complete: complete !== false,
  }
}

/** Triangles of the mesh, checked against the vertices they speak of. */
export function facesOf(values, frames) {
  const given = Array.isArray(values?.[0]) ? values.flat() : values
  if (!given?.length) return null
  const shown = frames.flatMap(({ persons }) => persons).find(({ vertices }) => vertices)
  const count = shown ? shown.vertices.length / 3 : 0
  const faces = Uint32Array.from(given)
  return given.length % 3 === 0 && faces.every((index) => index < count) ? faces : null
}

/** `File` → `Clip`; throws with a message for the user. `onProgress` is told a share from 0 to 1. */
export async function readResults(file, onProgress) {
  const start = await file.slice(0, 256).text()
  const lines = /^\s*\{\s*"type"\s*:/.test(start)
  const { header, frames, complete } = await (lines
    ? readLines(file, onProgress)
    : readDocument(file))
  const { source = {}, model = {} } = header
  return new Clip(
    {
      name: file.name,
      kind: source.kind ?? 'clip',
      tracked: header.tracked !== false,
      model: model.version ?? model.variant ?? null,
      generator: header.generator ?? null,
      fps: source.sampledFps ?? source.fps ?? null,
      file: source.file ?? null,
      complete,
      meshFaces: facesOf(header.meshFaces, frames),
    },
    frames,
  )
}
