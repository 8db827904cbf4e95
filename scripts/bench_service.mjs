#!/usr/bin/env node
// What the service costs over the direct call, and what handing a mesh over costs beside the old JSON path.
//   node scripts/bench_service.mjs [--rounds n] [--json]
// Both sides in turn, in one run; medians. The picture is the sample photo on a canvas of 1920 × 1080.

import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { sample } from '../__test__/helpers/images.mjs'
import { createEngine, renderOverlay } from '../index.mjs'
import stand from '../lib/bench.cjs'
import legacy from '../lib/legacy.cjs'
import { createServer } from '../service/index.cjs'

const SIZE = { width: 1920, height: 1080 }
const FACES = 13776
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '21' }, json: { type: 'boolean', default: false } },
})
const rounds = Number(values.rounds)

const sorted = (list) => [...list].sort((a, b) => a - b)
const median = (list) => sorted(list)[list.length >> 1]
const timed = async (work) => {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** A JPEG of 1920 × 1080 with the two people of the sample photo. */
async function picture() {
  const [width, height] = [1768, 994]
  const nobody = (frameWidth, frameHeight) => ({ frameWidth, frameHeight, persons: [] })
  const rgb = await renderOverlay({ image: sample() }, nobody(width, height), { format: 'rgb' })
  const canvas = Buffer.alloc(SIZE.width * SIZE.height * 3, 90)
  for (let y = 0; y < height; y++)
    rgb.copy(canvas, 3 * y * SIZE.width, 3 * y * width, 3 * (y + 1) * width)
  const frame = { pixels: canvas, ...SIZE }
  return renderOverlay(frame, nobody(SIZE.width, SIZE.height), { format: 'jpeg' })
}

async function overhead() {
  const image = await picture()
  const engine = await createEngine({ model: 'blazepose' })
  const app = await createServer({ engine, jobs: false, warmup: false })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const direct = () => engine.processFrames([{ frameNumber: 0, image }], { tracking: false })
  // All that a client does: base64, the request, and reading the answer.
  const served = async () => {
    const body = JSON.stringify({ image_base64: image.toString('base64'), frame_number: 0 })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/pose/hybrid`, { method: 'POST', headers, body })
    const { persons } = await response.json()
    if (persons.length !== 2) throw new Error(`${persons.length} people in the picture`)
  }
  const times = { direct: [], served: [] }
  for (let round = 0; round <= rounds; round++) {
    const pair = { direct: await timed(direct), served: await timed(served) }
    // The first round loads.
    if (round > 0) for (const side of ['direct', 'served']) times[side].push(pair[side])
  }
  await app.close()
  await engine.close()
  const extra = median(times.served.map((ms, i) => ms - times.direct[i]))
  const [a, b] = [median(times.direct), median(times.served)]
  return { bytes: image.length, directMs: a, servedMs: b, extraMs: extra, overhead: extra / a }
}

/** Triangles, as many as SMPL has. */
const faces = Uint32Array.from({ length: 3 * FACES }, (_, i) => (i * 7) % 6890)

/** The old way of a mesh: nested lists as JSON, parsed, and flattened for the renderer. */
function jsonPath(result) {
  const text = JSON.stringify(legacy.toLegacyResult(result, { meshFaces: faces }))
  const { mesh_vertices_data: vertices, mesh_faces_data: triangles } = JSON.parse(text)
  const flat = [Float32Array.from(vertices.flat()), Uint32Array.from(triangles.flat())]
  if (flat[0].length !== 6890 * 3 || flat[1].length !== FACES * 3)
    throw new Error('a mesh is missing')
  return text.length
}

/** json.dumps of the same lists, as Flask did it; undefined where there is no Python. */
function pythonDumps(result) {
  const lists = JSON.stringify(legacy.toLegacyResult(result, { meshFaces: faces }))
  const program =
    'import json,sys,time\nd=json.load(sys.stdin)\nt=[]\nfor _ in range(21):\n s=time.perf_counter();json.dumps(d);t.append(time.perf_counter()-s)\nprint(sorted(t)[10]*1000)'
  try {
    return Number(execFileSync('python3', ['-c', program], { input: lists }))
  } catch {
    return undefined
  }
}

async function bridge() {
  const many = 100
  const direct = []
  const json = []
  let bytes = 0
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now()
    for (let i = 0; i < many; i++) stand.meshResult(1)
    const each = (performance.now() - start) / many
    const result = withHead(stand.meshResult(1))
    const old = await timed(() => {
      bytes = jsonPath(result)
    })
    if (round > 0) {
      direct.push(each)
      json.push(old)
    }
  }
  const dumps = pythonDumps(withHead(stand.meshResult(1)))
  return { bytes, directMs: median(direct), jsonMs: median(json), pythonDumpsMs: dumps }
}

/** With numbers as long as a body's are. */
function withHead(result) {
  const [person] = result.persons
  const vertices = Float32Array.from({ length: 3 * 6890 }, (_, i) => Math.sin(i) * 0.9)
  const persons = [{ ...person, mesh: { vertices } }]
  return { frameNumber: 0, keypoints: [], ...result, persons }
}

const report = { overhead: await overhead(), bridge: await bridge() }
if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
else {
  const { overhead: over, bridge: mesh } = report
  const ms = (value) => `${value.toFixed(2)} ms`
  const lines = [
    `one frame at 1080p, BlazePose: direct ${ms(over.directMs)}, over HTTP ${ms(over.servedMs)}, overhead ${ms(over.extraMs)} = ${(100 * over.overhead).toFixed(1)} % (asked: under 10 %)`,
    `a result with a mesh into JavaScript: ${ms(mesh.directMs)}; as JSON of ${mesh.bytes} bytes made, parsed and flattened in Node: ${ms(mesh.jsonMs)}, ${(mesh.jsonMs / mesh.directMs).toFixed(0)} times as much (asked: 5)`,
    mesh.pythonDumpsMs === undefined
      ? 'json.dumps: no Python here'
      : `of that, json.dumps in Python would take ${ms(mesh.pythonDumpsMs)}`,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
