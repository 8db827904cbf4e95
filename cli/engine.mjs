// The one place where the command line meets the addon: loading it, and options → EngineConfig.
import { EnvironmentError, UsageError } from './exit.mjs'

/** Codes that mean the caller asked for something impossible, not that the machine failed. */
const USAGE_CODES = new Set([
  'ERR_POSE4D_INVALID_ARGUMENT',
  'ERR_POSE4D_KEYPOINT_SET',
  'ERR_POSE4D_MODEL_UNKNOWN',
  'ERR_POSE4D_VIDEO_FORMAT',
  'ERR_POSE4D_VIDEO_NOT_FOUND',
])

export const VARIANTS = ['fast', 'full', 'accurate']
export const MODELS = ['auto', 'blazepose', '4dhumans']
export const DETECTORS = ['auto', 'vitdet', 'regnety', 'full-image']
export const PRECISIONS = ['auto', 'fp32', 'bf16', 'fp16']
export const KEYPOINT_SETS = [
  'native',
  'coco17',
  'openpose25',
  'smpl24',
  'smplx45',
  'hmr44',
  'blazepose33',
]

export async function loadAddon() {
  try {
    return await import('../index.mjs')
  } catch (error) {
    throw new EnvironmentError(error.message)
  }
}

/** The engine's own errors, given the exit code that fits. */
export function fromEngine(error) {
  if (
    error.exitCode !== undefined ||
    typeof error.code !== 'string' ||
    !error.code.startsWith('ERR_POSE4D_')
  )
    return error
  const Kind = USAGE_CODES.has(error.code) ? UsageError : EnvironmentError
  return new Kind(`${error.message} (${error.code})`)
}

export async function openEngine(addon, config) {
  const given = Object.fromEntries(
    Object.entries(config).filter(([, value]) => value !== undefined),
  )
  try {
    return await addon.createEngine(given)
  } catch (error) {
    throw fromEngine(error)
  }
}
