// GLB and BVH: what a viewer shows is where the results have the joints.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import validator from 'gltf-validator'
import { AnimationMixer, Group, Vector3 } from 'three'
import { BVHLoader } from 'three/addons/loaders/BVHLoader.js'
import { createEngine, exportPoses, loadBody } from '../index.mjs'
import { about, bodyPerson, distance, frameOf, Glb, placed, walker } from './helpers/exports.mjs'
import { humansCache } from './helpers/humans.mjs'

const scratch = mkdtempSync(join(tmpdir(), 'pose4d-motion-'))
const inScratch = (name) => join(scratch, name)
const FPS = 25
const clipFolder = fileURLToPath(
  new URL('../tests/fixtures/goldens/blazepose/clip/', import.meta.url),
)
const pictures = readdirSync(clipFolder)
  .filter((name) => name.endsWith('.jpg'))
  .sort()
  .map((name, frameNumber) => ({ frameNumber, imagePath: join(clipFolder, name) }))

let cache
let body
before(async () => {
  cache = humansCache()
  body = await loadBody({ cacheDir: cache.cacheDir })
})
after(() => {
  cache.remove()
  rmSync(scratch, { recursive: true, force: true })
})

/** Khronos' own opinion; a body made up for tests has triangles without an area, which is no fault. */
async function assertValid(file) {
  const { issues } = await validator.validateBytes(new Uint8Array(readFileSync(file)))
  const messages = issues.messages.filter(
    ({ code }) => code !== 'ACCESSOR_INDEX_TRIANGLE_DEGENERATE',
  )
  assert.deepEqual(messages, [])
}

/** Metres between each joint of the results and the node of its name, at worst. */
function farthest(file, results, { trackId = 1, name = (joint) => joint, fps = FPS } = {}) {
  const glb = new Glb(file)
  let worst = 0
  const [{ frameNumber: first }] = results
  for (const { frameNumber, persons } of results) {
    const person = persons.find((one) => one.trackId === trackId)
    person?.keypoints.forEach((point, joint) => {
      const node = glb.node(name(point.name))
      assert.ok(node >= 0, `${point.name} is not in the file`)
      const { place } = glb.world(node, (frameNumber - first) / fps)
      worst = Math.max(worst, distance(place, placed(person, joint)))
    })
  }
  return worst
}

/** Where three.js has the joints of a BVH file at a frame: `{ name: [x, y, z] }`. */
class Bvh {
  constructor(file) {
    this.text = readFileSync(file, 'utf8')
    const { skeleton, clip } = new BVHLoader().parse(this.text)
    this.bones = skeleton.bones
    this.clip = clip
    this.holder = new Group()
    this.holder.add(skeleton.bones[0])
    this.mixer = new AnimationMixer(skeleton.bones[0])
    this.mixer.clipAction(clip).play()
    this.frames = Number(/Frames: (\d+)/.exec(this.text)[1])
    this.frameTime = Number(/Frame Time: ([\d.]+)/.exec(this.text)[1])
  }

  at(frame) {
    // The end of a clip is its beginning to a mixer.
    const last = this.clip.duration - 1e-6
    this.mixer.setTime(Math.min(frame * this.frameTime + 1e-9, last))
    this.holder.updateMatrixWorld(true)
    return Object.fromEntries(
      this.bones.map((bone) => [bone.name, bone.getWorldPosition(new Vector3()).toArray()]),
    )
  }
}

/** Every distance between a BVH file's joints and those of the results. */
function distances(bvh, people) {
  return people.flatMap((person, frame) => {
    const found = bvh.at(frame)
    return person.keypoints.map(({ name }, joint) => distance(found[name], placed(person, joint)))
  })
}

describe('SMPL as glb', () => {
  const shapes = (at) => Float32Array.from({ length: 10 }, (_, k) => Math.sin(at * 0.7 + k))

  test('joints are within a millimetre of joints3d, whatever shape each frame has', async () => {
    const people = walker(body, 12).map((_, at) => {
      const turns = {
        pelvis: about('x', 180 + 9 * at),
        spine2: about('y', 7 * at),
        left_knee: about('x', 11 * at),
        right_shoulder: about('z', -13 * at),
        head: about('x', 5 * at),
      }
      return bodyPerson(body, { betas: shapes(at), turns, place: [0.1 * at, -0.2, 4 + 0.05 * at] })
    })
    const results = people.map((person, at) => frameOf(at + 3, [person]))
    const file = inScratch('shapes.glb')
    for (const options of [{ body }, {}]) {
      const summary = await exportPoses(results, file, { fps: FPS, ...options })
      assert.deepEqual([summary.written, summary.leftOut], [12, {}])
      const worst = farthest(file, results)
      assert.ok(worst < 1e-4, `${worst} m`)
      await assertValid(file)
    }
    // Bones of one length put them elsewhere, by what the shapes differ.
    await exportPoses(results, file, { fps: FPS, body, shape: 'mean' })
    const worst = farthest(file, results)
    assert.ok(worst > 1e-3 && worst < 0.5, `${worst} m`)
    await assertValid(file)
  })

  test('the skin follows the skeleton as SMPL’s own does, but for what a pose adds to its shape', async () => {
    const betas = shapes(2)
    const turn = about('y', 40)
    const pelvis = about('x', 180).map((_, i, half) => {
      // Half a turn about x after 40° about y.
      const [row, column] = [Math.floor(i / 3), i % 3]
      return [0, 1, 2].reduce((sum, k) => sum + half[3 * row + k] * turn[3 * k + column], 0)
    })
    const place = [0.25, -0.5, 6]
    const person = bodyPerson(body, { betas, turns: { pelvis }, place })
    const file = inScratch('skin.glb')
    await exportPoses([frameOf(0, [person])], file, { body })
    await assertValid(file)
    const glb = new Glb(file)
    assert.equal(glb.json.animations, undefined)
    const { attributes, indices } = glb.json.meshes[0].primitives[0]
    const rest = glb.accessor(attributes.POSITION)
    const joints = glb.accessor(attributes.JOINTS_0)
    const weights = glb.accessor(attributes.WEIGHTS_0)
    const [{ joints: nodes, inverseBindMatrices }] = glb.json.skins
    const inverse = glb.accessor(inverseBindMatrices)
    const worlds = nodes.map((node) => glb.world(node, 0))
    const model = body.bodyModel(betas)
    assert.deepEqual(glb.accessor(indices), model.faces)
    const [jx, jy, jz] = model.joints
    for (let vertex = 0; vertex < 6890; vertex += 53) {
      const found = [0, 0, 0]
      let sum = 0
      for (let k = 0; k < 4; k++) {
        const weight = weights[4 * vertex + k]
        const joint = joints[4 * vertex + k]
        const local = [0, 1, 2].map((a) => rest[3 * vertex + a] + inverse[16 * joint + 12 + a])
        const { place: at, rotation } = worlds[joint]
        turned(rotation, local).forEach((part, axis) => {
          found[axis] += weight * (part + at[axis])
        })
        sum += weight
      }
      assert.ok(Math.abs(sum - 1) < 1e-6)
      // The whole body turned about the pelvis; then the camera's axes made those of glTF.
      const from = [0, 1, 2].map((a) => model.restVertices[3 * vertex + a] - [jx, jy, jz][a])
      const [x, y, z] = [0, 1, 2].map(
        (row) =>
          from.reduce((all, part, k) => all + pelvis[3 * row + k] * part, [jx, jy, jz][row]) +
          place[row],
      )
      assert.ok(distance(found, [x, -y, -z]) < 1e-5, `vertex ${vertex}`)
    }
  })

  test('up is up, the left hand of who faces the camera is on the right, times are the frames’', async () => {
    const people = walker(body, 8)
    const file = inScratch('way.glb')
    await exportPoses(
      people.map((person, at) => frameOf(at, [person], { timestampMs: 5000 + at * at * 10 })),
      file,
      { body },
    )
    const glb = new Glb(file)
    const at = (name) => glb.world(glb.node(name), 0).place
    assert.ok(at('head')[1] > at('pelvis')[1] && at('pelvis')[1] > at('left_foot')[1])
    assert.ok(at('left_hand')[0] > at('right_hand')[0])
    assert.ok(at('pelvis')[2] < -4, 'the camera is at the origin and looks along -z')
    const { times } = glb.channel(glb.node('pelvis'), 'rotation')
    assert.deepEqual(
      times,
      Float32Array.from({ length: 8 }, (_, i) => (i * i) / 100),
    )
    assert.equal(glb.json.asset.extras.startSeconds, 5)
    const { yfov, aspectRatio } = glb.json.cameras[0].perspective
    assert.ok(Math.abs(yfov - 2 * Math.atan(240 / 1000)) < 1e-9)
    assert.equal(aspectRatio, 640 / 480)
  })

  test('who is not there has no size; who has no body or place is left out and counted', async () => {
    const people = walker(body, 10)
    const other = walker(body, 10, { trackId: 7, place: [1, 0, 6] })
    const { smpl, ...noBody } = people[4]
    const { camera, ...noPlace } = people[8]
    const results = people.map((person, at) => {
      if (at === 3 || at === 9) return frameOf(at, [other[at]])
      const one = { 4: { ...noBody, source: 'predicted' }, 8: noPlace }[at] ?? person
      return frameOf(at, [one, other[at]])
    })
    const file = inScratch('gaps.glb')
    const summary = await exportPoses(results, file, { fps: FPS, body })
    assert.deepEqual(summary.leftOut, { noSmpl: 1, noCamera: 1 })
    assert.deepEqual(summary.tracks, [
      { trackId: 1, records: 8, written: 6 },
      { trackId: 7, records: 10, written: 10 },
    ])
    await assertValid(file)
    const glb = new Glb(file)
    const { times, values, interpolation } = glb.channel(glb.node('person_1'), 'scale')
    assert.equal(interpolation, 'STEP')
    assert.deepEqual(times, Float32Array.of(0, 3 / FPS, 5 / FPS, 8 / FPS))
    assert.deepEqual(
      [...values].filter((_, i) => i % 3 === 0),
      [1, 0, 1, 0],
    )
    assert.equal(glb.channel(glb.node('person_7'), 'scale'), undefined)
    const seen = results.filter((_, at) => ![3, 4, 8, 9].includes(at))
    assert.ok(farthest(file, seen, { name: (joint) => `${joint}_1` }) < 1e-4)
    assert.ok(farthest(file, results, { trackId: 7, name: (joint) => `${joint}_7` }) < 1e-4)
    const alone = await exportPoses(results, file, { fps: FPS, body, track: 1, space: 'person' })
    assert.deepEqual(alone.leftOut, { otherTrack: 10, noSmpl: 1 })
  })

  test('a number that is missing leaves the record out; nothing stands in for it', async () => {
    const people = walker(body, 4)
    people[1].smpl.bodyPose[20] = NaN
    people[2].smpl.globalOrient.fill(0)
    people[3].camera.translation[2] = Infinity
    const file = inScratch('missing.glb')
    const results = people.map((person, at) => frameOf(at, [person]))
    const { leftOut, written } = await exportPoses(results, file, { fps: FPS, body })
    assert.deepEqual([written, leftOut], [1, { noSmpl: 2, noCamera: 1 }])
    await assertValid(file)
    const few = walker(body, 2).map(({ smpl, ...person }) => person)
    few[1].joints3d[3] = NaN
    const points = few.map((person, at) => frameOf(at, [person]))
    const summary = await exportPoses(points, file, { fps: FPS })
    assert.deepEqual([summary.written, summary.leftOut], [1, { noJoints3d: 1 }])
    const [first, second] = walker(body, 2)
    const mixed = [first, { ...second, keypoints: second.keypoints.slice(0, 17) }]
    await assert.rejects(
      exportPoses(
        mixed.map((person, at) => frameOf(at, [person])),
        file,
      ),
      /17 keypoints in frame 1 and 24 before/,
    )
  })

  test('a photo is a scene that does not move', async () => {
    const [one] = walker(body, 1)
    const [two] = walker(body, 1, { trackId: 2, place: [1, 0, 6] })
    const file = inScratch('photo.glb')
    await exportPoses([frameOf(0, [one, two])], file, { body, tracking: false })
    await assertValid(file)
    assert.equal(new Glb(file).json.animations, undefined)
    const results = [frameOf(0, [one, two])]
    for (const trackId of [1, 2]) {
      const name = (joint) => `${joint}_${trackId}`
      assert.ok(farthest(file, results, { trackId, name }) < 1e-4)
    }
  })

  test('nobody who could be shown is an error that says why', async () => {
    const { camera, ...noPlace } = walker(body, 1)[0]
    const results = [frameOf(0, [noPlace]), frameOf(1, [{ ...noPlace, smpl: undefined }])]
    for (const format of ['glb', 'bvh']) {
      await assert.rejects(exportPoses(results, inScratch(`x.${format}`), { body }), (error) => {
        assert.equal(error.code, 'ERR_POSE4D_EXPORT_EMPTY')
        assert.match(error.message, /none of the 2 records can be placed in 3D \(.*noCamera: 1/)
        return true
      })
      await assert.rejects(
        exportPoses(results, inScratch(`x.${format}`), { tracking: false }),
        /one clip, and these are 2 photos/,
      )
    }
  })
})

function turned([x, y, z, w], [a, b, c]) {
  const [tx, ty, tz] = [2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)]
  return [a + w * tx + y * tz - z * ty, b + w * ty + z * tx - x * tz, c + w * tz + x * ty - y * tx]
}

describe('SMPL as bvh', () => {
  test('a third party has the joints where the results have them, through every turn', async () => {
    // All the way round about each axis, where angles meet their poles.
    const people = Array.from({ length: 37 }, (_, at) =>
      bodyPerson(body, {
        turns: {
          pelvis: about('x', 180 + 10 * at),
          left_shoulder: about('z', 10 * at),
          right_hip: about('y', -10 * at),
          neck: about('x', 90),
        },
        place: [0.02 * at, 0.1, 5],
      }),
    )
    const file = inScratch('body.bvh')
    const results = people.map((person, at) => frameOf(at, [person]))
    const { files } = await exportPoses(results, file, { fps: FPS, body })
    assert.deepEqual(files, [file])
    const bvh = new Bvh(file)
    assert.deepEqual([bvh.frames, bvh.frameTime], [37, 1 / FPS])
    const worst = Math.max(...distances(bvh, people))
    assert.ok(worst < 1e-4, `${worst} m`)
    // Curves without jumps: no more from frame to frame than the turns themselves.
    const rows = bvh.text
      .split('\n')
      .slice(-38, -1)
      .map((line) => line.split(' ').map(Number).slice(3))
    for (let at = 1; at < rows.length; at++) {
      const step = Math.max(...rows[at].map((angle, i) => Math.abs(angle - rows[at - 1][i])))
      assert.ok(step < 100, `frame ${at}: ${step}°`)
    }
  })

  test('a gap makes two files, and every person one of their own', async () => {
    const people = walker(body, 6)
    const other = walker(body, 6, { trackId: 2, place: [1, 0, 6] })
    const results = people.map((person, at) =>
      frameOf(at + 10, at === 3 ? [other[at]] : [person, other[at]]),
    )
    const { files, written } = await exportPoses(results, inScratch('two.bvh'), { fps: FPS, body })
    assert.deepEqual(
      files.map((file) => file.slice(scratch.length + 1)),
      ['two_person1_frames10-12.bvh', 'two_person1_frames14-15.bvh', 'two_person2.bvh'],
    )
    assert.equal(written, 11)
    const [first, second, whole] = files.map((file) => new Bvh(file))
    assert.deepEqual([first.frames, second.frames, whole.frames], [3, 2, 6])
    assert.ok(Math.max(...distances(second, people.slice(4))) < 1e-4)
    assert.ok(Math.max(...distances(whole, other)) < 1e-4)
    const alone = await exportPoses(results, inScratch('second.bvh'), { fps: FPS, body, track: 2 })
    assert.deepEqual(alone.files, [inScratch('second.bvh')])
  })
})

describe('BlazePose', () => {
  let results
  before(async () => {
    const engine = await createEngine({ model: 'blazepose' })
    results = await engine.processFrames(pictures, { fps: FPS })
    await engine.close()
  })

  test('as glb: every landmark where joints3d has it', async () => {
    const file = inScratch('landmarks.glb')
    const summary = await exportPoses(results, file, { fps: FPS })
    const people = results.flatMap(({ persons }) => persons)
    assert.ok(people.length >= pictures.length)
    assert.equal(summary.written, people.length)
    await assertValid(file)
    assert.ok(farthest(file, results) < 1e-4)
  })

  test('as bvh: bones of one length, joints within 15 mm in the mean and 80 mm at worst', async () => {
    const file = inScratch('landmarks.bvh')
    const { files } = await exportPoses(results, file, { fps: FPS })
    assert.deepEqual(files, [file])
    const people = results.map(({ persons }) => persons[0])
    const apart = distances(new Bvh(file), people)
    const mean = apart.reduce((sum, d) => sum + d, 0) / apart.length
    assert.ok(mean < 0.015, `${mean} m`)
    assert.ok(Math.max(...apart) < 0.08, `${Math.max(...apart)} m`)
  })

  test('of fewer keypoints, as far as they go', async () => {
    const engine = await createEngine({ model: 'blazepose', keypoints: 'coco17' })
    const few = await engine.processFrames(pictures.slice(0, 4), { fps: FPS })
    await engine.close()
    const file = inScratch('coco.glb')
    await exportPoses(few, file, { fps: FPS })
    await assertValid(file)
    assert.ok(farthest(file, few) < 1e-4)
    const { skin } = new Glb(file).json.nodes.find(({ name }) => name === 'figure_1')
    assert.equal(skin, 0)
  })
})

test('4D-Humans’ own results, end to end', async () => {
  const options = { cacheDir: cache.cacheDir, detector: 'full-image', precision: 'fp32' }
  const engine = await createEngine({ model: '4dhumans', keypoints: 'smpl24', ...options })
  try {
    const results = await engine.processFrames(pictures.slice(0, 3), { mesh: false, fps: FPS })
    const file = inScratch('humans.glb')
    const { written } = await exportPoses(results, file, { fps: FPS, body: engine })
    assert.equal(written, 3)
    await assertValid(file)
    assert.ok(farthest(file, results) < 1e-3)
    const own = engine.bodyModel()
    assert.deepEqual(own, body.bodyModel(new Float32Array(10)))
    assert.throws(() => engine.bodyModel([1]), { code: 'ERR_POSE4D_INVALID_ARGUMENT' })
    assert.equal(own.parents[0], -1)
  } finally {
    await engine.close()
  }
})

test('a body that is not there, or none, is refused', async () => {
  const empty = humansCache({ without: ['smpl-neutral'] })
  const path = join(scratch, 'no.pkl')
  await assert.rejects(loadBody({ smplPath: path }), { code: /^ERR_POSE4D_(LICENCE|MODEL_)/ })
  empty.remove()
  const engine = await createEngine({ model: 'blazepose' })
  assert.equal(engine.bodyModel(), null)
  await engine.close()
})
