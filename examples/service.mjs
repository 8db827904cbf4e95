// The service inside a program of one's own, with one engine for both: asked over HTTP, and directly.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { createEngine } from '../index.mjs'
import { createServer } from '../service/index.cjs'

const path = process.argv[2] ?? fileURLToPath(new URL('sample.jpg', import.meta.url))
const image = await readFile(path)

const engine = await createEngine()
const app = await createServer({ engine, jobs: false })
try {
  const url = await app.listen({ port: 0 })
  const response = await fetch(`${url}/pose/hybrid`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ image_base64: image.toString('base64'), frame_number: 0 }),
  })
  const { persons, error } = await response.json()
  if (error) throw new Error(error)
  const [direct] = await engine.processFrames([{ frameNumber: 0, image }], { tracking: false })
  console.log(`over HTTP ${persons.length} people, directly ${direct.persons.length}`)
  for (const { track_id: id, joint_angles_3d: angles } of persons)
    console.log(`person ${id}: left knee ${angles.left_knee?.toFixed(0)}°`)
} finally {
  await app.close()
  await engine.close()
}
