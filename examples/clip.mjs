// Images that belong together, handed over in batches: people keep their ids from batch to batch.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createEngine } from '../index.mjs'

const BATCH = 16

const folder = process.argv[2]
if (!folder) throw new Error('usage: node examples/clip.mjs folder-of-images/')
const names = (await readdir(folder)).filter((name) => /\.(jpe?g|png|webp)$/i.test(name)).sort()

const engine = await createEngine()
const clip = engine.openClip()
try {
  for (let start = 0; start < names.length; start += BATCH) {
    const batch = names.slice(start, start + BATCH)
    const frames = await Promise.all(
      batch.map(async (name, i) => ({
        frameNumber: start + i,
        image: await readFile(join(folder, name)),
      })),
    )
    for (const result of await clip.processFrames(frames)) {
      const people = result.persons.map((person) => `${person.trackId} (${person.source})`)
      console.log(
        `${names[result.frameNumber]}: ${result.error ?? (people.join(', ') || 'nobody')}`,
      )
    }
  }
} finally {
  await engine.close()
}
