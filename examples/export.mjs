// Images that belong together, into files: a scene for 3D viewers, angles for a spreadsheet, a report.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { createEngine, exportPoses } from '../index.mjs'

const [folder, out = 'out'] = process.argv.slice(2)
if (!folder) throw new Error('usage: node examples/export.mjs folder-of-images/ [out/]')
const names = (await readdir(folder)).filter((name) => /\.(jpe?g|png|webp)$/i.test(name)).sort()

const engine = await createEngine()
try {
  const frames = names.map((name, frameNumber) => ({ frameNumber, imagePath: join(folder, name) }))
  const results = await engine.processFrames(frames)
  for (const file of ['clip.glb', 'angles.csv', 'report.html']) {
    const { files, written, leftOut } = await exportPoses(results, join(out, file), {
      fps: 30,
      body: engine, // of 4D-Humans: the skin
    })
    console.log(`${files.join(', ')}: ${written} records`, leftOut)
  }
} finally {
  await engine.close()
}
