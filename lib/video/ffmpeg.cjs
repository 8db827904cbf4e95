'use strict'
// Starts ffmpeg and ffprobe, and says what is wrong when that does not work.

const { execFile, spawn } = require('node:child_process')
const { FFMPEG_MISSING, videoError } = require('./errors.cjs')

const MAX_ERROR_LINES = 12

const INSTALL_HINTS = {
  darwin: 'brew install ffmpeg',
  win32: 'winget install Gyan.FFmpeg',
  linux:
    'sudo apt install ffmpeg (Debian, Ubuntu), sudo dnf install ffmpeg-free (Fedora), apk add ffmpeg (Alpine)',
}

const installHint = () => INSTALL_HINTS[process.platform] ?? 'https://ffmpeg.org/download.html'

const notFound = (tool) =>
  videoError(
    FFMPEG_MISSING,
    `Video needs \`${tool}\`, which is not on the PATH. Install it: ${installHint()}. Photos work without it.`,
  )

/** First line of `tool -version`, or `null` where the tool is not on the PATH. */
function toolVersion(tool) {
  return new Promise((resolve) => {
    execFile(tool, ['-version'], { timeout: 10_000 }, (error, stdout) => {
      resolve(error ? null : (/version (\S+)/.exec(stdout)?.[1] ?? 'unknown'))
    })
  })
}

/** Whether this is a release before `major.minor`; builds from git carry no number, and are taken for new. */
function olderThan(version, major, minor) {
  const found = /^n?(\d+)\.(\d+)/.exec(version ?? '')
  if (!found) return false
  const [has, hasMinor] = [Number(found[1]), Number(found[2])]
  return has < major || (has === major && hasMinor < minor)
}

/** `-fps_mode` came with ffmpeg 5.1 and its forerunner `-vsync` is on the way out. */
const passthroughFlags = (version) =>
  olderThan(version, 5, 1) ? ['-vsync', 'passthrough'] : ['-fps_mode', 'passthrough']

/** Spelled so that ffmpeg takes it as a file whatever its name (`concat:…`, `-x`, `http:…`). */
const asFile = (path) => `file:${path}`

/** What ffprobe prints for these arguments, line by line to `onLine`; resolves to `{ code, problem }`. */
function ffprobe(args, { onLine, signal }) {
  return new Promise((resolve, reject) => {
    const child = spawn('ffprobe', ['-v', 'error', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    })
    const kill = () => child.kill('SIGKILL')
    signal?.addEventListener('abort', kill, { once: true })
    let [rest, complaint] = ['', '']
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      for (const line of lines) onLine(line)
    })
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (text) => {
      complaint = (complaint + text).slice(-4096)
    })
    child.on('error', (error) => {
      signal?.removeEventListener('abort', kill)
      reject(error.code === 'ENOENT' ? notFound('ffprobe') : error)
    })
    child.on('close', (code) => {
      signal?.removeEventListener('abort', kill)
      if (signal?.aborted) return reject(signal.reason)
      if (rest) onLine(rest)
      resolve({ code, problem: complaint.trim() || undefined })
    })
  })
}

/** ffprobe's JSON about a file: `{ streams, format }`, or `{ problem }` when it can make no sense of it. */
async function probeJson(path, signal) {
  const lines = []
  const args = ['-of', 'json', '-show_streams', '-show_format', '-select_streams', 'v']
  const { code, problem } = await ffprobe([...args, asFile(path)], {
    signal,
    onLine: (line) => lines.push(line),
  })
  return code === 0 ? JSON.parse(lines.join('\n')) : { problem }
}

/** What ends the processes under way. One listener for all: Node warns of more than ten. */
const atExit = new Set()
function endWithUs(kill) {
  if (atExit.size === 0) process.once('exit', endAll)
  atExit.add(kill)
}
function forget(kill) {
  atExit.delete(kill)
  if (atExit.size === 0) process.removeListener('exit', endAll)
}
function endAll() {
  for (const kill of atExit) kill()
}

/**
 * Runs ffmpeg. Returns `{ child, exited, kill }`; `exited` resolves to `{ code, errors }` and never rejects.
 * `onLine` sees each line of its log first and returns true to keep it out of the errors. `dieWithUs`
 * is for a reader; a writer outlives us by the moment that it takes to finish its file.
 */
function startFfmpeg(args, { stdio, onLine = () => false, dieWithUs = false }) {
  const child = spawn('ffmpeg', ['-hide_banner', '-nostdin', '-nostats', ...args], {
    stdio,
    windowsHide: true,
    // Its own process group: Ctrl-C must reach us first, so that the file it writes gets finished.
    detached: process.platform !== 'win32',
  })
  const errors = []
  const read = (line) => {
    if (onLine(line) || !/\[(error|fatal|panic)\]/.test(line)) return
    if (errors.length < MAX_ERROR_LINES)
      errors.push(line.replace(/\[(error|fatal|panic)\] ?/, '').trim())
  }
  let rest = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text) => {
    const lines = (rest + text).split(/[\r\n]+/)
    rest = lines.pop().slice(-4096)
    for (const line of lines) read(line)
  })
  const exited = new Promise((resolve) => {
    child.on('error', (error) => {
      const failure = error.code === 'ENOENT' ? notFound('ffmpeg') : error
      resolve({ code: -1, errors: [failure.message], failure })
    })
    child.on('close', (code, signal) => {
      if (rest) read(rest)
      resolve({ code: code ?? -1, signal, errors })
    })
  })
  const kill = () => child.exitCode === null && child.kill('SIGKILL')
  if (dieWithUs) {
    endWithUs(kill)
    exited.then(() => forget(kill))
  }
  return { child, exited, kill }
}

module.exports = {
  asFile,
  ffprobe,
  installHint,
  olderThan,
  passthroughFlags,
  probeJson,
  startFfmpeg,
  toolVersion,
}
