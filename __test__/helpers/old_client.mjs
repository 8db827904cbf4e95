// What the backend's functions of today do with the service, written after the old contract
// (docs/migration.md): addresses, bodies, fields read, defaults, errors. Nothing in here knows pose4d.

import { spawn } from 'node:child_process'

/** axios as those functions use it: JSON both ways, anything but 2xx throws. */
async function ask(method, url, { body, timeout }) {
  let response
  try {
    response = await fetch(url, {
      method,
      signal: AbortSignal.timeout(timeout),
      ...(body && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    })
  } catch (error) {
    if (error.name === 'TimeoutError') throw new Error(`timeout of ${timeout}ms exceeded`)
    throw Object.assign(new Error(error.cause?.message ?? error.message), {
      code: error.cause?.code,
    })
  }
  const data = await response.json()
  if (response.ok) return data
  const failure = new Error(`Request failed with status code ${response.status}`)
  throw Object.assign(failure, {
    response: { status: response.status, headers: response.headers, data },
  })
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export function oldClient(base, { timeout = 10_000, retryDelay = 1000 } = {}) {
  async function checkPoseServiceHealth() {
    try {
      const data = await ask('GET', `${base}/health`, { timeout: 5000 })
      return data?.status === 'ready' || data?.status === 'healthy'
    } catch {
      return false
    }
  }

  async function getPoseServiceStatus() {
    try {
      const data = await ask('GET', `${base}/health`, { timeout: 5000 })
      return {
        status: data.status || (data.ready ? 'ready' : 'not_ready'),
        models: data.models || { hmr2: 'not_loaded', vitdet: 'not_loaded' },
        ready: data.ready || false,
      }
    } catch {
      return {
        status: 'offline',
        models: { hmr2: 'not_loaded', vitdet: 'not_loaded' },
        ready: false,
      }
    }
  }

  const failed = (frameNumber, error) => ({
    frameNumber,
    frameWidth: 0,
    frameHeight: 0,
    keypoints: [],
    keypointCount: 0,
    processingTimeMs: 0,
    modelVersion: 'unknown',
    error,
  })

  const basic = (data) => ({
    frameNumber: data.frame_number,
    frameWidth: data.frame_width,
    frameHeight: data.frame_height,
    keypoints: data.keypoints || [],
    keypointCount: data.keypoint_count || 0,
    processingTimeMs: data.processing_time_ms,
    modelVersion: data.model_version,
  })

  async function detectPose(imageBase64, frameNumber = 0, retries = 2) {
    for (let attempt = 0; attempt <= retries; attempt++) {
      try {
        const body = { image_base64: imageBase64, frame_number: frameNumber }
        return basic(await ask('POST', `${base}/pose`, { body, timeout }))
      } catch (error) {
        if (attempt === retries) {
          if (error.code === 'ECONNREFUSED')
            return failed(frameNumber, 'Pose service not available')
          if (error.message.includes('timeout'))
            return failed(frameNumber, 'Pose detection timed out')
          return failed(frameNumber, error.message || 'Unknown error')
        }
        await pause(retryDelay)
      }
    }
  }

  const detectPoseParallel = (frames) =>
    Promise.all(frames.map((frame) => detectPose(frame.imageBase64, frame.frameNumber)))

  async function detectPoseHybrid(imageBase64, frameNumber = 0, visualize = false) {
    try {
      const body = { image_base64: imageBase64, frame_number: frameNumber, visualize }
      const data = await ask('POST', `${base}/pose/hybrid`, { body, timeout: 120_000 })
      return {
        ...basic(data),
        has3d: data.has_3d || false,
        joints3dRaw: data.joints_3d_raw,
        jointAngles3d: data.joint_angles_3d,
        cameraTranslation: data.camera_translation,
        cameraParams: data.camera_params,
        meshVertices: data.mesh_vertices,
        mesh_vertices_data: data.mesh_vertices_data,
        mesh_faces_data: data.mesh_faces_data,
        trackingConfidence: data.tracking_confidence,
        visualization: data.visualization,
      }
    } catch (error) {
      const refused = error.code === 'ECONNREFUSED'
      return {
        ...failed(frameNumber, refused ? 'Pose service not available' : error.message),
        has3d: false,
      }
    }
  }

  async function detectPoseHybridBatch(frames, visualize = false) {
    const results = []
    for (const frame of frames)
      results.push(await detectPoseHybrid(frame.imageBase64, frame.frameNumber, visualize))
    return results
  }

  const getKeypoint = (frame, name) => frame.keypoints.find((keypoint) => keypoint.name === name)
  const getKeypoints = (frame, names) =>
    names.map((name) => getKeypoint(frame, name)).filter((keypoint) => keypoint !== undefined)

  function getAverageConfidence(frame) {
    if (frame.keypoints.length === 0) return 0
    return (
      frame.keypoints.reduce((sum, { confidence }) => sum + confidence, 0) / frame.keypoints.length
    )
  }

  return {
    checkPoseServiceHealth,
    getPoseServiceStatus,
    detectPose,
    detectPoseParallel,
    detectPoseHybrid,
    detectPoseHybridBatch,
    getKeypoint,
    getKeypoints,
    getAverageConfidence,
  }
}

/** What both wrappers give their pool of a frame. */
const pooled = (result) => ({
  frameNumber: result.frameNumber,
  keypoints: result.keypoints,
  has3d: result.has3d,
  jointAngles3d: result.jointAngles3d,
  mesh_vertices_data: result.mesh_vertices_data || undefined,
  mesh_faces_data: result.mesh_faces_data || undefined,
  cameraTranslation: result.cameraTranslation || undefined,
  processingTimeMs: result.processingTimeMs,
  error: result.error,
})

/** The wrapper over HTTP: one frame after the other, 50 ms apart at least. */
export class HttpWrapper {
  #client
  #interval
  #last = 0

  constructor(base, { interval = 50 } = {}) {
    this.#client = oldClient(base)
    this.#interval = interval
  }

  async getPoseInfo(frames) {
    const results = []
    for (const { frameNumber, imageBase64 } of frames) {
      await pause(Math.max(0, this.#last + this.#interval - Date.now()))
      this.#last = Date.now()
      if (!imageBase64) {
        const nothing = { frameNumber, keypoints: [], has3d: false, processingTimeMs: 0 }
        results.push({ ...nothing, error: 'Missing imageBase64' })
        continue
      }
      results.push(pooled(await this.#client.detectPoseHybrid(imageBase64, frameNumber)))
    }
    return results
  }

  async cleanup() {}
}

/** The wrapper over a process: all of stdout is parsed as JSON, an exit code other than 0 rejects. */
export class ExecWrapper {
  #command
  #timeoutMs

  constructor(command, timeoutMs = 120_000) {
    this.#command = command
    this.#timeoutMs = timeoutMs
  }

  getPoseInfo(frames) {
    return new Promise((resolve, reject) => {
      const [program, ...args] = this.#command
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
      let [output, stderr] = ['', '']
      child.stdout.on('data', (data) => {
        output += data.toString()
      })
      child.stderr.on('data', (data) => {
        stderr += data.toString()
      })
      let stdinError
      child.stdin.on('error', (error) => {
        stdinError = error
      })
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        reject(new Error(`Process timeout after ${this.#timeoutMs}ms`))
      }, this.#timeoutMs)
      child.on('error', reject)
      child.on('close', (code) => {
        clearTimeout(timer)
        if (stdinError) return reject(new Error(`stdin write failed: ${stdinError.message}`))
        if (code !== 0) return reject(new Error(`Process exited with code ${code}: ${stderr}`))
        try {
          resolve(JSON.parse(output))
        } catch (error) {
          reject(new Error(`Failed to parse Python output: ${error}`))
        }
      })
      child.stdin.write(JSON.stringify({ frames }), 'utf8')
      child.stdin.end()
    })
  }

  async cleanup() {}
}
