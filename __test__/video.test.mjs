// processVideo: every frame once, in order, upright, at its own time; broken and cut files; overlays.

import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createEngine, PoseVideo } from '../index.mjs'
import { measured } from './helpers/results.mjs'
import {
  breakPacket,
  CLIP,
  card,
  cutOff,
  ffmpeg,
  frameTimes,
  needsFfmpeg,
  probe,
  turn,
  UNEVEN_TIMES,
  uneven,
} from './helpers/videos.mjs'

const folder = mkdtempSync(join(tmpdir(), 'pose4d-video-'))
const inFolder = (name) => join(folder, name)
let engine
before(async () => {
  engine = await createEngine({ blazepose: { variant: 'fast', tileScales: [] } })
})
after(async () => {
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

/** `{ results, info, summary, error }`; what ends a run early is not thrown. */
async function all(path, options) {
  const video = engine.processVideo(path, options)
  const results = []
  let error
  try {
    for await (const result of video) results.push(result)
  } catch (thrown) {
    error = thrown
  }
  const info = await video.info.catch(() => undefined)
  return { results, info, summary: video.summary(), error }
}
const numbers = (results) => results.map((result) => result.frameNumber)
const times = (results) => results.map((result) => result.timestampMs)
const upTo = (count) => [...Array(count).keys()]
/** Containers round, each to its own tick; ours are of a microsecond. */
const near = (actual, expected, tolerance = 0.002) => {
  assert.equal(actual.length, expected.length)
  for (const [i, time] of actual.entries())
    assert.ok(Math.abs(time - expected[i]) <= tolerance, `frame ${i}: ${time}, not ${expected[i]}`)
}
const failures = (results) =>
  results
    .filter(({ errorCode }) => errorCode)
    .map((result) => [result.frameNumber, result.errorCode])

test('every frame once, as a stream of the same pictures gives it', needsFfmpeg, async () => {
  const { results, info, summary, error } = await all(CLIP)
  assert.equal(error, undefined)
  assert.deepEqual(numbers(results), upTo(45))
  near(
    times(results),
    frameTimes(CLIP).map((seconds) => seconds * 1000),
  )
  assert.deepEqual(info, {
    path: CLIP,
    container: 'mov,mp4,m4a,3gp,3g2,mj2',
    codec: 'h264',
    width: 640,
    height: 360,
    rotation: 0,
    fps: 30,
    variableFrameRate: false,
    seconds: 1.5,
    frames: 45,
    framesFrom: 'count',
  })
  const raw = ['-v', 'error', '-i', CLIP, '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
  const pixels = execFileSync('ffmpeg', raw, { maxBuffer: 1 << 26 })
  const size = 640 * 360 * 3
  assert.equal(pixels.length, 45 * size)
  const frames = upTo(45).map((i) => ({
    frameNumber: i,
    timestampMs: results[i].timestampMs,
    pixels: pixels.subarray(i * size, (i + 1) * size),
    width: 640,
    height: 360,
  }))
  const expected = await engine.processFrames(frames)
  const plain = results.map(({ timestampMs, ...result }) => measured(result))
  assert.deepEqual(plain, expected.map(measured))
  assert.ok(results.some((result) => result.persons.length > 0))
  const { complete, holds, framesIn, framesOut, tracks } = summary
  assert.deepEqual([complete, holds, framesIn, framesOut], [true, true, 45, 45])
  const people = new Set(results.flatMap((result) => result.persons.map((p) => p.trackId)))
  assert.deepEqual(new Set(tracks.map((track) => track.trackId)), people)
})

test('variable rates: no frame doubled, none dropped, each at its time', needsFfmpeg, async () => {
  for (const [name, codec] of [
    ['uneven.mp4'],
    ['uneven.mov'],
    ['uneven.mkv'],
    ['uneven.webm', ['-c:v', 'libvpx-vp9']],
  ]) {
    const path = uneven(inFolder(name), codec)
    const { results, info, error } = await all(path, { overlay: inFolder(`drawn-${name}`) })
    assert.equal(error, undefined)
    assert.deepEqual(numbers(results), upTo(35), name)
    near(times(results), UNEVEN_TIMES)
    assert.deepEqual([info.frames, info.framesFrom, info.variableFrameRate], [35, 'count', true])
    assert.ok(Math.abs(info.fps - 34 / 1.96) < 1e-9, `${info.fps}`)
    // And so it is in the drawn video.
    near(
      frameTimes(inFolder(`drawn-${name}`)),
      UNEVEN_TIMES.map((ms) => ms / 1000),
      1e-6,
    )
  }
})

test('several at once: each as it is alone', needsFfmpeg, async () => {
  const jobs = [
    [CLIP],
    [CLIP, { start: 0.5, every: 2 }],
    [turn(card(inFolder('beside.mp4'), { seconds: 1 }), 90, inFolder('beside-turned.mp4'))],
  ]
  const alone = []
  for (const job of jobs) alone.push((await all(...job)).results.map(measured))
  const together = await Promise.all(jobs.map((job) => all(...job)))
  assert.deepEqual(
    together.map(({ results }) => results.map(measured)),
    alone,
  )
  assert.deepEqual(
    alone.map(({ length }) => length),
    [45, 15, 30],
  )
})

test('a part: start, end, every nth, at most so many a second', needsFfmpeg, async () => {
  const path = uneven(inFolder('part.mkv'))
  const cases = [
    [{ start: 0.95, end: 1.3 }, [10, 11, 12, 13, 14, 15, 16, 17]],
    [{ start: 1.5 }, upTo(35).slice(23)],
    [{ end: 0.35 }, [0, 1, 2, 3]],
    [{ every: 7 }, [0, 7, 14, 21, 28]],
    [{ every: 10, start: 0.3 }, [3, 13, 23, 33]],
    [{ fps: 5 }, [0, 2, 4, 6, 8, 10, 15, 20, 25, 30]],
    [{ fps: 1000 }, upTo(35)],
  ]
  for (const [options, expected] of cases) {
    let told
    const onProgress = (progress) => {
      told = progress
    }
    const { results, error } = await all(path, { ...options, onProgress })
    assert.equal(error, undefined)
    assert.deepEqual(numbers(results), expected, JSON.stringify(options))
    near(
      times(results),
      expected.map((i) => UNEVEN_TIMES[i]),
    )
    assert.deepEqual([told.frame, told.totalFrames], [expected.length, expected.length])
  }
})

test('a start deep in a video of constant rate has the right numbers', needsFfmpeg, async () => {
  const path = card(inFolder('long.mp4'), { size: '64x48', seconds: 6, gop: 60 })
  const { results } = await all(path, { start: 4.6, end: 4.7 })
  assert.deepEqual(numbers(results), [138, 139, 140])
  near(
    times(results),
    [138, 139, 140].map((i) => (1000 * i) / 30),
  )
})

test('turned by metadata: frames come upright', needsFfmpeg, async () => {
  const plain = inFolder('plain.mp4')
  // The left half is red, the top of the right half white.
  const picture =
    'color=black:size=64x32:rate=5:duration=1,drawbox=0:0:32:32:red:fill,drawbox=32:0:32:16:white:fill'
  ffmpeg('-f', 'lavfi', '-i', picture, '-c:v', 'libx264', '-pix_fmt', 'yuv444p', plain)
  const colour = ({ pixels, width, height }, right, down) => {
    const at = 3 * (Math.floor(down * height) * width + Math.floor(right * width))
    const [r, g] = [pixels[at] > 127, pixels[at + 1] > 127]
    return r ? (g ? 'white' : 'red') : 'black'
  }
  // By clockwise degrees: top left, top right, bottom right, bottom left.
  const corners = {
    0: ['red', 'white', 'black', 'red'],
    90: ['red', 'red', 'white', 'black'],
    180: ['black', 'red', 'red', 'white'],
    270: ['white', 'black', 'red', 'red'],
  }
  for (const [degrees, expected] of Object.entries(corners)) {
    const path = inFolder(`turned-${degrees}.mp4`)
    if (degrees === '0') copyFileSync(plain, path)
    else turn(plain, degrees, path)
    const size = degrees % 180 === 0 ? [64, 32] : [32, 64]
    let frame
    const onFrame = (given) => {
      frame ??= given
    }
    const { results, info } = await all(path, { onFrame })
    assert.deepEqual([info.rotation, info.width, info.height], [Number(degrees), ...size])
    assert.deepEqual([frame.width, frame.height], size)
    assert.deepEqual([results[0].frameWidth, results[0].frameHeight], size)
    const seen = [
      colour(frame, 0.25, 0.25),
      colour(frame, 0.75, 0.25),
      colour(frame, 0.75, 0.75),
      colour(frame, 0.25, 0.75),
    ]
    assert.deepEqual(seen, expected, `${degrees}°`)
  }
})

test(
  'a broken frame in the middle is one failed result; the others go on',
  needsFfmpeg,
  async () => {
    for (const name of ['whole.mp4', 'whole.mkv', 'whole.mov']) {
      const [whole, broken] = [card(inFolder(name)), inFolder(`broken-${name}`)]
      const seconds = breakPacket(whole, 25, broken)
      const bad = Math.round(seconds * 30)
      const { results, summary, error } = await all(broken, { overlay: inFolder(`o-${name}`) })
      assert.equal(error, undefined, name)
      assert.deepEqual(numbers(results), upTo(60), name)
      near(
        times(results),
        frameTimes(whole).map((time) => time * 1000),
      )
      assert.deepEqual(failures(results), [[bad, 'ERR_POSE4D_VIDEO_FRAME']], name)
      const { error: message, persons, frameWidth, frameHeight } = results[bad]
      assert.match(
        message,
        new RegExp(`^frame ${bad} at ${seconds.toFixed(3)} s of .*broken-${name} `),
      )
      assert.deepEqual([persons, frameWidth, frameHeight], [[], 160, 120])
      assert.deepEqual(summary.errors, { ERR_POSE4D_VIDEO_FRAME: 1 })
      assert.deepEqual([summary.complete, summary.holds], [true, true])
      // The drawn video keeps its place.
      assert.equal(Number(probe(inFolder(`o-${name}`)).nb_read_frames), 60)
    }
  },
)

test('damage to the container itself: no frame goes missing unnoticed', needsFfmpeg, async () => {
  const broken = inFolder('shaken.mkv')
  breakPacket(card(inFolder('sound.mkv')), 25, broken, { head: true })
  const { results, summary, error } = await all(broken)
  assert.equal(error, undefined)
  assert.deepEqual(numbers(results), upTo(60))
  near(
    times(results),
    upTo(60).map((i) => (1000 * i) / 30),
    1,
  )
  const lost = failures(results)
  assert.ok(lost.length >= 1 && lost.length < 15, `${lost.length} lost`)
  assert.deepEqual(summary.errors, { ERR_POSE4D_VIDEO_FRAME: lost.length })
})

test('a lost frame is reported where frames are sampled, too', needsFfmpeg, async () => {
  const broken = inFolder('sampled.mp4')
  const bad = Math.round(breakPacket(card(inFolder('sample.mp4')), 25, broken) * 30)
  const { results } = await all(broken, { start: bad / 30, every: 3 })
  assert.deepEqual(failures(results), [[bad, 'ERR_POSE4D_VIDEO_FRAME']])
  assert.equal(results[0].frameNumber, bad)
})

test('a file that is cut off gives what is there, then says so', needsFfmpeg, async () => {
  for (const name of ['full.mp4', 'full.mkv']) {
    const cut = cutOff(card(inFolder(name)), 0.6, inFolder(`cut-${name}`))
    const { results, summary, error } = await all(cut)
    assert.equal(error?.code, 'ERR_POSE4D_VIDEO_TRUNCATED', name)
    assert.match(error.message, /cut-full\.\w+ is cut off: it ends after \d\.\d\d of 2\.00 s/)
    assert.ok(results.length > 20 && results.length < 58, `${results.length}`)
    assert.deepEqual(numbers(results), upTo(results.length))
    // All but the one that the cut went through.
    assert.ok(failures(results).length <= 1)
    assert.deepEqual([summary.complete, summary.framesOut], [false, results.length])
  }
})

test('what is no video, or not there', needsFfmpeg, async () => {
  const text = inFolder('notes.txt')
  writeFileSync(text, 'hello')
  // An MP4 whose index, at its end, is lost.
  const [plain, headless] = [inFolder('slow.mp4'), inFolder('headless.mp4')]
  ffmpeg('-i', CLIP, '-c', 'copy', plain)
  cutOff(plain, 0.5, headless)
  const sound = inFolder('sound.wav')
  ffmpeg('-f', 'lavfi', '-i', 'sine=duration=1', sound)
  const cases = [
    [text, 'ERR_POSE4D_VIDEO_FORMAT', /notes\.txt/],
    [headless, 'ERR_POSE4D_VIDEO_FORMAT', /headless\.mp4.*index.*cut off/],
    [sound, 'ERR_POSE4D_VIDEO_FORMAT', /sound\.wav/],
    [inFolder('gone.mp4'), 'ERR_POSE4D_VIDEO_NOT_FOUND', /gone\.mp4/],
    [folder, 'ERR_POSE4D_VIDEO_NOT_FOUND', /is a folder/],
  ]
  for (const [path, code, message] of cases) {
    const { results, error } = await all(path)
    assert.deepEqual([error?.code, results.length], [code, 0], path)
    assert.match(error.message, message)
    await assert.rejects(engine.processVideo(path).info, { code })
  }
})

test('arguments are checked at the call', () => {
  const refused = [
    [5],
    [''],
    [undefined],
    [CLIP, { start: -1 }],
    [CLIP, { start: 2, end: 1 }],
    [CLIP, { every: 1.5 }],
    [CLIP, { fps: 0 }],
    [CLIP, { overlay: 'drawn.gif' }],
    [CLIP, { onFrame: 'log' }],
    [CLIP, { signal: 'stop' }],
  ]
  for (const [path, options] of refused)
    assert.throws(() => engine.processVideo(path, options), { code: 'ERR_POSE4D_INVALID_ARGUMENT' })
  assert.throws(() => new PoseVideo(), TypeError)
})

test('an option that nobody knows, an overlay onto the video itself', needsFfmpeg, async () => {
  const { error } = await all(CLIP, { evry: 2 })
  assert.equal(error.code, 'ERR_POSE4D_INVALID_ARGUMENT')
  assert.match(error.message, /evry/)
  const copy = inFolder('copy.mp4')
  copyFileSync(CLIP, copy)
  const onto = await all(copy, { overlay: join(folder, '.', 'copy.mp4') })
  assert.equal(onto.error.code, 'ERR_POSE4D_INVALID_ARGUMENT')
  assert.deepEqual(readFileSync(copy), readFileSync(CLIP))
})

test('a signal ends it, and ffmpeg with it', needsFfmpeg, async () => {
  const controller = new AbortController()
  const path = card(inFolder('endless.mp4'), { seconds: 60 })
  const video = engine.processVideo(path, { signal: controller.signal })
  const reason = new Error('enough')
  let done = 0
  await assert.rejects(
    async () => {
      for await (const _ of video) if (++done === 5) controller.abort(reason)
    },
    (error) => error === reason,
  )
  assert.equal(done, 5)
  assert.equal(video.summary().complete, false)
  await nobodyReads(path)
  const before = engine.processVideo(path, { signal: AbortSignal.abort(reason) })
  await assert.rejects(before.next(), (error) => error === reason)
})

/** No ffmpeg has the file open any more. */
async function nobodyReads(path) {
  if (process.platform === 'win32') return
  const running = () =>
    new Promise((resolve) => {
      execFile('ps', ['-eo', 'args'], (error, stdout) =>
        resolve(error ? '' : stdout.split('\n').filter((line) => line.includes(`file:${path}`))),
      )
    })
  for (let i = 0; i < 40 && (await running()).length > 0; i++) await sleep(50)
  assert.deepEqual(await running(), [])
}

test('leaving the loop ends ffmpeg, and the drawn video is whole', needsFfmpeg, async () => {
  const [path, drawn] = [inFolder('endless.mp4'), inFolder('left.mp4')]
  const video = engine.processVideo(path, { overlay: drawn })
  for await (const { frameNumber } of video) if (frameNumber === 6) break
  await nobodyReads(path)
  assert.equal(Number(probe(drawn).nb_read_frames), 7)
  const { complete, framesOut, holds } = video.summary()
  assert.deepEqual([complete, framesOut, holds], [false, 7, true])
  assert.deepEqual(await video.next(), { value: undefined, done: true })
})

test(
  'closing the engine ends ffmpeg, also of a video that nobody goes on reading',
  needsFfmpeg,
  async () => {
    const own = await createEngine({ blazepose: { variant: 'fast', tileScales: [] } })
    const video = own.processVideo(inFolder('endless.mp4'))
    await video.next()
    await own.close()
    await nobodyReads(inFolder('endless.mp4'))
    await assert.rejects(
      async () => {
        for await (const _ of video);
      },
      { code: 'ERR_POSE4D_CLOSED' },
    )
  },
)

test('what a listener throws ends the run', needsFfmpeg, async () => {
  for (const name of ['onFrame', 'onProgress']) {
    const thrown = new RangeError(name)
    const { results, error } = await all(CLIP, {
      [name]: ({ frameNumber, frame }) => {
        if ((frameNumber ?? frame) === 3) throw thrown
      },
    })
    assert.equal(error, thrown)
    assert.ok(results.length <= 3)
  }
})

test('ffmpeg waits while nobody takes results', needsFfmpeg, async () => {
  let given = 0
  const video = engine.processVideo(inFolder('endless.mp4'), { maxInFlight: 2 })
  await video.next()
  await sleep(300)
  given = video.summary().framesIn
  assert.ok(given <= 4, `${given} frames were read for one result`)
  await video.return()
})

test('no ffmpeg: a clear error, and how to get it', async () => {
  const script = `
    import { createEngine } from ${JSON.stringify(new URL('../index.mjs', import.meta.url).href)}
    const engine = await createEngine({ blazepose: { variant: 'fast', tileScales: [] } })
    process.env.PATH = process.env.Path = ${JSON.stringify(folder)}
    await engine.processVideo(${JSON.stringify(CLIP)}).next().catch(({ code, message }) => {
      console.log(JSON.stringify({ code, message }))
    })
    await engine.close()`
  const args = ['--input-type=module', '-e', script]
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const { code, message } = JSON.parse(execFileSync(process.execPath, args, { cwd }).toString())
  assert.equal(code, 'ERR_POSE4D_FFMPEG_MISSING')
  assert.match(message, /Video needs `ffprobe`.*Install it: /)
  assert.ok(!existsSync(join(folder, 'ffprobe')))
})

test(
  'offline: all frames at the end, broken ones filled in, drawn from a second reading',
  needsFfmpeg,
  async () => {
    const people = await createEngine({ model: 'blazepose' })
    try {
      const broken = inFolder('offline-broken.mp4')
      breakPacket(CLIP, 20, broken)
      const run = async (options) => {
        const video = people.processVideo(broken, options)
        const results = []
        for await (const result of video) results.push(result)
        return { results, summary: video.summary() }
      }
      const online = await run({})
      const progress = []
      const pictures = []
      const drawn = inFolder('offline.mkv')
      const offline = await run({
        mode: 'offline',
        overlay: drawn,
        onProgress: ({ frame }) => progress.push(frame),
        onFrame: ({ frameNumber, pixels, width, height }, result) => {
          assert.equal(progress.length, online.results.length, 'all were followed before')
          assert.equal(result.frameNumber, frameNumber)
          pictures.push(pixels?.length === width * height * 3)
        },
      })
      assert.deepEqual(numbers(offline.results), numbers(online.results))
      assert.deepEqual(times(offline.results), times(online.results))
      assert.deepEqual(
        progress,
        upTo(online.results.length).map((n) => n + 1),
      )
      assert.equal(pictures.length, online.results.length)
      assert.equal(frameTimes(drawn).length, online.results.length)
      const bad = offline.results.filter(({ errorCode }) => errorCode)
      assert.ok(bad.length > 0 && bad.length < 20)
      const isSeen = ({ source }) => source === 'detected' || source === 'recovered'
      for (const { frameNumber, errorCode, persons } of bad) {
        assert.equal(errorCode, 'ERR_POSE4D_VIDEO_FRAME')
        assert.ok(persons.length > 0, `frame ${frameNumber} is covered`)
        assert.ok(persons.every((person) => !isSeen(person)))
        const before = online.results[frameNumber].persons
        assert.ok(before.length > 0 && before.every(({ source }) => source === 'predicted'))
      }
      assert.ok(
        offline.results.some(({ persons }) => persons.some((p) => p.source === 'interpolated')),
      )
      assert.ok(offline.summary.complete && offline.summary.holds)
      assert.equal(offline.summary.framesFailed, bad.length)
      // Left early, it ends properly.
      for await (const _ of people.processVideo(CLIP, { mode: 'offline', onFrame: () => {} })) break
      assert.equal(people.health().queuedFrames, 0)
    } finally {
      await people.close()
    }
  },
)
