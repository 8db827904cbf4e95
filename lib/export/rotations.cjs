'use strict'
// Rotations and vectors for skeletons. Quaternions are [x, y, z, w], matrices row-major [3, 3].

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
const scaled = (a, s) => [a[0] * s, a[1] * s, a[2] * s]
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
]
const length = (a) => Math.hypot(a[0], a[1], a[2])

/** `null` for what has no direction. */
function unit(a) {
  const size = length(a)
  return size > 1e-9 ? scaled(a, 1 / size) : null
}

const IDENTITY = [0, 0, 0, 1]

/** First b, then a. */
const multiply = (a, b) => [
  a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
  a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
  a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
  a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2],
]

const inverse = (q) => [-q[0], -q[1], -q[2], q[3]]

function normalized(q) {
  const size = Math.hypot(q[0], q[1], q[2], q[3])
  return size > 1e-12 ? q.map((part) => part / size) : null
}

/** `v` turned by `q`. */
function turn(q, v) {
  const t = scaled(cross(q, v), 2)
  return add(add(v, scaled(t, q[3])), cross(q, t))
}

/** What a matrix may be off a rotation, in each element. */
const ROUNDING = 0.01

/** Of a rotation matrix, with rounding errors taken out; `null` where it is none. */
function fromMatrix(m) {
  const [xx, xy, xz, yx, yy, yz, zx, zy, zz] = m
  const trace = xx + yy + zz
  let q
  if (trace > 0) {
    const s = 2 * Math.sqrt(trace + 1)
    q = [(zy - yz) / s, (xz - zx) / s, (yx - xy) / s, s / 4]
  } else if (xx > yy && xx > zz) {
    const s = 2 * Math.sqrt(1 + xx - yy - zz)
    q = [s / 4, (xy + yx) / s, (xz + zx) / s, (zy - yz) / s]
  } else if (yy > zz) {
    const s = 2 * Math.sqrt(1 + yy - xx - zz)
    q = [(xy + yx) / s, s / 4, (yz + zy) / s, (xz - zx) / s]
  } else {
    const s = 2 * Math.sqrt(1 + zz - xx - yy)
    q = [(xz + zx) / s, (yz + zy) / s, s / 4, (yx - xy) / s]
  }
  const turn = q.every(Number.isFinite) ? normalized(q) : null
  const same = turn && toMatrix(turn).every((part, at) => Math.abs(part - m[at]) < ROUNDING)
  return same ? turn : null
}

function toMatrix([x, y, z, w]) {
  return [
    1 - 2 * (y * y + z * z),
    2 * (x * y - z * w),
    2 * (x * z + y * w),
    2 * (x * y + z * w),
    1 - 2 * (x * x + z * z),
    2 * (y * z - x * w),
    2 * (x * z - y * w),
    2 * (y * z + x * w),
    1 - 2 * (x * x + y * y),
  ]
}

/** The shortest turn from one unit vector to another. */
function arc(from, to) {
  const cosine = dot(from, to)
  if (cosine < -1 + 1e-9) {
    // Half a turn: about any axis across it.
    const across = Math.abs(from[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0]
    return [...unit(cross(from, across)), 0]
  }
  return normalized([...cross(from, to), 1 + cosine])
}

/** Three axes, the first along `first`, the second as near to `second` as can be. */
function axes(first, second) {
  const x = unit(first)
  const z = x && unit(cross(x, second))
  return z ? [x, cross(z, x), z] : null
}

/**
 * The turn that takes the direction `first[0]` to `first[1]` exactly and `second[0]` as near to `second[1]`
 * as it then can; `null` where the two are in line.
 */
function frame(first, second) {
  const from = axes(first[0], second[0])
  const to = axes(first[1], second[1])
  if (!from || !to) return null
  // Sum of to ⊗ from.
  const matrix = []
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      matrix.push(to.reduce((sum, axis, i) => sum + axis[row] * from[i][column], 0))
    }
  }
  return fromMatrix(matrix)
}

/** The same rotation with the sign that is nearer to `before`. */
function near(q, before) {
  const apart = before && q[0] * before[0] + q[1] * before[1] + q[2] * before[2] + q[3] * before[3]
  return apart < 0 ? q.map((part) => -part) : q
}

module.exports = {
  IDENTITY,
  add,
  arc,
  cross,
  dot,
  frame,
  fromMatrix,
  inverse,
  length,
  multiply,
  near,
  normalized,
  scaled,
  sub,
  toMatrix,
  turn,
  unit,
}
