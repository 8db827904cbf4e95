// How well a gap can be filled at all by a fixed combination of what was seen: for `eval_gaps.mjs`.
//
// Of a run in which nothing was hidden, the weights of the frames before a gap (and after it) are fitted by
// least squares to that very run, all joints and axes alike. No rule of this kind has a smaller mean square on it,
// whatever its curve or velocity, and none could know these weights beforehand.

/** Frames on a side that the rule looks at. */
const LOOK = 10
/** Keeps frames that say the same thing from cancelling each other out; a share of the mean square. */
const RIDGE = 1e-6

/**
 * Mean distances (of units of `runs`) for gaps of `gap` frames: of the last pose held, of the best rule that
 * knows only what was before, and of the best one that knows both sides.
 * `runs`: sequences of frames in a row, each a list of coordinates x, y, z, x, …
 */
export function bestLinear(runs, gap) {
  const steps = Array.from({ length: gap }, (_, k) => step(runs, gap, k + 1))
  const middle = (key) => steps.reduce((sum, found) => sum + found[key], 0) / gap
  return { held: middle('held'), before: middle('before'), both: middle('both') }
}

/** The `k`th hidden frame of a gap. */
function step(runs, gap, k) {
  const rows = []
  for (const run of runs) {
    for (let last = LOOK - 1; last + gap + LOOK < run.length; last++)
      rows.push(...windows(run, last, gap, k))
  }
  const of = (count) => distance(rows, fitted(rows, count))
  return { held: distance(rows, []), before: of(LOOK - 1), both: of(2 * LOOK - 1) }
}

/** Of every coordinate: what is seen around the gap, nearest first, and the truth, all from the last pose seen. */
function windows(run, last, gap, k) {
  return Array.from(run[last], (from, i) => {
    const at = (frame) => run[frame][i] - from
    const before = Array.from({ length: LOOK - 1 }, (_, n) => at(last - 1 - n))
    const after = Array.from({ length: LOOK }, (_, n) => at(last + gap + 1 + n))
    return { seen: [...before, ...after], truth: at(last + k) }
  })
}

/** The weights of the first `count` values seen, by the normal equations. */
function fitted(rows, count) {
  const system = Array.from({ length: count }, () => new Array(count + 1).fill(0))
  for (const { seen, truth } of rows) {
    for (let a = 0; a < count; a++) {
      for (let b = 0; b < count; b++) system[a][b] += seen[a] * seen[b]
      system[a][count] += seen[a] * truth
    }
  }
  const square = system.reduce((sum, row, i) => sum + row[i], 0) / Math.max(1, count)
  for (let i = 0; i < count; i++) system[i][i] += RIDGE * square
  return solved(system)
}

/** Gauss and Jordan; the system is symmetric and positive, so that no row is swapped. */
function solved(system) {
  for (const [i, row] of system.entries()) {
    for (const [j, other] of system.entries()) {
      if (j === i) continue
      const factor = other[i] / row[i]
      for (let n = i; n < row.length; n++) other[n] -= factor * row[n]
    }
  }
  return system.map((row, i) => row.at(-1) / row[i])
}

function distance(rows, weights) {
  let sum = 0
  for (let at = 0; at + 2 < rows.length; at += 3) {
    const apart = [0, 1, 2].map((axis) => {
      const { seen, truth } = rows[at + axis]
      return truth - weights.reduce((guess, weight, n) => guess + weight * seen[n], 0)
    })
    sum += Math.hypot(...apart)
  }
  return (3 * sum) / rows.length
}
