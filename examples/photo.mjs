// The people in one photo: where they are, and how they bend their knees.
import { fileURLToPath } from 'node:url'

import { createEngine } from '../index.mjs'

const imagePath = process.argv[2] ?? fileURLToPath(new URL('sample.jpg', import.meta.url))

const engine = await createEngine()
try {
  const [result] = await engine.processFrames([{ frameNumber: 0, imagePath }], { tracking: false })
  if (result.errorCode) throw new Error(`${result.errorCode}: ${result.error}`)
  if (result.persons.length === 0) console.log('nobody found')
  for (const person of result.persons) {
    const [x1, y1, x2, y2] = Array.from(person.box, Math.round)
    const { left_knee: left, right_knee: right } = person.jointAngles3d ?? {}
    console.log(
      `person ${person.trackId} at (${x1}, ${y1})–(${x2}, ${y2}): knees ${left?.toFixed(0)}° and ${right?.toFixed(0)}°`,
    )
  }
} finally {
  await engine.close()
}
