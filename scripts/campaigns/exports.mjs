#!/usr/bin/env node
// Exports of real results, read by numpy, pickle and joblib.
//   node scripts/campaigns/exports.mjs --python python [--keep folder]
// The Python needs numpy and joblib. People of 4D-Humans come from small random networks of the tests.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { humansCache } from '../../__test__/helpers/humans.mjs'
import { createEngine, exportPoses } from '../../index.mjs'
import runtime from '../../lib/runtime.cjs'

const { values } = parseArgs({
  options: { python: { type: 'string', default: 'python3' }, keep: { type: 'string' } },
})
const out = values.keep ?? mkdtempSync(path.join(tmpdir(), 'pose4d-exports-'))
const pictures = path.join(runtime.ROOT, 'tests/fixtures/goldens/blazepose/clip')
const frames = readdirSync(pictures)
  .filter((name) => name.endsWith('.jpg'))
  .sort()
  .map((name, frameNumber) => ({ frameNumber, imagePath: path.join(pictures, name) }))

const cache = humansCache()
const humans = { cacheDir: cache.cacheDir, detector: 'full-image', precision: 'fp32' }
const runs = {
  blazepose: { model: 'blazepose' },
  hmr44: { model: '4dhumans', ...humans },
  smpl24: { model: '4dhumans', keypoints: 'smpl24', ...humans },
}
try {
  for (const [name, config] of Object.entries(runs)) {
    const folder = path.join(out, name)
    mkdirSync(folder, { recursive: true })
    const engine = await createEngine(config)
    const results = await engine.processFrames(frames, { mesh: false })
    // Frames in which nobody looked: guesses without a body.
    for (const result of results.slice(10, 13))
      for (const person of result.persons) {
        for (const field of ['smpl', 'camera']) delete person[field]
        Object.assign(person, { source: 'predicted', trackingConfidence: 0.5 })
      }
    for (const format of ['jsonl', 'csv', 'npz', 'pkl', 'glb', 'bvh', 'html'])
      await exportPoses(results, path.join(folder, `poses.${format}`), { body: engine })
    await engine.close()
  }
  const script = path.join(runtime.ROOT, 'scripts/campaigns/exports.py')
  const folders = Object.keys(runs).map((name) => path.join(out, name))
  execFileSync(values.python, [script, ...folders], { stdio: 'inherit' })
} finally {
  cache.remove()
  if (!values.keep) rmSync(out, { recursive: true, force: true })
}
