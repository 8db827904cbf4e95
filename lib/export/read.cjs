'use strict'
// Reads back what `pose4d process --out` and the formats json and jsonl wrote.

const fs = require('node:fs')
const readline = require('node:readline')
const { unreadable } = require('./faults.cjs')

/** Above this a document is not read in one piece. */
const LARGEST_DOCUMENT = 400 * 2 ** 20

const SHAPE = {
  box: (length) => length === 4,
  joints3d: (length) => length % 3 === 0,
}

/** As the engine gives it: what could not be measured is NaN again. */
const floats = (values) => Float32Array.from(values, (value) => value ?? Number.NaN)

function revive(values, valid, name, where) {
  if (!Array.isArray(values) || !valid(values.length))
    throw unreadable(`${where}: \`${name}\` is not the array of numbers it should be`)
  return floats(values)
}

const optional = (values) => (Array.isArray(values) ? floats(values) : undefined)

function person(plain, where) {
  const { smpl, mesh, camera } = plain
  if (!Array.isArray(plain.keypoints)) throw unreadable(`${where}: a person without \`keypoints\``)
  return {
    ...plain,
    box: revive(plain.box, SHAPE.box, 'box', where),
    keypoints: plain.keypoints.map((point) => ({
      ...point,
      x: point.x ?? Number.NaN,
      y: point.y ?? Number.NaN,
    })),
    ...(plain.joints3d && { joints3d: revive(plain.joints3d, SHAPE.joints3d, 'joints3d', where) }),
    ...(smpl && {
      smpl: {
        globalOrient: revive(smpl.globalOrient, (n) => n === 9, 'smpl.globalOrient', where),
        bodyPose: revive(smpl.bodyPose, (n) => n === 207, 'smpl.bodyPose', where),
        betas: revive(smpl.betas, (n) => n === 10, 'smpl.betas', where),
      },
    }),
    ...(mesh && { mesh: { vertices: optional(mesh.vertices) } }),
    ...(camera && {
      camera: {
        ...camera,
        translation: revive(camera.translation, (n) => n === 3, 'camera.translation', where),
        center: revive(camera.center, (n) => n === 2, 'camera.center', where),
      },
    }),
  }
}

function result(plain, model, where) {
  // A frame that failed for its number has none.
  const numbered = Number.isFinite(plain?.frameNumber) || plain?.errorCode
  if (!Array.isArray(plain?.persons) || !numbered)
    throw unreadable(`${where}: a frame without \`frameNumber\` and \`persons\``)
  const persons = plain.persons.map((one) => person(one, `${where}, frame ${plain.frameNumber}`))
  const [first] = persons
  return {
    ...plain,
    frameNumber: plain.frameNumber ?? Number.NaN,
    persons,
    keypoints: first?.keypoints ?? [],
    keypointCount: first?.keypoints.length ?? 0,
    has3d: Boolean(first?.joints3d),
    ...(first && {
      jointAngles3d: first.jointAngles3d,
      cameraTranslation: first.camera && Array.from(first.camera.translation),
      trackingConfidence: first.trackingConfidence,
    }),
    modelVersion: model ?? '',
  }
}

function parse(text, where) {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw unreadable(`${where} is not JSON: ${error.message}`, error)
  }
}

function checkHeader(header, path) {
  if (header?.schema === 1) return header
  throw unreadable(
    `${path} is no file of results: \`"schema": 1\` expected, ${JSON.stringify(header?.schema) ?? 'nothing'} found; write one with \`pose4d process … --out ${path}\``,
  )
}

async function* linesOf(path) {
  const input = fs.createReadStream(path, 'utf8')
  const lines = readline.createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
  let number = 0
  for await (const line of lines) {
    number += 1
    if (line.trim() !== '') yield { value: line, where: `${path}, line ${number}` }
  }
}

async function readLines(path) {
  const lines = linesOf(path)
  const first = await lines.next()
  const { type, ...header } = first.done ? {} : parse(first.value.value, first.value.where)
  checkHeader(type === 'header' ? header : undefined, path)
  async function* frames() {
    for await (const { value, where } of lines) {
      const { type: kind, ...plain } = parse(value, where)
      if (kind === 'frame') yield result(plain, header.model?.version, where)
    }
  }
  return { header, results: frames() }
}

async function readDocument(path) {
  const { size } = await fs.promises.stat(path)
  if (size > LARGEST_DOCUMENT)
    throw unreadable(
      `${path} has ${Math.round(size / 2 ** 20)} MB, too much for one JSON document; write results of this length as JSON Lines (.jsonl), which are read line by line`,
    )
  const { frames, complete, frameCount, errorCount, ...header } = parse(
    await fs.promises.readFile(path, 'utf8'),
    path,
  )
  checkHeader(header, path)
  if (!Array.isArray(frames)) throw unreadable(`${path} has no \`frames\``)
  async function* each() {
    for (const frame of frames) yield result(frame, header.model?.version, path)
  }
  return { header, results: each() }
}

async function firstLine(path) {
  const handle = await fs.promises.open(path)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** `{ header, results }`: what the file says of itself, and its frames one after the other. */
async function readPoses(path) {
  try {
    const lines = /^\s*\{\s*"type"\s*:/.test(await firstLine(path))
    return await (lines ? readLines(path) : readDocument(path))
  } catch (error) {
    if (error.code?.startsWith('ERR_POSE4D_')) throw error
    throw unreadable(`cannot read ${path}: ${error.message}`, error)
  }
}

module.exports = { readPoses }
