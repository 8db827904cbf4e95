// The public types, as a CommonJS file sees them.

import pose4d = require('pose4d')

export async function run(): Promise<number> {
  const engine: pose4d.PoseEngine = await pose4d.createEngine()
  const results: pose4d.PoseResult[] = await engine.processFrames([{ frameNumber: 0 }])
  await engine.close()
  return results.length
}
