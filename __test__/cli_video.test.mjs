// `pose4d process` of videos that are uneven, broken, cut off; what it writes and how it ends.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { fileURLToPath } from 'node:url'

import {
  breakPacket,
  CLIP,
  card,
  cutOff,
  ffmpeg,
  frameTimes,
  needsFfmpeg,
  UNEVEN_TIMES,
  uneven,
} from './helpers/videos.mjs'

const bin = fileURLToPath(new URL('../bin/pose4d.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'pose4d-cli-video-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const inFolder = (name) => join(folder, name)

/** `{ code, stdout, stderr }` of `pose4d process …`, with the quickest search. */
const run = (...args) =>
  new Promise((resolve) => {
    const fast = ['--search', 'fast', '--model', 'blazepose', '--model-variant', 'fast']
    const all = [bin, 'process', ...args, ...fast]
    execFile(process.execPath, all, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error ? error.code : 0, stdout, stderr })
    })
  })
const document = (name) => JSON.parse(readFileSync(inFolder(name), 'utf8'))

test('an uneven video: times and drawn video are the source’s', needsFfmpeg, async () => {
  const path = uneven(inFolder('uneven.mkv'))
  const [out, drawn] = [inFolder('uneven.json'), inFolder('drawn.webm')]
  const { code, stdout, stderr } = await run(path, '--out', out, '--overlay', drawn)
  assert.equal(code, 0, stderr)
  const { source, frames, frameCount } = document('uneven.json')
  assert.deepEqual(
    [source.variableFrameRate, source.frames, source.framesFrom, frameCount],
    [true, 35, 'count', 35],
  )
  assert.deepEqual(
    frames.map(({ timestampMs }) => timestampMs),
    UNEVEN_TIMES,
  )
  assert.deepEqual(
    frameTimes(drawn).map((seconds) => Math.round(seconds * 1000)),
    UNEVEN_TIMES,
  )
  assert.match(stdout, /^35 frames in /)
  assert.match(stderr, /Wrote .*drawn\.webm/)
})

test('--fps takes fewer frames and invents none', needsFfmpeg, async () => {
  const { stdout } = await run(CLIP, '--fps', '7.5', '--out', '-', '-q')
  const { frames, source } = JSON.parse(stdout)
  assert.deepEqual(
    frames.map(({ frameNumber }) => frameNumber),
    Array.from({ length: 12 }, (_, i) => 4 * i),
  )
  assert.deepEqual([source.fps, source.sampledFps], [30, 7.5])
})

test('a broken frame: exit code 1, its place kept in every output', needsFfmpeg, async () => {
  const broken = inFolder('broken.mp4')
  const bad = Math.round(breakPacket(card(inFolder('card.mp4')), 25, broken) * 30)
  const drawn = inFolder('pictures')
  const outputs = ['--out', inFolder('broken.json'), '--overlay', drawn]
  const { code, stdout, stderr } = await run(broken, ...outputs)
  assert.equal(code, 1, stderr)
  const { frames, frameCount, errorCount, complete } = document('broken.json')
  assert.deepEqual([frameCount, errorCount, complete], [60, 1, true])
  assert.equal(frames[bad].errorCode, 'ERR_POSE4D_VIDEO_FRAME')
  assert.match(stdout, new RegExp(`ERR_POSE4D_VIDEO_FRAME ×1, first frame ${bad}: `))
  const pictures = readdirSync(drawn).sort()
  assert.deepEqual([pictures.length, pictures[0]], [59, 'frame_000000.jpg'])
})

test('a file that is cut off: what is there is written, exit code 3', needsFfmpeg, async () => {
  const cut = cutOff(card(inFolder('whole.mkv')), 0.6, inFolder('cut.mkv'))
  const { code, stdout, stderr } = await run(cut, '--out', inFolder('cut.json'))
  assert.equal(code, 3, stderr)
  const { frameCount, complete, frames } = document('cut.json')
  assert.equal(complete, false)
  assert.ok(frameCount > 20 && frameCount === frames.length)
  assert.match(stdout, new RegExp(`^${frameCount} frames in `))
  assert.match(stderr, /cut\.mkv is cut off: .*ERR_POSE4D_VIDEO_TRUNCATED/)
})

test('the summary as JSON holds the coverage certificate', needsFfmpeg, async () => {
  const { code, stdout, stderr } = await run(CLIP, '--json')
  assert.equal(code, 0, stderr)
  const { coverage, tracks } = JSON.parse(stdout)
  const { framesIn, framesOut, holds, complete } = coverage
  assert.deepEqual([framesIn, framesOut, holds, complete], [45, 45, true, true])
  assert.deepEqual(
    tracks.map(({ trackId, gaps }) => [trackId, gaps]),
    coverage.tracks.map(({ trackId, gapCount }) => [trackId, gapCount]),
  )
})

test('a clip of images becomes a video at its rate', needsFfmpeg, async () => {
  ffmpeg('-i', CLIP, '-frames:v', '5', inFolder('still_%02d.png'))
  const drawn = inFolder('stills.mp4')
  const options = ['--clip', '--fps', '12.5', '--overlay', drawn]
  const { code, stderr } = await run(inFolder('still_*.png'), ...options)
  assert.equal(code, 0, stderr)
  assert.deepEqual(
    frameTimes(drawn).map((seconds) => Math.round(seconds * 1000)),
    [0, 80, 160, 240, 320],
  )
})

test('--mode offline: of a video or a clip of images, not of photos', needsFfmpeg, async () => {
  const [online, offline] = [inFolder('online.jsonl'), inFolder('offline.jsonl')]
  assert.equal((await run(CLIP, '--out', online)).code, 0)
  const { code, stderr, stdout } = await run(CLIP, '--mode', 'offline', '--out', offline)
  assert.equal(code, 0, stderr)
  assert.match(stdout, /45 frames/)
  const frames = (path) =>
    readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ frameNumber }) => frameNumber !== undefined)
  const [a, b] = [frames(online), frames(offline)]
  assert.equal(b.length, 45)
  const records = (list) => list.flatMap(({ persons }) => persons).length
  assert.ok(records(b) >= records(a), 'what was told online is told offline')
  const refused = await run(CLIP, '--mode', 'later')
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /--mode/)
  const photo = fileURLToPath(new URL('../examples/sample.jpg', import.meta.url))
  const photos = await run(photo, '--mode', 'offline')
  assert.equal(photos.code, 2)
  assert.match(photos.stderr, /--clip/)
  const clip = await run(photo, photo, '--clip', '--mode', 'offline', '--out', inFolder('c.jsonl'))
  assert.equal(clip.code, 0, clip.stderr)
})
