// Options of the commands that keep an engine for others: which model, where, how much.
import { choice, number } from './args.mjs'
import { DETECTORS, KEYPOINT_SETS, MODELS, PRECISIONS, VARIANTS } from './engine.mjs'

export const MODEL_OPTIONS = {
  model: {
    type: 'string',
    value: 'name',
    text: `${MODELS.join(', ')} (default auto: 4dhumans where all its files are here)`,
  },
  'model-variant': {
    type: 'string',
    value: 'name',
    text: `${VARIANTS.join(', ')} (default full), of blazepose`,
  },
  detector: { type: 'string', value: 'name', text: `${DETECTORS.join(', ')}, of 4dhumans` },
  precision: { type: 'string', value: 'name', text: `${PRECISIONS.join(', ')}, of 4dhumans` },
  keypoints: {
    type: 'string',
    value: 'set',
    text: `${KEYPOINT_SETS.join(', ')} (default smpl24 with 4dhumans, as the old service named them)`,
  },
  smpl: { type: 'string', value: 'file', text: 'your SMPL model, used where it lies' },
  'cache-dir': {
    type: 'string',
    value: 'folder',
    text: 'the model cache (default POSE4D_CACHE_DIR, else ~/.cache/4d-humans)',
  },
  'memory-budget': {
    type: 'string',
    value: 'MB',
    text: 'RAM that the process may hold once 4dhumans is loaded',
  },
  'max-persons': { type: 'string', value: 'n', text: 'most people in a frame' },
  device: { type: 'string', value: 'name', text: 'auto, cpu, cuda, cuda:N' },
  threads: { type: 'string', value: 'n', text: 'worker threads (default: all cores)' },
  'legacy-names': {
    type: 'boolean',
    text: "the old service's wrong joint names (docs/migration.md), of 4dhumans",
  },
}

/** An EngineConfig of what was given. */
export function engineConfig(values) {
  const config = {
    model: choice(values, 'model', MODELS),
    modelVariant: choice(values, 'model-variant', VARIANTS),
    detector: choice(values, 'detector', DETECTORS),
    precision: choice(values, 'precision', PRECISIONS),
    keypoints: choice(values, 'keypoints', KEYPOINT_SETS),
    smplPath: values.smpl,
    cacheDir: values['cache-dir'],
    memoryBudgetMb: number(values, 'memory-budget', { min: 1, integer: true }),
    maxPersons: number(values, 'max-persons', { min: 1, max: 1000, integer: true }),
    device: values.device,
    threads: number(values, 'threads', { min: 1, max: 1024, integer: true }),
  }
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined))
}
