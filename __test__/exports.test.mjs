// Results in files for other programs: what is in them equals the results, and nothing else is.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { exportPoses, loadBody, models, readPoses } from '../index.mjs'
import { floatsOf, frameOf, readNpz, stringsOf, walker } from './helpers/exports.mjs'
import { humansCache } from './helpers/humans.mjs'

const scratch = mkdtempSync(join(tmpdir(), 'pose4d-exports-'))
const inScratch = (name) => join(scratch, name)
const FORMATS = ['json', 'jsonl', 'csv', 'npz', 'pkl', 'html']

let cache
let results
/** Seen in frames 0 to 4 and 7 to 9; guessed, without a body, in 5 and 6; frame 10 failed. */
before(async () => {
  cache = humansCache()
  const body = await loadBody({ cacheDir: cache.cacheDir })
  const people = walker(body, 10, { betas: Float32Array.of(0.5, -1, 0, 0, 0, 0, 0, 0, 0, 0) })
  results = people.map((person, at) => {
    const { smpl, camera, ...guess } = person
    const guessed = { ...guess, source: 'predicted', trackingConfidence: 0.75, score: 0 }
    const jointAngles3d = { left_knee: 150 + at / 3, spine: 170 }
    const one = { ...(at === 5 || at === 6 ? guessed : person), jointAngles3d }
    const other = { ...walker(body, 1, { trackId: 2, place: [1, 0, 6] })[0] }
    return frameOf(at, at % 2 === 0 ? [one, other] : [one], { timestampMs: 40 * at + 1000 })
  })
  results.push(
    frameOf(10, [], { errorCode: 'ERR_POSE4D_IMAGE_CORRUPT', error: 'cut off', timestampMs: 1400 }),
  )
})
after(() => {
  cache.remove()
  rmSync(scratch, { recursive: true, force: true })
})

const refusal = (code, message) => (error) => {
  assert.equal(error.code, code, error.stack)
  assert.match(error.message, message)
  return true
}

const sha256 = (data) =>
  createHash('sha256')
    .update(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')

/** Fields of a CSV file by RFC 4180. */
function parseCsv(text) {
  assert.ok(text.endsWith('\r\n'))
  return text
    .slice(0, -2)
    .split('\r\n')
    .map((line) => line.split(','))
}

describe('csv', () => {
  test('has a row for each person and frame, with the values of the results to the last digit', async () => {
    const summary = await exportPoses(results, inScratch('a.csv'))
    const [head, ...rows] = parseCsv(readFileSync(inScratch('a.csv'), 'utf8'))
    assert.deepEqual(head, [
      'frame',
      'time_s',
      'track_id',
      'source',
      'tracking_confidence',
      'left_knee',
      'right_knee',
      'spine',
    ])
    const expected = results.flatMap(({ frameNumber, timestampMs, persons }) =>
      persons.map((person) => [
        frameNumber,
        timestampMs / 1000,
        person.trackId,
        person.source,
        person.trackingConfidence,
        person.jointAngles3d.left_knee,
        person.jointAngles3d.right_knee,
        person.jointAngles3d.spine,
      ]),
    )
    assert.deepEqual(
      rows,
      expected.map((row) => row.map((value) => (value === undefined ? '' : String(value)))),
    )
    assert.equal(summary.written, 15)
    assert.deepEqual(summary.leftOut, {})
    assert.deepEqual([summary.frames, summary.failedFrames], [11, 1])
  })

  test('fps gives times where frames have none; a name that needs it is quoted', async () => {
    const odd = [
      frameOf(4, [{ ...results[0].persons[0], jointAngles3d: { 'a "b", c': 1.5 } }]),
      frameOf(2, [{ ...results[0].persons[0], jointAngles3d: {} }]),
    ]
    await exportPoses(odd, inScratch('odd.csv'), { fps: 8 })
    assert.equal(
      readFileSync(inScratch('odd.csv'), 'utf8'),
      'frame,time_s,track_id,source,tracking_confidence,"a ""b"", c"\r\n' +
        '2,0.25,1,detected,1,\r\n4,0.5,1,detected,1,1.5\r\n',
    )
  })
})

describe('npz', () => {
  test('holds every field, a row per record, NaN where there is none', async () => {
    await exportPoses(results, inScratch('a.npz'))
    const npz = readNpz(inScratch('a.npz'))
    const people = results.flatMap(({ persons }) => persons)
    const same = (name, width, pick) => {
      const found = floatsOf(npz[name])
      assert.equal(found.length, people.length * width, name)
      people.forEach((person, row) => {
        const values = pick(person)
        const expected = values ? Float32Array.from(values) : new Float32Array(width).fill(NaN)
        assert.deepEqual(found.slice(row * width, (row + 1) * width), expected, name)
      })
    }
    same('box', 4, (person) => person.box)
    same('score', 1, (person) => [person.score])
    same('tracking_confidence', 1, (person) => [person.trackingConfidence])
    same('joints3d', 72, (person) => person.joints3d)
    same('global_orient', 9, (person) => person.smpl?.globalOrient)
    same('body_pose', 207, (person) => person.smpl?.bodyPose)
    same('betas', 10, (person) => person.smpl?.betas)
    same('camera_translation', 3, (person) => person.camera?.translation)
    same('focal_length', 1, (person) => person.camera && [person.camera.focalLength])
    same('keypoints', 96, ({ keypoints }) =>
      keypoints.flatMap(({ x, y, z, confidence }) => [x, y, z, confidence]),
    )
    same('angles', 3, ({ jointAngles3d: { left_knee, right_knee, spine } }) => [
      left_knee,
      right_knee ?? NaN,
      spine ?? NaN,
    ])
    assert.deepEqual(stringsOf(npz.angle_names), ['left_knee', 'right_knee', 'spine'])
    assert.deepEqual(
      stringsOf(npz.source),
      people.map(({ source }) => source),
    )
    assert.deepEqual(
      [...npz.has_smpl.bytes].map(Boolean),
      people.map(({ smpl }) => Boolean(smpl)),
    )
    assert.equal(stringsOf(npz.keypoint_names)[15], 'head')
    assert.equal(stringsOf(npz.frame_error)[10], 'ERR_POSE4D_IMAGE_CORRUPT')
    assert.deepEqual(npz.frame_size.shape, [11, 2])
    assert.equal(npz.vertices, undefined)
  })

  test('is read by a reader that was not written for it, and has the right checksums', async () => {
    await exportPoses(results, inScratch('b.npz'))
    const { format, tensors } = await models.inspect(inScratch('b.npz'))
    assert.equal(format, 'npz')
    const betas = tensors.find(({ name }) => name === 'betas')
    assert.deepEqual([betas.shape, betas.dtype], [[15, 10], 'float32'])
    const frame = tensors.find(({ name }) => name === 'frame')
    const numbers = results.flatMap(({ frameNumber, persons }) => persons.map(() => frameNumber))
    assert.equal(frame.sha256, sha256(BigInt64Array.from(numbers, BigInt)))
  })

  test('has vertices where they are asked for', async () => {
    const vertices = Float32Array.from({ length: 3 * 6890 }, (_, i) => i / 7)
    const [person] = results[0].persons
    const with_ = [
      frameOf(0, [
        { ...person, mesh: { vertices } },
        { ...person, trackId: 2 },
      ]),
    ]
    await exportPoses(with_, inScratch('mesh.npz'), { mesh: true })
    const npz = readNpz(inScratch('mesh.npz'))
    assert.deepEqual(npz.vertices.shape, [2, 6890, 3])
    const found = floatsOf(npz.vertices)
    assert.deepEqual(found.slice(0, vertices.length), vertices)
    assert.ok(found.slice(vertices.length).every(Number.isNaN))
  })

  test('refuses two keypoint sets in one file', async () => {
    const [person] = results[0].persons
    const fewer = { ...person, keypoints: person.keypoints.slice(0, 17) }
    await assert.rejects(
      exportPoses([frameOf(0, [person]), frameOf(1, [fewer])], inScratch('two.npz')),
      refusal('ERR_POSE4D_INVALID_ARGUMENT', /frame 1 has 17 keypoints.*one keypoint set/),
    )
    assert.equal(existsSync(inScratch('two.npz')), false)
  })
})

describe("pkl, PHALP's layout", () => {
  const write = async (given, options) => {
    await exportPoses(given, inScratch('a.pkl'), options)
    const { format, tensors, values } = await models.inspect(inScratch('a.pkl'))
    assert.equal(format, 'pickle')
    return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), values }
  }

  test('arrays are those of the results, in the shapes of upstream', async () => {
    const { tensors } = await write(results)
    const [person] = results[0].persons
    const { smpl, camera } = person
    const at = (key) =>
      tensors.get(key) ?? assert.fail(`${key} of ${[...tensors.keys()].slice(0, 9)}`)
    const rows = [
      ['smpl.0.global_orient', [1, 3, 3], smpl.globalOrient],
      ['smpl.0.body_pose', [23, 3, 3], smpl.bodyPose],
      ['smpl.0.betas', [10], smpl.betas],
      ['bbox.0', [4], Float32Array.of(200, 50, 240, 410)],
      ['center.0', [2], Float32Array.of(320, 255)],
      ['scale.0', [2], Float32Array.of(240, 410)],
    ]
    for (const [key, shape, values] of rows) {
      const found = at(`000001.jpg.${key}`)
      assert.deepEqual([found.shape, found.dtype], [shape, 'float32'], key)
      assert.equal(found.sha256, sha256(values), key)
    }
    // Upstream's camera has another focal length: depth goes with it.
    const z = (camera.translation[2] * (5000 / 256) * 640) / camera.focalLength
    const place = Float32Array.of(camera.translation[0], camera.translation[1], z)
    assert.equal(at('000001.jpg.camera.0').sha256, sha256(place))
    assert.deepEqual(at('000001.jpg.pose.0').shape, [229])
  })

  test('ghosts have a tid and a tracked_time, and no body; tracked_ids are fresh', async () => {
    const { values, tensors } = await write(results)
    // The frame in which somebody was guessed for the second time.
    const said = (key) => values[`000007.jpg.${key}`]
    assert.deepEqual(said('tid'), [1, 2])
    assert.deepEqual(said('tracked_time'), [2, 0])
    assert.deepEqual(said('tracked_ids'), [2])
    assert.deepEqual(said('source'), ['predicted', 'detected'])
    assert.equal(tensors.has('000007.jpg.smpl.0.betas'), false)
    assert.equal(tensors.has('000007.jpg.smpl.1.betas'), true)
    assert.deepEqual(said('size')[0], [480, 640])
    assert.equal(said('img_name')[0], '000007.jpg')
    assert.equal(values['000011.jpg.time'], undefined)
  })

  test('somebody filled in where a frame could not be read is there, upstream’s camera too', async () => {
    const [person] = results[1].persons
    const broken = {
      frameWidth: 0,
      frameHeight: 0,
      errorCode: 'ERR_POSE4D_IMAGE_CORRUPT',
      error: 'cut off',
    }
    const filled = { ...person, source: 'interpolated', trackingConfidence: 0.9 }
    const given = [frameOf(0, [person]), frameOf(1, [filled], broken), frameOf(2, [], broken)]
    const { values, tensors } = await write(given)
    assert.deepEqual(values['000002.jpg.tracked_time'], [-1])
    assert.deepEqual(values['000002.jpg.size'], [[480, 640]])
    assert.equal(values['000003.jpg.time'], undefined)
    const camera = (key) => tensors.get(`${key}.jpg.camera.0`).sha256
    assert.equal(camera('000002'), camera('000001'))
    const csv = inScratch('filled.csv')
    await exportPoses(given, csv)
    assert.match(readFileSync(csv, 'utf8'), /\r\n1,[^\r]*,1,interpolated,0\.9,/)
  })

  test('keys are the frames’ files, or as asked', async () => {
    const named = [frameOf(0, [], { file: 'shots/a.jpg' })]
    assert.equal((await write(named)).values['shots/a.jpg.frame_path'], 'shots/a.jpg')
    const { values } = await write(named, { framePath: ({ number, file }) => `${number}:${file}` })
    assert.equal(values['0:shots/a.jpg.frame_path'], '0:shots/a.jpg')
  })
})

describe('json and jsonl', () => {
  for (const format of ['json', 'jsonl']) {
    test(`${format} is read back as it was, to the digits that are written`, async () => {
      const file = inScratch(`back.${format}`)
      await exportPoses(results, file, { header: { source: { fps: 25 } } })
      const { header, results: frames } = await readPoses(file)
      assert.equal(header.source.fps, 25)
      const read = []
      for await (const frame of frames) read.push(frame)
      assert.equal(read.length, results.length)
      assert.equal(read[10].errorCode, 'ERR_POSE4D_IMAGE_CORRUPT')
      results.slice(0, 10).forEach((result, at) => {
        assert.equal(read[at].timestampMs, result.timestampMs)
        result.persons.forEach((person, i) => {
          const { joints3d, smpl, source, trackId, camera } = read[at].persons[i]
          assert.deepEqual([source, trackId], [person.source, person.trackId])
          assert.ok(joints3d instanceof Float32Array)
          const near = (a, b) => assert.ok(a.every((value, k) => Math.abs(value - b[k]) < 1e-5))
          near(joints3d, person.joints3d)
          assert.equal(Boolean(smpl), Boolean(person.smpl))
          if (smpl) near(smpl.bodyPose, person.smpl.bodyPose)
          if (camera) near(camera.translation, person.camera.translation)
        })
      })
    })
  }

  test('a call that fails half-way leaves a file that says so', async () => {
    async function* failing() {
      yield results[0]
      throw new Error('no more')
    }
    await assert.rejects(exportPoses(failing(), inScratch('half.json')), /no more/)
    const { complete, frames } = JSON.parse(readFileSync(inScratch('half.json'), 'utf8'))
    assert.deepEqual([complete, frames.length], [false, 1])
    await assert.rejects(exportPoses(failing(), inScratch('half.npz')), /no more/)
    assert.deepEqual(
      readdirSync(scratch).filter((name) => name.startsWith('half.npz')),
      [],
    )
  })

  test('a file that is no file of results is refused with what is wrong', async () => {
    const bad = [
      ['{"schema": 2, "frames": []}', /"schema": 1` expected, 2 found/],
      ['{"frames": [', /is not JSON/],
      ['{"schema": 1}', /has no `frames`/],
      ['{"schema": 1, "frames": [{"frameNumber": 3}]}', /without `frameNumber` and `persons`/],
      [
        '{"schema": 1, "frames": [{"frameNumber": 3, "persons": [{"box": [1]}]}]}',
        /frame 3: a person without `keypoints`/,
      ],
      ['{"type": "header", "schema": 1}\n{"type": "fra', /line 2 is not JSON/],
    ]
    for (const [text, message] of bad) {
      writeFileSync(inScratch('bad.json'), text)
      const reading = async () => {
        for await (const _ of (await readPoses(inScratch('bad.json'))).results);
      }
      await assert.rejects(reading, refusal('ERR_POSE4D_RESULTS_FILE', message))
    }
    await assert.rejects(
      readPoses(inScratch('not-there.json')),
      refusal('ERR_POSE4D_RESULTS_FILE', /cannot read .*not-there\.json/),
    )
  })
})

describe('html', () => {
  const page = async (given, options) => {
    await exportPoses(given, inScratch('a.html'), options)
    return readFileSync(inScratch('a.html'), 'utf8')
  }
  const dataOf = (html) =>
    JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)[1])

  test('holds curves, sources, confidence and coverage of the results', async () => {
    const html = await page(results)
    const { frames, times, tracks, failed } = dataOf(html)
    assert.deepEqual([frames.length, times[1], failed], [11, 1.04, [10]])
    const [one, two] = tracks
    assert.equal(one.source, 'dddddppddd')
    assert.equal(two.source, 'd.d.d.d.d')
    assert.equal(one.confidence[5], 0.75)
    assert.equal(two.confidence[1], null)
    assert.deepEqual(one.angles.left_knee.slice(0, 3), [150, 150.3, 150.7])
    assert.match(
      html,
      /<th scope="row">1<\/th><td>10<\/td><td>91%<\/td><td>8<\/td><td>0<\/td><td>2<\/td>/,
    )
    assert.match(html, /<th scope="row">2<\/th><td>5<\/td>.*<td>4<\/td><td>1<\/td>/)
    assert.match(html, /ERR_POSE4D_IMAGE_CORRUPT/)
  })

  test('needs nothing beside itself, and text from results cannot become markup', async () => {
    const evil = '</script><img src=x onerror=alert(1)>'
    const html = await page(
      [frameOf(0, [{ ...results[0].persons[0], jointAngles3d: { [evil]: 1 } }])],
      { title: evil, thumbnails: [{ frameNumber: 0, image: Buffer.from([0xff, 0xd8, 0xff]) }] },
    )
    assert.equal(html.includes('<img src=x'), false)
    assert.equal(html.match(/<\/script>/g).length, 2)
    assert.match(html, /<img src="data:image\/jpeg;base64,\/9j\/"/)
    assert.doesNotMatch(html, /(src|href)="(?!data:)/)
    assert.doesNotMatch(html, /@import|url\(/)
    assert.match(html, /Content-Security-Policy" content="default-src 'none'/)
  })
})

describe('whatever the format', () => {
  test('no results and no people give files that can be read', async () => {
    for (const [name, given] of [
      ['none', []],
      ['nobody', [frameOf(0, []), frameOf(1, [])]],
    ]) {
      for (const format of FORMATS) {
        const file = inScratch(`${name}.${format}`)
        const summary = await exportPoses(given, file)
        assert.deepEqual([summary.records, summary.written, summary.files], [0, 0, [file]])
      }
      assert.equal(
        readFileSync(inScratch(`${name}.csv`), 'utf8'),
        'frame,time_s,track_id,source,tracking_confidence\r\n',
      )
      assert.deepEqual(readNpz(inScratch(`${name}.npz`)).joints3d.shape, [0, 0, 3])
      const { values } = await models.inspect(inScratch(`${name}.pkl`))
      assert.equal(Object.keys(values).filter((key) => key.endsWith('.time')).length, given.length)
      assert.match(readFileSync(inScratch(`${name}.html`), 'utf8'), /Nobody was found/)
      for (const format of ['glb', 'bvh']) {
        const file = inScratch(`${name}.${format}`)
        await assert.rejects(
          exportPoses(given, file),
          refusal('ERR_POSE4D_EXPORT_EMPTY', /was not written: there is nobody/),
        )
        assert.equal(existsSync(file), false)
      }
    }
  })

  test('one person alone, the others counted', async () => {
    const summary = await exportPoses(results, inScratch('one.csv'), { track: 2 })
    assert.deepEqual(summary.leftOut, { otherTrack: 10 })
    assert.deepEqual(summary.tracks, [
      { trackId: 1, records: 10, written: 0 },
      { trackId: 2, records: 5, written: 5 },
    ])
    assert.equal(readFileSync(inScratch('one.csv'), 'utf8').split('\r\n').length, 7)
  })

  test('equal results give equal bytes', async () => {
    for (const format of FORMATS) {
      await exportPoses(results, inScratch(`x.${format}`))
      const first = readFileSync(inScratch(`x.${format}`))
      await exportPoses(results, inScratch(`x.${format}`))
      assert.ok(first.equals(readFileSync(inScratch(`x.${format}`))), format)
    }
  })

  test('mistakes are refused with what was expected', async () => {
    const cases = [
      [[results, 'a.fbx'], /does not say which format it is/],
      [[results, 'a', { format: 'fbx' }], /options\.format must be one of json, .*found "fbx"/],
      [[results, 'a.csv', { fsp: 25 }], /options\.fsp is not known/],
      [[results, 'a.csv', { fps: 0 }], /options\.fps must be a number above 0/],
      [[results, 'a.glb', { body: {} }], /options\.body must be an engine/],
      [[results, ''], /target must be the name of a file/],
      [['poses.json', 'a.csv'], /readPoses/],
      [[results[0], 'a.csv'], /results must be an array/],
      [[[null], inScratch('m.csv')], /results\[0\] must be a PoseResult/],
      [[[results[0], results[0]], inScratch('m.csv')], /frame 0 is there twice/],
      [
        [[frameOf(0, []), frameOf(1, [], { timestampMs: 0 })], inScratch('m.csv')],
        /frame 1 is at 0 s, not after frame 0/,
      ],
    ]
    for (const [args, message] of cases)
      await assert.rejects(exportPoses(...args), refusal('ERR_POSE4D_INVALID_ARGUMENT', message))
  })

  test('a place that cannot be written is named', async () => {
    writeFileSync(inScratch('file'), '')
    for (const format of FORMATS) {
      const target = join(scratch, 'file', `a.${format}`)
      await assert.rejects(
        exportPoses(results, target),
        refusal('ERR_POSE4D_CACHE_IO', /cannot write .*file/),
      )
    }
  })

  test('an abort rejects with its reason', async () => {
    const reason = new Error('enough')
    await assert.rejects(
      exportPoses(results, inScratch('no.csv'), { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    )
  })
})
