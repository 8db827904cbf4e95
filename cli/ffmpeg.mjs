// Starts ffmpeg and ffprobe, and says what is wrong when that does not work.
import { execFile, spawn } from 'node:child_process'

import { EnvironmentError } from './exit.mjs'

const MAX_ERROR_LINES = 12

const INSTALL_HINTS = {
  darwin: 'brew install ffmpeg',
  win32: 'winget install Gyan.FFmpeg',
  linux:
    'sudo apt install ffmpeg (Debian, Ubuntu), sudo dnf install ffmpeg-free (Fedora), apk add ffmpeg (Alpine)',
}

export const installHint = () =>
  INSTALL_HINTS[process.platform] ?? 'https://ffmpeg.org/download.html'

const notFound = (tool) =>
  new EnvironmentError(
    `Video needs \`${tool}\`, which is not on the PATH. Install it: ${installHint()}. Photos work without it.`,
  )

/** First line of `tool -version`, or `null` where the tool is not on the PATH. */
export function toolVersion(tool) {
  return new Promise((resolve) => {
    execFile(tool, ['-version'], { timeout: 10_000 }, (error, stdout) => {
      resolve(error ? null : (/version (\S+)/.exec(stdout)?.[1] ?? 'unknown'))
    })
  })
}

/** `-fps_mode` came with ffmpeg 5.1 and its forerunner `-vsync` is on the way out; builds from git carry no number. */
export function passthroughFlags(version) {
  const found = /^n?(\d+)\.(\d+)/.exec(version ?? '')
  const old = found && (Number(found[1]) < 5 || (Number(found[1]) === 5 && Number(found[2]) < 1))
  return old ? ['-vsync', 'passthrough'] : ['-fps_mode', 'passthrough']
}

/** ffprobe's JSON about a file; `null` when it cannot make sense of it. */
export function probeJson(path) {
  const args = [
    '-v',
    'error',
    '-of',
    'json',
    '-show_streams',
    '-show_format',
    '-select_streams',
    'v',
    asFile(path),
  ]
  return new Promise((resolve, reject) => {
    execFile('ffprobe', args, { maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') reject(notFound('ffprobe'))
      else if (error) resolve({ problem: stderr.trim().split('\n').at(-1) })
      else resolve(JSON.parse(stdout))
    })
  })
}

/** Spelled so that ffmpeg takes it as a file whatever its name (`concat:…`, `-x`, `http:…`). */
export const asFile = (path) => `file:${path}`

/**
 * Runs ffmpeg. Returns `{ child, exited, kill }`; `exited` resolves to `{ code, errors }` and never rejects.
 * `onLine` sees each line of its log first and returns true to keep it out of the errors. `dieWithUs`
 * is for a reader; a writer outlives us by the moment that it takes to finish its file.
 */
export function startFfmpeg(args, { stdio, onLine = () => false, dieWithUs = false }) {
  const child = spawn('ffmpeg', ['-hide_banner', '-nostdin', '-nostats', ...args], {
    stdio,
    windowsHide: true,
    // Its own process group: Ctrl-C must reach us first, so that the file it writes gets finished.
    detached: process.platform !== 'win32',
  })
  const errors = []
  let rest = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text) => {
    const lines = (rest + text).split(/[\r\n]+/)
    rest = lines.pop().slice(-4096)
    for (const line of lines) {
      if (onLine(line) || !/\[(error|fatal|panic)\]/.test(line)) continue
      if (errors.length < MAX_ERROR_LINES)
        errors.push(line.replace(/\[(error|fatal|panic)\] ?/, '').trim())
    }
  })
  const exited = new Promise((resolve) => {
    child.on('error', (error) => {
      const failure = error.code === 'ENOENT' ? notFound('ffmpeg') : error
      resolve({ code: -1, errors: [failure.message], failure })
    })
    child.on('close', (code, signal) => resolve({ code: code ?? -1, signal, errors }))
  })
  const kill = () => child.exitCode === null && child.kill('SIGKILL')
  if (dieWithUs) {
    process.on('exit', kill)
    exited.then(() => process.removeListener('exit', kill))
  }
  return { child, exited, kill }
}
