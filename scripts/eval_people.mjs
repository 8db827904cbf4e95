#!/usr/bin/env node
// Scores poses on annotated photos: recall at OKS >= 0.5 and false poses per true one.
//
//   pose4d process photos/ --out poses.json
//   node scripts/eval_people.mjs poses.json [--goldens <folder with photos/ and people.json>]
//
// Without a predictions file it runs `pose4d process` itself, with whatever follows `--`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

const HELP = `usage: node scripts/eval_people.mjs [poses.json] [options] [-- options of pose4d process]
  --goldens d   folder with photos/ and people.json (default: $POSE4D_GOLDENS/blazepose)
  --overlay d   also draw every photo there: a contact sheet (only when this runs pose4d itself)
  --json        print JSON
  --curve       recall and false poses over blazepose.minQualityPhoto, through the API
  --all         score photos without annotations too: every pose there is false`

const COCO = [
  'nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow',
  'left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle',
].flatMap((names) => names.split(' '))
/** COCO's constants per keypoint (cocoapi, `kpt_oks_sigmas`). */
const SIGMAS = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89].map(
  (value) => value / 1000,
)
const BODY = COCO.map((_, index) => index).filter((index) => index >= 5)
const ENOUGH = 0.5

/** Object keypoint similarity over the annotated body joints; NaN where none is annotated. */
function oks(annotation, pose) {
  const joints = BODY.filter((index) => annotation.keypoints[index][2] > 0)
  const similarities = joints.map((index) => {
    const [x, y] = annotation.keypoints[index]
    const found = pose.joints[index]
    if (!found) return 0
    const distance = (found[0] - x) ** 2 + (found[1] - y) ** 2
    return Math.exp(-distance / (2 * annotation.area * (2 * SIGMAS[index]) ** 2))
  })
  return similarities.reduce((sum, value) => sum + value, 0) / joints.length
}

const isScored = (annotation) => BODY.some((index) => annotation.keypoints[index][2] > 0)

/** Share of box a that lies in box b: COCO's measure for regions that are not to be judged. */
function share([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx)
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by)
  return width > 0 && height > 0 ? (width * height) / (aw * ah) : 0
}

function bodyBox({ joints }) {
  const points = BODY.map((index) => joints[index]).filter(Boolean)
  const xs = points.map(([x]) => x)
  const ys = points.map(([, y]) => y)
  const [left, top] = [Math.min(...xs), Math.min(...ys)]
  return [left, top, Math.max(...xs) - left, Math.max(...ys) - top]
}

/** One photo: best pairs first, each annotation and each pose once. */
function score(annotations, poses) {
  const scored = annotations.filter(isScored)
  const unscored = annotations.filter((annotation) => !isScored(annotation))
  const pairs = scored
    .flatMap((annotation) =>
      poses.map((pose) => ({ annotation, pose, oks: oks(annotation, pose) })),
    )
    .sort((a, b) => b.oks - a.oks)
  const taken = new Set()
  const matches = []
  for (const pair of pairs) {
    if (pair.oks < ENOUGH || taken.has(pair.annotation) || taken.has(pair.pose)) continue
    taken.add(pair.annotation).add(pair.pose)
    matches.push(pair)
  }
  const rest = poses.filter((pose) => !taken.has(pose))
  const excused = rest.filter((pose) =>
    unscored.some((annotation) => share(bodyBox(pose), annotation.bbox) >= ENOUGH),
  )
  return {
    people: scored.length,
    true: matches.length,
    false: rest.length - excused.length,
    ignored: excused.length,
    best: scored.map((annotation) =>
      Math.max(
        0,
        ...pairs.filter((pair) => pair.annotation === annotation).map((pair) => pair.oks),
      ),
    ),
  }
}

function frames(text) {
  if (text.trimStart().startsWith('{"type"'))
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .filter((line) => line.type === 'frame')
  const document = JSON.parse(text)
  return Array.isArray(document) ? document : document.frames
}

function toPose(person) {
  const named = new Map(person.keypoints.map(({ name, x, y }) => [name, [x, y]]))
  return { joints: COCO.map((name) => named.get(name)) }
}

/** Photo name → poses, joints in COCO's order and by name, whatever set the model gives. */
function readPoses(path) {
  const photos = new Map()
  for (const frame of frames(readFileSync(path, 'utf8'))) {
    if (frame.error) throw new Error(`${frame.file}: ${frame.error}`)
    if (!frame.file) throw new Error(`${path}: frame ${frame.frameNumber} does not name its file`)
    photos.set(basename(frame.file), frame.persons.map(toPose))
  }
  return photos
}

/** Runs the command line on the photos; the file it wrote. */
function predict(photos, folder, overlay, extra) {
  const out = join(folder, 'poses.json')
  const args = [join(root, 'bin/pose4d.mjs'), 'process', photos, '--out', out, ...extra]
  if (overlay) {
    mkdirSync(overlay, { recursive: true })
    args.push('--overlay', `${overlay}/`)
  }
  const done = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (done.status !== 0) throw new Error(`pose4d process ended with ${done.status ?? done.signal}`)
  return out
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    args: process.argv.slice(2).slice(0, cut(process.argv.slice(2))),
    options: {
      goldens: { type: 'string' },
      overlay: { type: 'string' },
      all: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      curve: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return console.log(HELP)
  const given = process.env.POSE4D_GOLDENS
  const goldens = values.goldens ?? (given && join(given, 'blazepose'))
  if (!goldens) throw new Error('name the folder in --goldens or set POSE4D_GOLDENS')
  const people = JSON.parse(readFileSync(join(goldens, 'people.json'), 'utf8'))
  if (values.curve) return curve(people, join(goldens, 'photos'))
  const temp = mkdtempSync(join(tmpdir(), 'pose4d-people-'))
  try {
    const extra = process.argv.slice(2).slice(cut(process.argv.slice(2)) + 1)
    const file = positionals[0] ?? predict(join(goldens, 'photos'), temp, values.overlay, extra)
    report(people, readPoses(file), { goldens, ...values })
  } finally {
    rmSync(temp, { recursive: true, force: true })
  }
}

const CURVE = [0.05, 0.1, 0.14, 0.18, 0.22, 0.26, 0.3, 0.35, 0.4, 0.5]

/** The annotated photos, each on its own, once for every threshold. */
async function curve(people, photos) {
  const { createEngine } = await import('../index.mjs')
  const names = Object.keys(people).sort()
  const frames = names.map((name, frameNumber) => ({ frameNumber, imagePath: join(photos, name) }))
  console.log('minQualityPhoto  recall  false per true')
  for (const minQualityPhoto of CURVE) {
    const engine = await createEngine({ blazepose: { minQualityPhoto } })
    const results = await engine.processFrames(frames, { tracking: false })
    await engine.close()
    const scores = results.map(({ error, persons }, at) => {
      if (error) throw new Error(`${names[at]}: ${error}`)
      return score(people[names[at]], persons.map(toPose))
    })
    const sum = (key) => scores.reduce((total, each) => total + each[key], 0)
    const recall = (sum('true') / sum('people')).toFixed(3)
    const wrong = (sum('false') / sum('true')).toFixed(2)
    console.log(
      `${minQualityPhoto.toFixed(2).padStart(15)}  ${recall.padStart(6)}  ${wrong.padStart(14)}`,
    )
  }
}

/** Where the options of `pose4d process` begin. */
const cut = (args) => (args.includes('--') ? args.indexOf('--') : args.length)

function report(people, poses, { goldens, all, json }) {
  const names = all ? readdirSync(join(goldens, 'photos')).sort() : Object.keys(people).sort()
  const rows = names.map((photo) => {
    if (!existsSync(join(goldens, 'photos', photo)))
      throw new Error(`${photo} is not in ${goldens}/photos`)
    if (!poses.has(photo)) throw new Error(`no result for ${photo} among the predictions`)
    return { photo, ...score(people[photo] ?? [], poses.get(photo)) }
  })
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0)
  const total = {
    people: sum('people'),
    true: sum('true'),
    false: sum('false'),
    ignored: sum('ignored'),
  }
  total.recall = total.true / total.people
  total.falsePerTrue = total.false / total.true
  if (json) return console.log(JSON.stringify({ rows, total }, null, 2))
  const line = (photo, row, best) =>
    console.log(
      `${photo.padEnd(50)} ${String(row.people).padStart(6)} ${String(row.true).padStart(5)} ` +
        `${String(row.false).padStart(6)} ${String(row.ignored).padStart(8)}  ${best}`,
    )
  line('photo', { people: 'people', true: 'true', false: 'false', ignored: 'ignored' }, 'best OKS')
  for (const row of rows) line(row.photo, row, row.best.map((value) => value.toFixed(2)).join(' '))
  line('total', total, '')
  console.log(
    `\nrecall ${total.recall.toFixed(3)} at OKS >= ${ENOUGH} over annotated body joints, ` +
      `${total.falsePerTrue.toFixed(2)} false poses per true one`,
  )
  console.log(
    'A pose of somebody who is really there but not annotated counts as false, unless half of it\n' +
      'lies in the box of a person annotated without joints (then: ignored).',
  )
}

await main().catch((error) => {
  console.error(`eval_people: ${error.message}`)
  process.exitCode = 1
})
