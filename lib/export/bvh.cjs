'use strict'
// People as BVH: a skeleton of fixed bones and its turns, one file per person and run of frames.

const path = require('node:path')
const { writeWhole } = require('./files.cjs')
const { nobody } = require('./glb.cjs')
const { Motions, runs } = require('./motion.cjs')
const { length, toMatrix } = require('./rotations.cjs')

const DEGREES = 180 / Math.PI
const DIGITS = 6
/** The last bone of a chain has no length of its own: a share of the bone before it, for the eye only. */
const END_SHARE = 0.3

const number = (value) => {
  const text = value.toFixed(DIGITS)
  return Number(text) === 0 ? '0' : text
}
const numbers = (values) => values.map(number).join(' ')

/** Angles about z, x and y, in this order, that make the turn. */
function zxy(q) {
  const m = toMatrix(q)
  const x = Math.asin(Math.max(-1, Math.min(1, m[7])))
  if (Math.abs(m[7]) > 1 - 1e-9) return [Math.atan2(m[3], m[0]), x, 0]
  return [Math.atan2(-m[1], m[4]), x, Math.atan2(-m[6], m[8])]
}

const TURN = 2 * Math.PI
const nearest = (angle, before) => angle - TURN * Math.round((angle - before) / TURN)

/** The same turn in angles next to those of the frame before, so that curves do not jump. */
function next([z, x, y], before) {
  if (!before) return [z, x, y]
  const choices = [
    [z, x, y],
    [z + Math.PI, Math.PI - x, y + Math.PI],
  ].map((angles) => angles.map((angle, axis) => nearest(angle, before[axis])))
  const apart = (angles) => angles.reduce((sum, a, axis) => sum + Math.abs(a - before[axis]), 0)
  return apart(choices[0]) <= apart(choices[1]) ? choices[0] : choices[1]
}

function hierarchy({ names, parents, rest }) {
  const children = names.map((_, joint) =>
    names.map((_, at) => at).filter((at) => parents[at] === joint),
  )
  const lines = []
  const write = (joint, depth) => {
    const indent = '\t'.repeat(depth)
    const root = parents[joint] < 0
    const offset = root ? [0, 0, 0] : rest[joint]
    lines.push(`${indent}${root ? 'ROOT' : 'JOINT'} ${names[joint]}`, `${indent}{`)
    lines.push(`${indent}\tOFFSET ${numbers(offset)}`)
    const turns = 'Zrotation Xrotation Yrotation'
    lines.push(
      root
        ? `${indent}\tCHANNELS 6 Xposition Yposition Zposition ${turns}`
        : `${indent}\tCHANNELS 3 ${turns}`,
    )
    for (const child of children[joint]) write(child, depth + 1)
    if (children[joint].length === 0) {
      const end = rest[joint].map((part) => part * END_SHARE)
      lines.push(`${indent}\tEnd Site`, `${indent}\t{`)
      lines.push(`${indent}\t\tOFFSET ${numbers(length(end) > 1e-4 ? end : [0, 0.02, 0])}`)
      lines.push(`${indent}\t}`)
    }
    lines.push(`${indent}}`)
  }
  write(0, 0)
  return { lines, order: depthFirst(children) }
}

function depthFirst(children, joint = 0) {
  return [joint, ...children[joint].flatMap((child) => depthFirst(children, child))]
}

/** One run of frames as the text of a file. */
function document(motion, frames, frameTime) {
  const { lines, order } = hierarchy(motion)
  const before = []
  const rows = frames.map(({ root, turns }) => {
    const angles = order.flatMap((joint) => {
      before[joint] = next(zxy(turns[joint]), before[joint])
      return before[joint].map((angle) => angle * DEGREES)
    })
    return numbers([...root, ...angles])
  })
  const head = ['HIERARCHY', ...lines, 'MOTION', `Frames: ${frames.length}`]
  return `${[...head, `Frame Time: ${frameTime.toFixed(8)}`, ...rows].join('\n')}\n`
}

class BvhExport {
  #target
  #motions
  #fps

  static async open(target, options) {
    const made = new BvhExport()
    made.#target = target
    made.#fps = options.fps
    // Bones of a BVH file cannot change.
    made.#motions = new Motions({ ...options, shape: 'mean' })
    return made
  }

  add(frame) {
    this.#motions.add(frame)
  }

  async close({ note, tally, frames }) {
    const motions = this.#motions.motions(note)
    if (motions.length === 0) throw nobody(this.#target, tally)
    const parts = motions.flatMap((motion) => runs(motion.frames).map((run) => ({ motion, run })))
    const frameTime = this.#frameTime(frames)
    const files = []
    for (const { motion, run } of parts) {
      const file = this.#name(motion, run, motions, parts)
      await writeWhole(file, [document(motion, run, frameTime)])
      files.push(file)
    }
    return files
  }

  /** The mean, so that a clip lasts as long as it did. */
  #frameTime(frames) {
    const seconds = frames.at(-1).timeS - frames[0].timeS
    return frames.length > 1 ? seconds / (frames.length - 1) : 1 / this.#fps
  }

  /** The name asked for where there is one file; else with the person, and the frames of a part. */
  #name({ trackId }, run, motions, parts) {
    if (parts.length === 1) return this.#target
    const { dir, name, ext } = path.parse(this.#target)
    const person = motions.length > 1 ? `_person${trackId}` : ''
    const several = parts.filter(({ motion }) => motion.trackId === trackId).length > 1
    const part = several ? `_frames${run[0].frame.number}-${run.at(-1).frame.number}` : ''
    return path.join(dir, `${name}${person}${part}${ext || '.bvh'}`)
  }
}

module.exports = { BvhExport }
