// The command line as a user meets it: a child process, its two streams and its exit code.
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'bin', 'pose4d.mjs')
const sample = join(root, 'examples', 'sample.jpg')
const clip = join(root, '__test__', 'fixtures', 'clip.mp4')
const CLIP_FRAMES = 45
const scratch = mkdtempSync(join(tmpdir(), 'pose4d-cli-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const inScratch = (name) => join(scratch, name)

function pose4d(args, { input, env } = {}) {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 28, encoding: 'buffer' }
    const child = execFile(process.execPath, [bin, ...args], options, (error, stdout, stderr) => {
      resolve({
        code: error ? error.code : 0,
        stdout: stdout.toString(),
        stderr: stderr.toString(),
      })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

function hasFfmpeg() {
  try {
    for (const tool of ['ffmpeg', 'ffprobe']) execFileSync(tool, ['-version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const needsFfmpeg = {
  skip: hasFfmpeg() ? false : 'ffmpeg and ffprobe are not on the PATH: video is not tested here',
}

const probe = (path) =>
  JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-of', 'json', '-show_streams', '-count_frames', path]),
  ).streams[0]

function assertFrame(frame) {
  assert.ok(Number.isInteger(frame.frameNumber))
  assert.ok(frame.frameWidth > 0 && frame.frameHeight > 0)
  for (const person of frame.persons) {
    assert.equal(person.box.length, 4)
    assert.ok(['detected', 'recovered', 'predicted', 'interpolated'].includes(person.source))
    assert.equal(person.keypoints.length, 33)
    assert.equal(person.joints3d.length, 3 * 33)
    for (const { name, x, y, confidence } of person.keypoints) {
      assert.equal(typeof name, 'string')
      assert.ok(Number.isFinite(x) && Number.isFinite(y))
      assert.ok(confidence >= 0 && confidence <= 1)
    }
    for (const angle of Object.values(person.jointAngles3d)) assert.ok(angle >= 0 && angle <= 180)
    assert.equal(person.camera.translation.length, 3)
  }
}

describe('help and mistakes', () => {
  test('--help lists the commands', async () => {
    const { code, stdout, stderr } = await pose4d(['--help'])
    assert.equal(code, 0)
    assert.equal(stderr, '')
    for (const command of ['process', 'serve', 'stdio', 'warmup', 'doctor'])
      assert.match(stdout, new RegExp(`^  ${command}`, 'm'))
  })

  test('every command has help with an example', async () => {
    for (const command of ['process', 'serve', 'stdio', 'warmup', 'doctor']) {
      const { code, stdout } = await pose4d([command, '--help'])
      assert.equal(code, 0)
      assert.match(stdout, new RegExp(`^Usage: pose4d ${command}`))
      assert.match(stdout, new RegExp(`Examples:[^]*pose4d ${command}`))
    }
  })

  test('--version is that of package.json', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    assert.deepEqual(await pose4d(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  })

  const mistakes = [
    [['proces'], /Unknown command `proces`\. Did you mean `process`\?/],
    [['zzz'], /Unknown command `zzz`\.\n/],
    [
      ['process', sample, '--overlai', 'x.png'],
      /Unknown option `--overlai`\. Did you mean `--overlay`\?/,
    ],
    [['process', sample, '--out'], /`--out` needs a value/],
    [['process', sample, '--out', '--json'], /`--out` needs a value/],
    [['process', sample, '--threads', 'two'], /`--threads` must be a whole number/],
    [['process', sample, '--model-variant', 'ful'], /Did you mean `full`\?/],
    [['process', sample, '--keypoints', 'smpl24'], /smpl24/],
    [['process'], /Nothing to process/],
    [['process', 'no-such-file.jpg'], /No such file: no-such-file\.jpg/],
    [['process', 'no-such-*.jpg'], /No file matches/],
    [['process', sample, '--overlay', 'x.mp4'], /only for a video/],
    [['process', sample, '--overlay', sample], /overwrite its own input/],
    [['process', sample, '--start', '1'], /`--start` is for video/],
    [['process', clip, '--start', '2', '--end', '1'], /`--end` must be later/],
    [['process', clip, clip], /One video at a time/],
    [['doctor', 'now'], /takes no arguments/],
  ]
  for (const [args, message] of mistakes) {
    const shown = args.map((arg) => arg.replace(root, '')).join(' ')
    test(`exit code 2: ${shown}`, async () => {
      const { code, stdout, stderr } = await pose4d(args)
      assert.match(stderr, message)
      assert.equal(code, 2)
      assert.equal(stdout, '')
    })
  }
})

describe('photos', () => {
  test('a readable summary names the people, and nothing else is on stdout', async () => {
    const { code, stdout, stderr } = await pose4d(['process', sample])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /sample\.jpg {2}1768×994 {2}(1 person|\d+ people)/)
    assert.match(stdout, /id {2}.*box.*score {2}distance.*knee L R/)
    assert.match(stdout, /1 frame in /)
    assert.equal(stderr, '')
  })

  test('JSON holds what the API gives', async () => {
    const out = inScratch('photo.json')
    const { code, stderr } = await pose4d(['process', sample, '--out', out])
    assert.equal(code, 0, stderr)
    const document = JSON.parse(readFileSync(out, 'utf8'))
    assert.equal(document.schema, 1)
    assert.equal(document.source.kind, 'photos')
    assert.equal(document.tracked, false)
    assert.equal(document.complete, true)
    assert.equal(document.frameCount, 1)
    assert.match(document.model.version, /blazepose/i)
    const [frame] = document.frames
    assert.ok(frame.persons.length >= 1)
    assertFrame(frame)

    const { createEngine } = await import('../index.mjs')
    const engine = await createEngine()
    const [result] = await engine.processFrames([{ frameNumber: 0, imagePath: sample }], {
      tracking: false,
    })
    await engine.close()
    assert.equal(frame.persons.length, result.persons.length)
    for (const [i, person] of result.persons.entries()) {
      const written = frame.persons[i]
      for (const [j, point] of person.keypoints.entries())
        assert.ok(Math.abs(written.keypoints[j].x - point.x) <= 0.0005)
      for (const [j, value] of person.joints3d.entries())
        assert.ok(Math.abs(written.joints3d[j] - value) <= 0.000005)
    }
  })

  test('--out - puts one JSON document on stdout and the summary on stderr', async () => {
    const { code, stdout, stderr } = await pose4d(['process', sample, '--out', '-'])
    assert.equal(code, 0)
    assert.equal(JSON.parse(stdout).frames.length, 1)
    assert.match(stderr, /1 frame in /)
  })

  test('--json prints the summary as JSON', async () => {
    const { code, stdout } = await pose4d(['process', sample, '--json'])
    assert.equal(code, 0)
    const summary = JSON.parse(stdout)
    assert.equal(summary.frames, 1)
    assert.ok(summary.people >= 1)
  })

  test('a photo from stdin', async () => {
    const { code, stdout, stderr } = await pose4d(['process', '-', '--out', '-', '--lines', '-q'], {
      input: readFileSync(sample),
    })
    assert.equal(code, 0, stderr)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      lines.map((line) => line.type),
      ['header', 'frame', 'end'],
    )
    assert.equal(lines[1].file, 'stdin')
  })

  test('bad photos in a folder fail alone, in natural order, with exit code 1', async () => {
    const folder = inScratch('mixed')
    mkdirSync(folder)
    copyFileSync(sample, join(folder, 'img10.jpg'))
    copyFileSync(sample, join(folder, 'img9.jpg'))
    writeFileSync(join(folder, 'img8.jpg'), 'this is not an image')
    writeFileSync(join(folder, 'img7.jpg'), '')
    writeFileSync(join(folder, 'notes.txt'), 'left alone')
    const drawn = inScratch('drawn')
    const { code, stdout, stderr } = await pose4d([
      'process',
      folder,
      '--out',
      inScratch('mixed.jsonl'),
      '--overlay',
      drawn,
    ])
    assert.equal(code, 1, stderr)
    const lines = readFileSync(inScratch('mixed.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const frames = lines.filter((line) => line.type === 'frame')
    assert.deepEqual(
      frames.map((frame) => frame.file.slice(folder.length + 1)),
      ['img7.jpg', 'img8.jpg', 'img9.jpg', 'img10.jpg'],
    )
    assert.deepEqual(
      frames.map((frame) => frame.errorCode),
      ['ERR_POSE4D_IMAGE_EMPTY', 'ERR_POSE4D_IMAGE_FORMAT', undefined, undefined],
    )
    assert.deepEqual(
      { ...lines.at(-1) },
      { type: 'end', complete: true, frameCount: 4, errorCount: 2 },
    )
    assert.match(stdout, /ERR_POSE4D_IMAGE_FORMAT ×1/)
    assert.deepEqual(readdirSync(drawn).sort(), ['img10.overlay.jpg', 'img9.overlay.jpg'])
  })

  test('a missing file beside a good one is a failed frame', async () => {
    const { code, stdout } = await pose4d(['process', sample, inScratch('gone.jpg')])
    assert.equal(code, 1)
    assert.match(stdout, /gone\.jpg {2}ERR_POSE4D_IMAGE_NOT_FOUND/)
    assert.match(stdout, /sample\.jpg {2}1768×994/)
  })

  test('an overlay is a picture of the format that its name says', async () => {
    for (const [name, magic] of [
      ['o.png', '\x89PNG'],
      ['o.jpg', '\xff\xd8\xff'],
    ]) {
      const { code, stderr } = await pose4d(['process', sample, '--overlay', inScratch(name)])
      assert.equal(code, 0, stderr)
      assert.ok(readFileSync(inScratch(name)).toString('latin1').startsWith(magic))
      assert.notDeepEqual(readFileSync(inScratch(name)), readFileSync(sample))
    }
  })

  test('a file that cannot be written is exit code 3', async () => {
    const { code, stderr } = await pose4d([
      'process',
      sample,
      '--out',
      join(sample, 'under-a-file.json'),
    ])
    assert.equal(code, 3)
    assert.match(stderr, /Cannot make the folder .*sample\.jpg/)
  })
})

describe('video', () => {
  test('without ffmpeg: exit code 3 and how to get it', async () => {
    const { code, stdout, stderr } = await pose4d(['process', clip], {
      env: { PATH: scratch, Path: scratch },
    })
    assert.equal(code, 3)
    assert.equal(stdout, '')
    assert.match(stderr, /Video needs `ffprobe`.*Install it: /)
  })

  test('neither photo nor video: exit code 2', needsFfmpeg, async () => {
    const path = inScratch('notes.txt')
    writeFileSync(path, 'hello')
    const { code, stderr } = await pose4d(['process', path])
    assert.equal(code, 2)
    assert.match(stderr, /notes\.txt is neither a photo .* nor a video/)
  })

  test(
    'every frame in order with its time, a drawn video of the same shape, and a summary',
    needsFfmpeg,
    async () => {
      const [out, drawn] = [inScratch('clip.jsonl'), inScratch('clip.mp4')]
      const { code, stdout, stderr } = await pose4d([
        'process',
        clip,
        '--out',
        out,
        '--overlay',
        drawn,
      ])
      assert.equal(code, 0, stderr)
      const lines = readFileSync(out, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      assert.deepEqual(
        [lines[0].type, lines[0].source.kind, lines[0].source.fps],
        ['header', 'video', 30],
      )
      const frames = lines.slice(1, -1)
      assert.deepEqual(
        frames.map((frame) => frame.frameNumber),
        Array.from({ length: CLIP_FRAMES }, (_, i) => i),
      )
      for (const frame of frames) {
        assertFrame(frame)
        assert.ok(Math.abs(frame.timestampMs - (1000 * frame.frameNumber) / 30) < 1)
      }
      assert.ok(frames.filter((frame) => frame.persons.length > 0).length > CLIP_FRAMES / 2)
      assert.match(stdout, /track {2}frames {2}of clip/)
      const [source, video] = [probe(clip), probe(drawn)]
      assert.deepEqual(
        [video.codec_name, video.pix_fmt, video.width, video.height],
        ['h264', 'yuv420p', source.width, source.height],
      )
      assert.equal(Number(video.nb_read_frames), CLIP_FRAMES)
      assert.equal(video.avg_frame_rate, source.avg_frame_rate)
    },
  )

  test('--start, --end and --every take a part of it', needsFfmpeg, async () => {
    const { code, stdout, stderr } = await pose4d([
      'process',
      clip,
      '--start',
      '0.5',
      '--end',
      '0:01',
      '--every',
      '5',
      '--out',
      '-',
      '-q',
    ])
    assert.equal(code, 0, stderr)
    assert.deepEqual(
      JSON.parse(stdout).frames.map((frame) => [frame.frameNumber, Math.round(frame.timestampMs)]),
      [
        [15, 500],
        [20, 667],
        [25, 833],
      ],
    )
  })

  test('rotation is applied, odd sides are padded', needsFfmpeg, async () => {
    const [odd, turned, drawn] = [
      inScratch('odd.mkv'),
      inScratch('turned.mp4'),
      inScratch('turned-drawn.mp4'),
    ]
    const make = ['-v', 'error', '-y', '-i', clip, '-frames:v', '3']
    execFileSync('ffmpeg', [...make, '-c', 'copy', '-metadata:s:v:0', 'rotate=90', turned])
    execFileSync('ffmpeg', [...make, '-vf', 'scale=321:181', '-c:v', 'ffv1', odd])
    for (const [path, size, even] of [
      [turned, [360, 640], [360, 640]],
      [odd, [321, 181], [322, 182]],
    ]) {
      if (path === turned && !probe(turned).side_data_list) continue // newer ffmpeg drops the old tag
      const { code, stdout, stderr } = await pose4d([
        'process',
        path,
        '--out',
        '-',
        '--overlay',
        drawn,
        '-q',
      ])
      assert.equal(code, 0, stderr)
      const [frame] = JSON.parse(stdout).frames
      assert.deepEqual([frame.frameWidth, frame.frameHeight], size)
      const video = probe(drawn)
      assert.deepEqual([video.width, video.height], even)
    }
  })

  test('Ctrl-C ends the files properly', {
    ...needsFfmpeg,
    skip: needsFfmpeg.skip || (process.platform === 'win32' && 'no SIGINT on Windows'),
  }, async () => {
    const long = inScratch('long.mp4')
    execFileSync('ffmpeg', [
      '-v',
      'error',
      '-y',
      '-stream_loop',
      '40',
      '-i',
      clip,
      '-c',
      'copy',
      long,
    ])
    const [out, drawn] = [inScratch('cut.json'), inScratch('cut.mp4')]
    const child = spawn(
      process.execPath,
      [bin, 'process', long, '--out', out, '--overlay', drawn],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let stderr = ''
    child.stderr.on('data', (text) => (stderr += text))
    while (!existsSync(out) || !readFileSync(out, 'utf8').includes('"frameNumber":3')) {
      assert.equal(child.exitCode, null, stderr)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    assert.equal(code, 130, stderr)
    assert.match(stderr, /Interrupted/)
    const document = JSON.parse(readFileSync(out, 'utf8'))
    assert.equal(document.complete, false)
    assert.ok(document.frameCount >= 4 && document.frameCount < 41 * CLIP_FRAMES)
    assert.equal(document.frames.length, document.frameCount)
    const drawnFrames = Number(probe(drawn).nb_read_frames)
    assert.ok(
      Math.abs(drawnFrames - document.frameCount) <= 1,
      `${drawnFrames} drawn, ${document.frameCount} written`,
    )
  })

  test('a closed pipe is not an error', {
    skip: needsFfmpeg.skip || (process.platform === 'win32' && 'no `head` on Windows'),
  }, async () => {
    const shell = `"${process.execPath}" "${bin}" process "${clip}" --out - --lines -q | head -n 1; echo "\${PIPESTATUS[0]}"`
    const output = execFileSync('bash', ['-c', shell], { stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .trim()
      .split('\n')
    assert.equal(JSON.parse(output[0]).type, 'header')
    assert.equal(output[1], '0')
  })
})

describe('warmup and doctor', () => {
  test('warmup names the loaded models', async () => {
    const { code, stdout, stderr } = await pose4d(['warmup', '--json'])
    assert.equal(code, 0, stderr)
    const report = JSON.parse(stdout)
    assert.ok(Object.values(report.models).length > 0)
    for (const model of Object.values(report.models)) assert.ok(model.loadTimeSeconds >= 0)
  })

  test('doctor finds this machine in order', async () => {
    const { code, stdout, stderr } = await pose4d(['doctor', '--json'])
    assert.equal(code, 0, stdout + stderr)
    const { healthy, checks } = JSON.parse(stdout)
    assert.equal(healthy, true)
    const byName = Object.fromEntries(checks.map((check) => [check.name, check]))
    for (const name of [
      'node',
      'libtorch',
      'addon',
      'CUDA',
      'model pose_landmark_full',
      'cache',
      'memory',
      'cpu',
      'ffmpeg',
    ]) {
      assert.ok(byName[name], `no line about ${name}`)
      assert.ok(['ok', 'warn'].includes(byName[name].state))
    }
    assert.equal(byName.node.found, process.versions.node)
  })

  test('doctor says what is missing, how to get it, and exits with 1', async () => {
    const { code, stdout } = await pose4d(['doctor'], {
      env: {
        POSE4D_LIBTORCH: inScratch('nowhere'),
        PATH: dirname(process.execPath) + delimiter + scratch,
      },
    })
    assert.equal(code, 1)
    assert.match(stdout, /^missing {2}libtorch .*no such folder/m)
    assert.match(stdout, /→ .*npm run build/)
  })
})
