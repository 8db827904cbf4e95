'use strict'
// People as an animated glTF scene: a skeleton, a skin and one animation for the whole clip.

const { version } = require('../../package.json')
const { empty } = require('./faults.cjs')
const { writeWhole } = require('./files.cjs')
const { Document, INDICES, VERTICES } = require('./gltf.cjs')
const { Motions, runs } = require('./motion.cjs')
const { add, near } = require('./rotations.cjs')
const { figure, skin } = require('./surface.cjs')

/** Linear RGB; one after the other. */
const COLOURS = [
  [0.05, 0.22, 0.6],
  [0.75, 0.2, 0.03],
  [0.02, 0.35, 0.15],
  [0.45, 0.06, 0.35],
  [0.6, 0.4, 0.02],
  [0.02, 0.4, 0.45],
  [0.5, 0.02, 0.08],
  [0.25, 0.25, 0.28],
]
/** Metres by which a bone may change before that is animated. */
const STILL = 1e-6

const flat = (vectors) => Float32Array.from(vectors.flat())

/** One clip's animation. */
class Animation {
  #document
  #samplers = []
  #channels = []

  constructor(document) {
    this.#document = document
  }

  times(seconds) {
    return this.#document.accessor(Float32Array.from(seconds), 'SCALAR', { bounded: true })
  }

  channel(node, path, input, values, interpolation = 'LINEAR') {
    const type = path === 'rotation' ? 'VEC4' : 'VEC3'
    const output = this.#document.accessor(flat(values), type)
    const sampler = this.#samplers.push({ input, output, interpolation }) - 1
    this.#channels.push({ sampler, target: { node, path } })
  }

  end() {
    if (this.#channels.length === 0) return
    this.#document.put('animations', {
      name: 'clip',
      samplers: this.#samplers,
      channels: this.#channels,
    })
  }
}

/** Turns with the signs that interpolate the short way. */
function continuous(turns) {
  let before
  return turns.map((q) => {
    before = near(q, before)
    return before
  })
}

const moves = (steps) =>
  steps.some((step) => step.some((part, axis) => Math.abs(part - steps[0][axis]) > STILL))

function countSources(frames) {
  const counts = {}
  for (const { source } of frames) counts[source] = (counts[source] ?? 0) + 1
  return counts
}

class Scene {
  #document = new Document(`pose4d ${version}`)
  #animation = new Animation(this.#document)
  #times
  #body
  #alone

  /** `times`: of every frame of the clip, seconds from its first; `alone`: there is one person. */
  constructor({ times, body, alone }) {
    this.#times = times
    this.#body = body
    this.#alone = alone
  }

  person(motion, colour) {
    const { names, parents, trackId, frames } = motion
    const [first] = frames
    const joints = names.map((name, joint) =>
      this.#document.put('nodes', {
        // Of one person the joints have their bare names, which other tools look for.
        name: this.#alone ? name : `${name}_${trackId}`,
        translation: first.steps[joint],
        rotation: first.turns[joint].map((part) => Math.max(-1, Math.min(1, part))),
      }),
    )
    parents.forEach((parent, joint) => {
      if (parent < 0) return
      const node = this.#document.json.nodes[joints[parent]]
      node.children = [...(node.children ?? []), joints[joint]]
    })
    const group = this.#document.root({
      name: `person_${trackId}`,
      children: [joints[0]],
      extras: { trackId, skeleton: motion.kind, records: frames.length, ...countSources(frames) },
    })
    this.#surface(motion, joints, colour)
    if (this.#times.length > 1) this.#animate(motion, joints, group)
  }

  #surface(motion, joints, colour) {
    const { names, parents, rest, trackId, betas } = motion
    const shown =
      betas && this.#body?.bodyModel() ? skin(this.#body.bodyModel(betas)) : figure(motion)
    const document = this.#document
    const vertices = (data, type, bounded) =>
      document.accessor(data, type, { use: VERTICES, bounded })
    const material = document.put('materials', {
      name: `person_${trackId}`,
      pbrMetallicRoughness: {
        baseColorFactor: [...colour, 1],
        metallicFactor: 0,
        roughnessFactor: 0.8,
      },
    })
    const mesh = document.put('meshes', {
      name: `person_${trackId}`,
      primitives: [
        {
          attributes: {
            POSITION: vertices(shown.vertices, 'VEC3', true),
            NORMAL: vertices(shown.normals, 'VEC3'),
            JOINTS_0: vertices(shown.joints, 'VEC4'),
            WEIGHTS_0: vertices(shown.weights, 'VEC4'),
          },
          indices: document.accessor(shown.indices, 'SCALAR', { use: INDICES }),
          material,
        },
      ],
      ...(shown.lost > 0 && { extras: { largestWeightLeftOut: shown.lost } }),
    })
    const places = []
    parents.forEach((parent, joint) => {
      places.push(parent < 0 ? rest[joint] : add(places[parent], rest[joint]))
    })
    const inverses = places.flatMap(([x, y, z]) => [
      1,
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      1,
      0,
      -x,
      -y,
      -z,
      1,
    ])
    const bound = document.put('skins', {
      name: `person_${trackId}`,
      joints,
      inverseBindMatrices: document.accessor(Float32Array.from(inverses), 'MAT4'),
    })
    this.#document.root({
      name: `${names[0] === 'pelvis' ? 'body' : 'figure'}_${trackId}`,
      mesh,
      skin: bound,
    })
  }

  #animate({ parents, frames }, joints, group) {
    const input = this.#animation.times(frames.map(({ index }) => this.#times[index]))
    joints.forEach((node, joint) => {
      const steps = frames.map((frame) => frame.steps[joint])
      if (parents[joint] < 0 || moves(steps))
        this.#animation.channel(node, 'translation', input, steps)
      const turns = frames.map((frame) => frame.turns[joint])
      this.#animation.channel(node, 'rotation', input, continuous(turns))
    })
    this.#hideGaps(frames, group)
  }

  /** Who is not in a frame has no size in it. */
  #hideGaps(frames, group) {
    if (frames.length === this.#times.length) return
    const changes = new Map([[0, 0]])
    for (const run of runs(frames)) {
      changes.set(run[0].index, 1)
      if (run.at(-1).index + 1 < this.#times.length) changes.set(run.at(-1).index + 1, 0)
    }
    const keys = [...changes].sort(([a], [b]) => a - b)
    const input = this.#animation.times(keys.map(([index]) => this.#times[index]))
    const sizes = keys.map(([, size]) => [size, size, size])
    this.#animation.channel(group, 'scale', input, sizes, 'STEP')
  }

  /** The camera that took the pictures, at the origin. */
  camera({ focalLength, width, height }) {
    const camera = this.#document.put('cameras', {
      type: 'perspective',
      perspective: {
        yfov: 2 * Math.atan(height / 2 / focalLength),
        aspectRatio: width / height,
        znear: 0.05,
      },
    })
    this.#document.root({ name: 'camera', camera })
  }

  toGlb(extras) {
    this.#animation.end()
    this.#document.json.asset.extras = extras
    return this.#document.toGlb()
  }
}

class GlbExport {
  #target
  #motions
  #options
  #views = []

  static async open(target, options) {
    const made = new GlbExport()
    made.#target = target
    made.#options = options
    made.#motions = new Motions(options)
    return made
  }

  add(frame) {
    const { frameWidth: width, frameHeight: height, persons } = frame.result
    const focalLength = persons.find(({ camera }) => camera)?.camera.focalLength
    if (focalLength > 0 && height > 0) this.#views.push({ focalLength, width, height })
    this.#motions.add(frame)
  }

  async close({ frames, complete, note, tally }) {
    const motions = this.#motions.motions(note)
    if (motions.length === 0) throw nobody(this.#target, tally)
    const start = frames[0].timeS
    const scene = new Scene({
      times: frames.map(({ timeS }) => timeS - start),
      body: this.#options.body,
      alone: motions.length === 1,
    })
    motions.forEach((motion, at) => {
      scene.person(motion, COLOURS[at % COLOURS.length])
    })
    const view = this.#options.space === 'camera' && this.#oneView()
    if (view) scene.camera(view)
    const extras = { startSeconds: start, firstFrame: frames[0].number, frames: frames.length }
    await writeWhole(this.#target, scene.toGlb({ ...extras, ...(!complete && { complete }) }))
    return [this.#target]
  }

  /** Only where all pictures were taken alike. */
  #oneView() {
    const [first, ...others] = this.#views
    const alike = (view) =>
      view.width === first.width &&
      view.height === first.height &&
      Math.abs(view.focalLength / first.focalLength - 1) < 1e-3
    return first && others.every(alike) ? first : null
  }
}

/** Why there is nothing to write. */
function nobody(target, tally) {
  const { records, leftOut } = tally.toJSON()
  const reasons = Object.entries(leftOut).map(([reason, count]) => `${reason}: ${count}`)
  const why =
    records === 0
      ? 'there is nobody in the results'
      : `none of the ${records} records can be placed in 3D (${reasons.join(', ')})`
  return empty(`${target} was not written: ${why}`)
}

module.exports = { GlbExport, nobody }
