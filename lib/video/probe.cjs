'use strict'
// What a video file says about itself, and what counting its packets says where that is cheap.

const { access, constants, stat } = require('node:fs/promises')
const { asFile, ffprobe, probeJson } = require('./ffmpeg.cjs')
const { VIDEO_FORMAT, VIDEO_NOT_FOUND, videoError } = require('./errors.cjs')

/** Up to this size every packet is looked at before the first frame: a fraction of a second. */
const SCAN_BYTES = 64 << 20
/** A clock that starts anywhere: its first stamp is taken for zero. In other files zero is zero. */
const FREE_CLOCK = /^(mpegts|mpeg|vob|rtp)/
/** Time steps that differ by less than this, seconds, or two ticks are one rate. */
const SAME_STEP = 0.002
/** The share of steps that must be the same for a gap to count as frames that are missing. */
const MOSTLY = 0.8

/** `30000/1001` as a number; undefined where it is none above 0. */
function ratio(text) {
  const [top, bottom = 1] = String(text ?? '')
    .split('/')
    .map(Number)
  const value = top / bottom
  return Number.isFinite(value) && value > 0 ? value : undefined
}

/** Clockwise degrees in which the file asks to be shown: 0, 90, 180 or 270. */
function rotationOf(stream) {
  const matrix = stream.side_data_list?.find((entry) => entry.rotation !== undefined)?.rotation
  const degrees = matrix !== undefined ? -matrix : Number(stream.tags?.rotate ?? 0)
  return (((Math.round(degrees / 90) * 90) % 360) + 360) % 360
}

/** Seconds of the video itself, as its container says; Matroska has them in a tag of the track. */
function declaredSeconds(stream, format) {
  const tag = /^(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(stream.tags?.DURATION ?? '')
  if (Number(stream.duration) > 0) return Number(stream.duration)
  if (tag) return Number(tag[1]) * 3600 + Number(tag[2]) * 60 + Number(tag[3])
  // Of the longest track: with sound it says nothing sure of the video.
  return format?.nb_streams === 1 ? Number(format.duration) || undefined : undefined
}

/** Stamps of the frames to be shown, sorted, in ticks; undefined where packets have none. `until`: seconds. */
async function scan(path, index, signal, until) {
  const stamps = []
  let bare = false
  const onLine = (line) => {
    const [, pts, flags] = /^(-?\d+|N\/A),(\w*)/.exec(line) ?? []
    if (pts === 'N/A') bare = true
    // `D`: to be decoded, not shown (before the beginning that an edit list sets).
    else if (pts !== undefined && !flags.includes('D')) stamps.push(Number(pts))
  }
  const args = ['-select_streams', String(index), '-show_entries', 'packet=pts,flags']
  if (until !== undefined) args.push('-read_intervals', `%${until}`)
  await ffprobe([...args, '-of', 'csv=p=0', asFile(path)], { onLine, signal })
  return bare || stamps.length === 0 ? undefined : stamps.sort((a, b) => a - b)
}

/** What the stamps say of rate and length. */
function measure(stamps, tick) {
  if (!stamps) return undefined
  const frames = stamps.length
  const span = (stamps.at(-1) - stamps[0]) * tick
  const steps = stamps.slice(1).map((stamp, i) => (stamp - stamps[i]) * tick)
  steps.sort((a, b) => a - b)
  const usual = steps[steps.length >> 1]
  const same = steps.filter((step) => Math.abs(step - usual) <= Math.max(SAME_STEP, 2 * tick))
  return {
    frames,
    fps: span > 0 ? (frames - 1) / span : undefined,
    variable: same.length < steps.length,
    step: same.length > MOSTLY * steps.length && usual > 0 ? usual : undefined,
  }
}

/** The rate that the file names where the stamps bear it out: `30000 / 1001` is nicer than 29.968. */
function rateOf(stream, measured) {
  const named = [stream.avg_frame_rate, stream.r_frame_rate].map(ratio).filter(Boolean)
  if (measured?.fps === undefined) return named[0]
  return named.find((rate) => Math.abs(rate - measured.fps) / measured.fps < 0.005) ?? measured.fps
}

function isVariable(stream, measured) {
  if (measured) return measured.variable
  const [mean, base] = [ratio(stream.avg_frame_rate), ratio(stream.r_frame_rate)]
  return Boolean(mean && base) && Math.abs(mean - base) / base > 0.01
}

const framesFrom = (frames, guess) => {
  if (frames !== undefined) return 'container'
  return guess === undefined ? undefined : 'estimate'
}

async function checkThere(path) {
  const problem = await access(path, constants.R_OK).then(
    () => undefined,
    (error) => error,
  )
  if (problem) throw videoError(VIDEO_NOT_FOUND, `Cannot read ${path}: ${problem.message}`, problem)
  const found = await stat(path)
  if (found.isDirectory()) throw videoError(VIDEO_NOT_FOUND, `${path} is a folder, not a video.`)
  return found.size
}

const HINTS = [
  [
    /moov atom not found/,
    'Its index, which some recorders and downloads write last, is missing: the file is cut off.',
  ],
]

function noVideo(path, problem) {
  const hint = HINTS.find(([pattern]) => pattern.test(problem ?? ''))?.[1]
  const last = problem?.split('\n').at(-1).replace(asFile(path), path)
  const why = last ? ` (ffprobe: ${last})` : ''
  return videoError(
    VIDEO_FORMAT,
    `${path} is neither a photo (JPEG, PNG, WebP) nor a video that ffmpeg can read${why}.${hint ? ` ${hint}` : ''}`,
  )
}

/**
 * `VideoInfo` of lib/types/video.d.ts, and under `stream` what only the reader needs.
 */
async function probeVideo(path, { signal } = {}) {
  signal?.throwIfAborted()
  const bytes = await checkThere(path)
  const { streams, format, problem } = await probeJson(path, signal)
  const stream = streams?.find(
    (entry) => entry.codec_type === 'video' && !entry.disposition?.attached_pic,
  )
  if (!stream?.width || !stream.height) throw noVideo(path, problem)
  const tick = ratio(stream.time_base) ?? 1e-3
  const stamps = bytes <= SCAN_BYTES ? await scan(path, stream.index, signal) : undefined
  const measured = measure(stamps, tick)
  const rotation = rotationOf(stream)
  const upright = rotation % 180 === 0
  const declared = { frames: Number(stream.nb_frames) || undefined }
  declared.seconds = declaredSeconds(stream, format)
  const fps = rateOf(stream, measured)
  const variable = isVariable(stream, measured)
  const seconds = declared.seconds ?? (Number(format?.duration) || undefined)
  const frames = measured?.frames ?? declared.frames
  const guess = seconds && fps ? Math.round(seconds * fps) : undefined
  const origin = FREE_CLOCK.test(format?.format_name ?? '') ? Number(format.start_time) || 0 : 0
  return {
    path,
    container: format?.format_name,
    codec: stream.codec_name,
    width: upright ? stream.width : stream.height,
    height: upright ? stream.height : stream.width,
    rotation,
    fps,
    variableFrameRate: variable,
    seconds,
    frames: frames ?? guess,
    framesFrom: measured ? 'count' : framesFrom(frames, guess),
    stream: {
      timeBase: stream.time_base,
      tick,
      index: stream.index,
      origin,
      declared,
      step: measured ? measured.step : variable ? undefined : fps && 1 / fps,
      start: Number(stream.start_time) || 0,
      stamps: stamps && Float64Array.from(stamps),
    },
  }
}

/** Frames that the reader will give for these options, as far as the file tells. */
function expectedFrames(info, { start = 0, end = Number.POSITIVE_INFINITY, every = 1, fps }) {
  const { stamps, tick, origin, declared } = info.stream
  if (stamps) {
    const times = Array.from(stamps, (stamp) => stamp * tick - origin)
    const part = times.filter((time) => time >= start - 1e-6 && time < end - 1e-6)
    const wanted = part.filter((_, i) => i % every === 0)
    if (fps === undefined) return wanted.length
    return new Set(wanted.map((time) => Math.floor((time - start) * fps + 0.001))).size
  }
  if (info.frames === undefined) return undefined
  const whole = start === 0 && end === Number.POSITIVE_INFINITY && fps === undefined
  if (whole) return Math.ceil(info.frames / every)
  const seconds = declared.seconds ?? info.seconds
  if (!seconds || !info.fps) return undefined
  const length = Math.max(0, Math.min(end, seconds) - start)
  return Math.max(0, Math.ceil((length * Math.min(fps ?? info.fps, info.fps)) / every - 1e-6))
}

module.exports = { expectedFrames, probeVideo, ratio, scan }
