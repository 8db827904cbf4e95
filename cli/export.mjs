// `pose4d export`: results that are there already, in another format.
import { basename } from 'node:path'

import { choice, number } from './args.mjs'
import { fromEngine, loadAddon } from './engine.mjs'
import { EXIT, UsageError } from './exit.mjs'
import { Interrupt } from './interrupt.mjs'
import { openOutputs } from './output.mjs'

export const EXPORT_OPTIONS = {
  track: { type: 'string', value: 'id', text: 'only this person' },
  space: {
    type: 'string',
    value: 'axes',
    text: 'of glb and bvh: camera (default: people where they are), person (each at the origin)',
  },
  shape: {
    type: 'string',
    value: 'whose',
    text: 'of glb: frame (default: bones as in each frame), mean (bones of one length)',
  },
}

export const export_ = {
  name: 'export',
  summary: 'write results that are there already in another format',
  usage: 'pose4d export <results.json | results.jsonl> --out <file> [--out <file> …] [options]',
  options: {
    out: {
      type: 'string',
      short: 'o',
      multiple: true,
      value: 'file',
      text: 'what to write, by its name: .jsonl, .json, .csv, .npz, .pkl, .glb, .bvh, .html; may be repeated',
    },
    ...EXPORT_OPTIONS,
    fps: { type: 'string', value: 'n', text: 'rate of frames without a time (default 30)' },
    smpl: { type: 'string', value: 'file', text: 'your SMPL model, for the skin in glb' },
    'cache-dir': { type: 'string', value: 'folder', text: 'the model cache, where it may be too' },
    'no-body': { type: 'boolean', text: 'a figure of sticks in the place of the skin' },
    json: { type: 'boolean', text: 'print what was written as JSON' },
    quiet: { type: 'boolean', short: 'q', text: 'print nothing' },
  },
  examples: [
    ['pose4d export poses.json --out run.glb', 'for Blender, three.js, any viewer of glTF'],
    [
      'pose4d export poses.json --out angles.csv --out poses.npz',
      'for a spreadsheet and for numpy',
    ],
    [
      'pose4d export poses.jsonl --track 2 --out second.bvh',
      'one person, for motion capture tools',
    ],
  ],
  run,
}

export function exportOptions(values) {
  return {
    track: number(values, 'track', { min: 0, integer: true }),
    space: choice(values, 'space', ['camera', 'person']),
    shape: choice(values, 'shape', ['frame', 'mean']),
  }
}

/** The user's body, where it is asked for or simply there. */
async function bodyFor(addon, targets, values) {
  if (values['no-body'] || !targets.some((target) => /\.(glb|bvh)$/i.test(target))) return undefined
  const place = { smplPath: values.smpl, cacheDir: values['cache-dir'] }
  const given = Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined))
  if (values.smpl) return addon.loadBody(given)
  const { available } = addon.models.status('smpl-neutral', given)
  return available ? addon.loadBody(given) : undefined
}

async function run(
  { values, positionals },
  { load = loadAddon, stdout = process.stdout, stderr = process.stderr } = {},
) {
  if (positionals.length !== 1)
    throw new UsageError('Name one file of results, as `pose4d process … --out` wrote it.', {
      command: 'export',
    })
  const targets = values.out ?? []
  if (targets.length === 0)
    throw new UsageError('Nothing to write: say where with `--out`.', { command: 'export' })
  const [source] = positionals
  if (targets.includes(source)) throw new UsageError(`\`--out ${source}\` is the input itself.`)
  const fps = number(values, 'fps', { min: 0.01, max: 1000 })
  const options = exportOptions(values)
  const interrupt = new Interrupt()
  try {
    const addon = await load()
    const { header, results } = await addon.readPoses(source)
    const output = await openOutputs(targets, header, {
      options: {
        ...options,
        fps: fps ?? header.source?.fps,
        tracking: header.tracked !== false,
        title: header.source?.file && basename(header.source.file),
        body: await bodyFor(addon, targets, values),
      },
    })
    for await (const result of results) {
      if (interrupt.aborted) break
      const { timestampMs, file } = result
      await output.write(result, { timestampMs, file })
    }
    await output.close({ complete: !interrupt.aborted })
    if (values.json) {
      const wrote = output.wrote.map(({ target, summary }) => summary ?? { files: [target] })
      stdout.write(`${JSON.stringify(wrote, null, 2)}\n`)
    } else if (!values.quiet) {
      for (const line of output.lines()) stderr.write(`${line}\n`)
    }
    if (interrupt.aborted) return interrupt.exitCode
    output.check()
    return EXIT.OK
  } catch (error) {
    throw fromEngine(error)
  } finally {
    interrupt.dispose()
  }
}
