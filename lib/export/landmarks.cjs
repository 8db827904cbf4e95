'use strict'
// A skeleton on measured points: which joints it has, where they are, and how each is turned.
//
// The rest pose is a T: y up, z the way the face looks, x to the body's own left; arms along x, palms
// down, legs down, feet forwards. Every joint's turn is the one that takes the rest direction of its bone to
// the measured one; where a second direction is known (the line of the hips, of the shoulders, of the
// ears, a hand's width, a heel) it settles the turn about the bone, else the turn is the parent's with the
// shortest swing added.

const { IDENTITY, arc, frame, multiply, sub, turn, unit } = require('./rotations.cjs')

const UP = [0, 1, 0]
const DOWN = [0, -1, 0]
const AHEAD = [0, 0, 1]
const LEFT = [1, 0, 0]
const RIGHT = [-1, 0, 0]

/**
 * `at`: the points whose middle the joint is; of several lists the first that is there. `aim`, `hint`: what
 * the joint turns towards, as `[from, to, direction at rest]`.
 */
const TRUNK = [
  {
    name: 'hips',
    at: [['left_hip', 'right_hip']],
    aim: [['right_hip'], ['left_hip'], LEFT],
    hint: [['left_hip', 'right_hip'], ['left_shoulder', 'right_shoulder'], UP],
  },
  {
    name: 'spine',
    parent: 'hips',
    at: [['left_hip', 'right_hip']],
    aim: [['left_hip', 'right_hip'], ['left_shoulder', 'right_shoulder'], UP],
  },
  {
    name: 'chest',
    parent: 'spine',
    at: [['left_shoulder', 'right_shoulder']],
    aim: [['right_shoulder'], ['left_shoulder'], LEFT],
    hint: [['left_hip', 'right_hip'], ['left_shoulder', 'right_shoulder'], UP],
  },
  {
    name: 'neck_base',
    parent: 'chest',
    at: [['left_shoulder', 'right_shoulder']],
    aim: [['left_shoulder', 'right_shoulder'], ['left_ear', 'right_ear'], UP, [['head']]],
  },
  { name: 'head', parent: 'neck_base' },
  {
    name: 'head_center',
    parent: 'neck_base',
    at: [['left_ear', 'right_ear']],
    aim: [['right_ear'], ['left_ear'], LEFT],
    hint: [['left_ear', 'right_ear'], ['nose'], AHEAD],
  },
]

const FACE = [
  'nose',
  ...['left', 'right'].flatMap((side) => [
    `${side}_eye_inner`,
    `${side}_eye`,
    `${side}_eye_outer`,
    `${side}_ear`,
  ]),
  'mouth_left',
  'mouth_right',
]

const limbs = (side, out) => [
  {
    name: `${side}_shoulder`,
    parent: 'chest',
    aim: [[`${side}_shoulder`], [`${side}_elbow`], out],
  },
  {
    name: `${side}_elbow`,
    parent: `${side}_shoulder`,
    aim: [[`${side}_elbow`], [`${side}_wrist`], out],
  },
  {
    name: `${side}_wrist`,
    parent: `${side}_elbow`,
    aim: [[`${side}_wrist`], [`${side}_index`, `${side}_pinky`], out],
    hint: [[`${side}_pinky`], [`${side}_index`], AHEAD],
  },
  ...['pinky', 'index', 'thumb'].map((tip) => ({
    name: `${side}_${tip}`,
    parent: `${side}_wrist`,
  })),
  { name: `${side}_hip`, parent: 'hips', aim: [[`${side}_hip`], [`${side}_knee`], DOWN] },
  { name: `${side}_knee`, parent: `${side}_hip`, aim: [[`${side}_knee`], [`${side}_ankle`], DOWN] },
  {
    name: `${side}_ankle`,
    parent: `${side}_knee`,
    aim: [
      [`${side}_ankle`],
      [`${side}_foot_index`],
      AHEAD,
      [[`${side}_big_toe`], [`${side}_foot`]],
    ],
    hint: [[`${side}_ankle`], [`${side}_heel`], DOWN],
  },
  ...['heel', 'foot_index', 'big_toe', 'small_toe', 'foot'].map((tip) => ({
    name: `${side}_${tip}`,
    parent: `${side}_ankle`,
  })),
]

const SPEC = [
  ...TRUNK,
  ...FACE.map((name) => ({ name, parent: 'head_center' })),
  ...limbs('left', LEFT),
  ...limbs('right', RIGHT),
]

/** Numbers of the points of a list, or `null` where one is not in the set. */
function indices(list, names) {
  const found = list.map((name) => names.indexOf(name))
  return found.includes(-1) ? null : found
}

function direction(given, names) {
  if (!given) return null
  const [from, to, rest, others = []] = given
  const start = indices(from, names)
  const end = [to, ...others].map((list) => indices(list, names)).find(Boolean)
  return start && end ? { start, end, rest } : null
}

/** The joints that can be made of a keypoint set; `null` where not even hips and shoulders are there. */
function plan(names) {
  const joints = []
  const numbers = new Map()
  for (const { name, parent, at = [[name]], aim, hint } of SPEC) {
    const place = at.map((list) => indices(list, names)).find(Boolean)
    if (!place || (parent !== undefined && !numbers.has(parent))) continue
    numbers.set(name, joints.length)
    joints.push({
      name,
      parent: parent === undefined ? -1 : numbers.get(parent),
      place,
      aim: direction(aim, names),
      hint: direction(hint, names),
    })
  }
  return numbers.has('hips') && numbers.has('chest') ? joints : null
}

function middle(points, at) {
  const sum = [0, 0, 0]
  for (const index of at) for (let axis = 0; axis < 3; axis++) sum[axis] += points[index][axis]
  return sum.map((part) => part / at.length)
}

const along = (points, { start, end }) => sub(middle(points, end), middle(points, start))

function turned(joint, points, parent) {
  if (!joint.aim) return parent
  const bone = unit(along(points, joint.aim))
  if (!bone) return parent
  const hint = joint.hint && unit(along(points, joint.hint))
  const settled = hint && frame([joint.aim.rest, bone], [joint.hint.rest, hint])
  if (settled) return settled
  return multiply(arc(turn(parent, joint.aim.rest), bone), parent)
}

/** Where every joint is and how it is turned against the axes; `points`: `[x, y, z]` each. */
function solve(joints, points) {
  const places = []
  const turns = []
  for (const joint of joints) {
    places.push(middle(points, joint.place))
    turns.push(turned(joint, points, turns[joint.parent] ?? IDENTITY))
  }
  return { places, turns }
}

module.exports = { plan, solve }
