// The same interface as index.js, under names.
import pose4d from './index.js'

export const {
  Pose4DError,
  PoseClip,
  PoseEngine,
  PoseVideo,
  createEngine,
  estimateDepth,
  exportPoses,
  health,
  loadBody,
  models,
  processFrames,
  readPoses,
  renderOverlay,
  runtimeInfo,
  toLegacyResult,
  version,
  warmup,
} = pose4d
export default pose4d
