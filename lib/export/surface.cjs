'use strict'
// What is seen of a skeleton: SMPL's skin, or a figure of sticks and balls.

const { arc, add, cross, dot, length, scaled, sub, turn, unit } = require('./rotations.cjs')

/** Joints that move a vertex, at most; what viewers are sure to have. */
const INFLUENCES = 4

const triple = (flat, at) => [flat[3 * at], flat[3 * at + 1], flat[3 * at + 2]]

/** Each vertex's normal: the mean of its triangles', the larger ones counting more. */
function normalsOf(vertices, faces) {
  const sums = new Float64Array(vertices.length)
  for (let at = 0; at < faces.length; at += 3) {
    const corners = [faces[at], faces[at + 1], faces[at + 2]]
    const [a, b, c] = corners.map((corner) => triple(vertices, corner))
    const normal = cross(sub(b, a), sub(c, a))
    for (const corner of corners)
      for (let axis = 0; axis < 3; axis++) sums[3 * corner + axis] += normal[axis]
  }
  const normals = new Float32Array(vertices.length)
  for (let at = 0; at < vertices.length / 3; at++)
    normals.set(unit(triple(sums, at)) ?? [0, 1, 0], 3 * at)
  return normals
}

/** The strongest joints of each vertex, their weights made to sum to 1; `lost`: the most left out of one. */
function influences(weights, joints) {
  const vertices = weights.length / joints
  const numbers = new Uint8Array(vertices * INFLUENCES)
  const kept = new Float32Array(vertices * INFLUENCES)
  let lost = 0
  for (let vertex = 0; vertex < vertices; vertex++) {
    const row = weights.subarray(vertex * joints, (vertex + 1) * joints)
    const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a])
    const strongest = order.slice(0, INFLUENCES).filter((joint) => row[joint] > 0)
    const sum = strongest.reduce((all, joint) => all + row[joint], 0)
    lost = Math.max(lost, 1 - sum / row.reduce((all, weight) => all + Math.max(weight, 0), 0))
    strongest.forEach((joint, place) => {
      numbers[vertex * INFLUENCES + place] = joint
      kept[vertex * INFLUENCES + place] = row[joint] / sum
    })
  }
  return { joints: numbers, weights: kept, lost }
}

/** A body's surface in its rest pose. */
function skin({ restVertices, faces, weights, parents }) {
  const { joints, weights: kept, lost } = influences(weights, parents.length)
  return {
    vertices: restVertices,
    normals: normalsOf(restVertices, faces),
    joints,
    weights: kept,
    indices: faces,
    lost,
  }
}

/** Radii, metres. The head's is for the eye only: nothing of it is measured. */
const BALL = { joint: 0.018, face: 0.008, head: 0.085 }
const HEADS = ['head', 'head_center']
/** A stick is so much thinner than long, within limits; metres. */
const STICK = { share: 0.11, least: 0.006, most: 0.036 }
/** Where along a stick it is thickest. */
const WAIST = 0.15

class Mesh {
  #vertices = []
  #normals = []
  #joints = []
  #indices = []

  vertex(place, normal, joint) {
    this.#vertices.push(...place)
    this.#normals.push(...normal)
    this.#joints.push(joint)
    return this.#joints.length - 1
  }

  /** Corners `[place, joint]`, counter-clockwise as seen from without. */
  triangle(corners, middle) {
    const [a, b, c] = corners.map(([place]) => place)
    let normal = unit(cross(sub(b, a), sub(c, a)))
    if (!normal) return
    const outwards = dot(normal, sub(a, middle)) >= 0
    if (!outwards) normal = scaled(normal, -1)
    const order = outwards ? corners : [corners[0], corners[2], corners[1]]
    for (const [place, joint] of order) this.#indices.push(this.vertex(place, normal, joint))
  }

  /** Rings of latitude about y, the poles among them. */
  ball(centre, joint, radius, rings) {
    const around = 2 * rings
    const first = this.#joints.length
    for (let ring = 0; ring <= rings; ring++) {
      const polar = (Math.PI * ring) / rings
      for (let step = 0; step < around; step++) {
        const way = (2 * Math.PI * step) / around
        const normal = [
          Math.sin(polar) * Math.sin(way),
          Math.cos(polar),
          Math.sin(polar) * Math.cos(way),
        ]
        this.vertex(add(centre, scaled(normal, radius)), normal, joint)
      }
    }
    const at = (ring, step) => first + ring * around + (step % around)
    for (let ring = 0; ring < rings; ring++) {
      for (let step = 0; step < around; step++) {
        const [a, b] = [at(ring, step), at(ring, step + 1)]
        const [c, d] = [at(ring + 1, step), at(ring + 1, step + 1)]
        // At the poles one side has no length.
        if (ring < rings - 1) this.#indices.push(a, c, d)
        if (ring > 0) this.#indices.push(a, d, b)
      }
    }
  }

  /** From one joint to the next, each end moved by its own. */
  stick(from, to, parent, child) {
    const size = length(sub(to, from))
    const along = unit(sub(to, from))
    if (!along) return
    const radius = Math.min(Math.max(size * STICK.share, STICK.least), STICK.most)
    const side = arc([0, 1, 0], along)
    const ring = [
      [1, 0, 0],
      [0, 0, 1],
      [-1, 0, 0],
      [0, 0, -1],
    ].map((d) => add(add(from, scaled(along, WAIST * size)), scaled(turn(side, d), radius)))
    const middle = scaled(add(from, to), 0.5)
    ring.forEach((corner, at) => {
      const next = ring[(at + 1) % ring.length]
      this.triangle(
        [
          [from, parent],
          [corner, parent],
          [next, parent],
        ],
        middle,
      )
      this.triangle(
        [
          [to, child],
          [corner, parent],
          [next, parent],
        ],
        middle,
      )
    })
  }

  done() {
    const weights = new Float32Array(this.#joints.length * INFLUENCES)
    const joints = new Uint8Array(this.#joints.length * INFLUENCES)
    this.#joints.forEach((joint, vertex) => {
      joints[vertex * INFLUENCES] = joint
      weights[vertex * INFLUENCES] = 1
    })
    return {
      vertices: Float32Array.from(this.#vertices),
      normals: Float32Array.from(this.#normals),
      joints,
      weights,
      indices: Uint32Array.from(this.#indices),
      lost: 0,
    }
  }
}

/** Sticks and balls on the rest pose; points of the face have balls only. */
function figure({ names, parents, rest }) {
  const places = []
  parents.forEach((parent, joint) => {
    places.push(parent < 0 ? rest[joint] : add(places[parent], rest[joint]))
  })
  const mesh = new Mesh()
  parents.forEach((parent, joint) => {
    const onHead = names[parent] === 'head_center'
    const isHead = HEADS.includes(names[joint])
    const radius = onHead ? BALL.face : BALL.joint
    mesh.ball(places[joint], joint, isHead ? BALL.head : radius, isHead ? 8 : 3)
    if (parent >= 0 && !onHead) mesh.stick(places[parent], places[joint], parent, joint)
  })
  return mesh.done()
}

module.exports = { figure, skin }
