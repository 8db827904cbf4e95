// Which joints of a keypoint set are joined, how thick a limb is there, and whose side it is.

const both = (...pairs) =>
  pairs.flatMap(([from, to, radius]) =>
    ['left', 'right'].map((side) => [`${side}_${from}`, to && `${side}_${to}`, radius]),
  )

/** `[from, to, radius in metres]`; the radii are for the eye, nothing measures them. */
const LIMBS = [
  ...both(
    ['shoulder', 'elbow', 0.043],
    ['elbow', 'wrist', 0.034],
    ['hip', 'knee', 0.062],
    ['knee', 'ankle', 0.045],
    ['wrist', 'index', 0.014],
    ['wrist', 'pinky', 0.014],
    ['wrist', 'thumb', 0.012],
    ['pinky', 'index', 0.014],
    ['wrist', 'hand', 0.026],
    ['ankle', 'foot', 0.03],
    ['ankle', 'heel', 0.026],
    ['heel', 'foot_index', 0.024],
    ['ankle', 'foot_index', 0.022],
    ['heel', 'big_toe', 0.024],
    ['ankle', 'big_toe', 0.022],
    ['big_toe', 'small_toe', 0.016],
  ),
]

/** Where a set has no spine of its own. */
const TRUNK = [
  ['left_shoulder', 'right_shoulder', 0.05],
  ['left_hip', 'right_hip', 0.058],
  ['left_shoulder', 'left_hip', 0.042],
  ['right_shoulder', 'right_hip', 0.042],
]

const SPINE = [
  ['pelvis', 'spine1', 0.07],
  ['spine1', 'spine2', 0.07],
  ['spine2', 'spine3', 0.075],
  ['spine3', 'neck', 0.06],
  ['neck', 'head', 0.045],
  ['pelvis', 'left_hip', 0.06],
  ['pelvis', 'right_hip', 0.06],
  ['spine3', 'left_collar', 0.05],
  ['spine3', 'right_collar', 0.05],
  ['left_collar', 'left_shoulder', 0.05],
  ['right_collar', 'right_shoulder', 0.05],
  ['mid_hip', 'neck', 0.07],
  ['neck', 'nose', 0.04],
  ['mid_hip', 'left_hip', 0.06],
  ['mid_hip', 'right_hip', 0.06],
  ['neck', 'left_shoulder', 0.05],
  ['neck', 'right_shoulder', 0.05],
]

const FACE_FULL = both(['eye_inner', 'eye', 0.008], ['eye', 'eye_outer', 0.008])
const FACE = [
  ['nose', 'left_eye_inner', 0.008],
  ['nose', 'right_eye_inner', 0.008],
  ...FACE_FULL,
  ['left_eye_outer', 'left_ear', 0.008],
  ['right_eye_outer', 'right_ear', 0.008],
  ['mouth_left', 'mouth_right', 0.008],
]
const FACE_SMALL = [
  ['nose', 'left_eye', 0.008],
  ['nose', 'right_eye', 0.008],
  ['left_eye', 'left_ear', 0.008],
  ['right_eye', 'right_ear', 0.008],
]

const BIG = /^(left|right)_(shoulder|elbow|wrist|hip|knee|ankle)$/

export function sideOf(name) {
  if (name.startsWith('left_') || name.endsWith('_left')) return 'left'
  return name.startsWith('right_') || name.endsWith('_right') ? 'right' : 'middle'
}

function sideOfBone(from, to) {
  const [a, b] = [sideOf(from), sideOf(to)]
  if (a === b) return a
  // Of a bone from the middle to a side, the side's; across the body, nobody's.
  return a === 'middle' ? b : b === 'middle' ? a : 'middle'
}

function skeleton(names) {
  const at = new Map(names.map((name, index) => [name, index]))
  const spined = at.has('mid_hip') || at.has('pelvis')
  const face = at.has('left_eye_inner') ? FACE : FACE_SMALL
  const pairs = [...LIMBS, ...(spined ? SPINE : TRUNK), ...face]
  const bones = pairs
    .filter(([from, to]) => at.has(from) && at.has(to))
    .map(([from, to, radius]) => ({
      from: at.get(from),
      to: at.get(to),
      radius,
      side: sideOfBone(from, to),
      face: radius < 0.01,
    }))
  const joints = new Map()
  for (const bone of bones) {
    for (const index of [bone.from, bone.to]) {
      const radius = Math.max(joints.get(index)?.radius ?? 0, bone.radius)
      joints.set(index, { index, radius, side: sideOf(names[index]), big: BIG.test(names[index]) })
    }
  }
  const find = (...list) => (list.every((name) => at.has(name)) ? list.map((n) => at.get(n)) : null)
  return {
    bones,
    joints: [...joints.values()],
    /** Points whose middle the head is, if the set says where that is. */
    head: find('left_ear', 'right_ear') ?? find('head'),
    /** Points whose middle the neck is. */
    neck: find('left_shoulder', 'right_shoulder'),
    /** Points whose middle the hips are. */
    hips: find('left_hip', 'right_hip') ?? find('pelvis') ?? find('mid_hip'),
  }
}

const known = new WeakMap()

/** Of a list of names; a clip's people share one, so that this is worked out once. */
export function skeletonOf(names) {
  if (!known.has(names)) known.set(names, skeleton(names))
  return known.get(names)
}
