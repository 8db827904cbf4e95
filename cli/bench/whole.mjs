// A model family through the public interface: from a frame to its result in JavaScript.
import { readFileSync, writeFileSync } from 'node:fs'

import { median } from './stages.mjs'

/** The manifest's names of the files. */
const NAMES = {
  vitdet: 'vitdet-h',
  regnety: 'regnety',
  hmr2: 'hmr2',
  config: 'hmr2-config',
  body: 'smpl-neutral',
  regressor: 'hmr2-joint-regressor',
  vitpose: 'vitpose-h',
}

/** Peak of resident memory since `resetPeak`, bytes; NaN where the system does not say. */
function peakRss() {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
    return Number(kilobytes) * 1024
  } catch {
    return Number.NaN
  }
}

function resetPeak() {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {}
}

/** The engine's configuration for what was asked. */
function configuration(model, { given, files }) {
  const common = { model, device: given.device, threads: given.threads, cacheDir: given.cacheDir }
  if (model === 'blazepose') return { ...common, precision: undefined }
  const precision = given.precisions.length === 1 ? given.precisions[0] : 'auto'
  if (!given.random) return { ...common, precision }
  const named = Object.entries(NAMES).filter(([role]) => files[role])
  return {
    ...common,
    precision,
    // Random detectors see people everywhere.
    maxPersons: 1,
    humans: {
      files: Object.fromEntries(named.map(([role, name]) => [name, files[role]])),
      vitpose: NAMES.vitpose,
    },
  }
}

/** One frame, again and again, as a photo. */
export async function measureWhole(model, context) {
  const { addon, given, report, note } = context
  note(`${model} from frame to result …`)
  resetPeak()
  let engine
  try {
    const given_ = Object.entries(configuration(model, context)).filter(
      ([, value]) => value !== undefined,
    )
    const start = performance.now()
    engine = await addon.createEngine(Object.fromEntries(given_))
    const loadSeconds = (performance.now() - start) / 1e3
    const frame = await frameOf(context)
    const times = []
    let result
    for (let pass = 0; pass <= given.repeat; pass++) {
      const begun = performance.now()
      const results = await engine.processFrames([{ ...frame, frameNumber: pass }], {
        tracking: false,
        mesh: model === '4dhumans',
      })
      times.push(performance.now() - begun)
      result = results[0]
      if (result.errorCode) throw new Error(`${result.errorCode}: ${result.error}`)
    }
    report.whole.push({
      model,
      ms: median(times.slice(1)),
      firstMs: times[0],
      loadSeconds,
      persons: result.persons.length,
      timings: result.timings,
      modelVersion: result.modelVersion,
      peakRss: peakRss(),
      memoryPlan: engine.health().memoryPlan,
    })
  } catch (error) {
    report.missing.push({ name: `${model} from frame to result`, why: error.message })
  } finally {
    await engine?.close()
  }
}

async function frameOf({ given }) {
  if (given.photo !== undefined) return { image: readFileSync(given.photo) }
  const [width, height] = [1920, 1080]
  const pixels = new Uint8Array(width * height * 3)
  for (let i = 0; i < pixels.length; i++) pixels[i] = (Math.imul(i, 2654435761) >>> 7) & 255
  return { pixels, width, height }
}
