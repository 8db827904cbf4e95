'use strict'
// pose4d: people's 3D poses from video frames, in this process. Loads the addon (or says why it
// cannot be loaded, and what to do), and puts the public interface together.

const { loadNative } = require('./lib/native.cjs')

loadNative()

const { Pose4DError } = require('./lib/errors.cjs')
const { PoseClip, PoseEngine, PoseVideo, createEngine } = require('./lib/engine.cjs')
const { loadBody } = require('./lib/body.cjs')
const { estimateDepth, health, processFrames, warmup } = require('./lib/default-engine.cjs')
const { exportPoses, readPoses } = require('./lib/export/index.cjs')
const { toLegacyResult } = require('./lib/legacy.cjs')
const { models } = require('./lib/models.cjs')
const { renderOverlay, runtimeInfo, version } = require('./lib/tools.cjs')

module.exports = {
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
}
