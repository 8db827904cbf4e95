#!/usr/bin/env node
// What the depth networks take beside their weights, each in a process of its own:
//   node scripts/campaigns/depth_memory.mjs <folder> [--photo file] [--shape 1920x1080]
// The folder holds the released files (or files of their size) by their names, anywhere below it.

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import runtime from '../../lib/runtime.cjs'

const MODELS = {
  DPT_Large: 'dpt_large_384.pt',
  DPT_Hybrid: 'dpt_hybrid_384.pt',
  MiDaS: 'midas_v21_384.pt',
  MiDaS_small: 'midas_v21_small_256.pt',
}
const MB = 2 ** 20

const CHILD = `
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'
const [root, config, model, width, height] = process.argv.slice(1)
const { createEngine } = createRequire(root + '/')('./index.js')
const status = (name) => 1024 * Number(new RegExp(name + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1])
const engine = await createEngine(JSON.parse(config))
const pixels = new Uint8Array(3 * width * height)
for (let i = 0; i < pixels.length; i++) pixels[i] = (i * 2654435761) >>> 24
const frame = { frameNumber: 0, pixels, width: Number(width), height: Number(height) }
await engine.processFrames([{ ...frame, pixels: pixels.slice(0, 3 * 64 * 48), width: 64, height: 48 }])
const before = status('VmRSS')
const started = performance.now()
// Refused for its number: the network is loaded, and nothing runs.
await engine.estimateDepth([{ frameNumber: -1, pixels: new Uint8Array(3), width: 1, height: 1 }], { model })
const loadSeconds = (performance.now() - started) / 1e3
const [loaded, loadPeak] = [status('VmRSS'), status('VmHWM')]
writeFileSync('/proc/self/clear_refs', '5')
const run = performance.now()
await engine.estimateDepth([frame], { model })
const seconds = (performance.now() - run) / 1e3
const { bytes } = Object.values(engine.health().models)[0]
console.log(JSON.stringify({ weights: bytes, resident: loaded - before, loading: loadPeak - before,
  work: status('VmHWM') - loaded, loadSeconds, seconds }))
await engine.close()
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { shape: { type: 'string', default: '1920x1080' } },
})
const [folder] = positionals
if (!folder) throw new Error('usage: depth_memory.mjs <folder with the released files>')
const found = readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)))
const [width, height] = values.shape.split('x')
const mb = (bytes) => String(Math.round(bytes / MB))
process.stdout.write(
  `| network, ${values.shape} | precision | weights | resident | most while loading | at work |\n`,
)
process.stdout.write('|---|---|---|---|---|---|\n')
for (const [model, name] of Object.entries(MODELS)) {
  const file = found.find((path) => basename(path) === name)
  if (!file) continue
  for (const precision of ['bf16', 'fp32']) {
    const config = {
      model: 'blazepose',
      modelVariant: 'fast',
      device: 'cpu',
      depth: { precision, files: { [model]: file } },
    }
    const args = ['--input-type=module', '-e', CHILD, '--', runtime.ROOT, JSON.stringify(config)]
    const out = execFileSync(process.execPath, [...args, model, width, height], {
      encoding: 'utf8',
    })
    const { weights, resident, loading, work } = JSON.parse(out)
    const cells = [weights, resident, loading, work].map(mb).join(' | ')
    process.stdout.write(`| ${model} | ${precision} | ${cells} |\n`)
  }
}
