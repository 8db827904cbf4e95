#!/usr/bin/env node
// How well frames that show nobody are covered: a real clip, of which runs of frames are hidden from
// the detector (an empty list of boxes), against the same clip unhidden.
//
//   node scripts/eval_gaps.mjs clip.mp4 [--gaps 1,third,3,5,10,30] [--leads 5,10,30] [--smoothing] [--json]
//
// For each gap length (`third`: every third frame): the mean distance of the joints (millimetres, about
// the middle of the hips) of predicted records (mode 'online'), interpolated ones ('offline'), and of the
// last pose held; the same for hidden beginnings (`--leads`), against the first pose held; and what
// `trackingConfidence` is worth: the share of records of about that confidence that are right. `beside` is
// what is left where both neighbours of a frame are known from the truth itself: the tremble of the
// poses, below which nothing that is filled in can come. `best`: what the best fixed combination of the frames
// around a gap would reach, fitted to this very clip (gap_bound.mjs). `switches`: people who became somebody else.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import pose4d from '../index.js'
import { bestLinear } from './gap_bound.mjs'

/** Frames seen between two gaps, enough to be followed again. */
const SEEN_BETWEEN = 20
/** A record is right if its joints are within this of the truth on average, millimetres … */
const RIGHT_MM = 150
/** … and its box lies on the true one by this part. */
const RIGHT_OVERLAP = 0.5
const BINS = 5

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    gaps: { type: 'string', default: '1,third,3,5,10,30' },
    leads: { type: 'string', default: '5,10,30' },
    smoothing: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
if (positionals.length === 0) {
  console.error(
    'usage: node scripts/eval_gaps.mjs clip.mp4… [--gaps 1,third,3] [--leads 5] [--json]',
  )
  process.exit(2)
}

function framesOf(clip, folder) {
  const args = ['-v', 'error', '-i', clip, '-q:v', '2', join(folder, '%06d.jpg')]
  const done = spawnSync('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (done.status !== 0) throw new Error(`ffmpeg could not read ${clip}`)
  const files = readdirSync(folder).sort()
  return files.map((file, frameNumber) => ({ frameNumber, imagePath: join(folder, file) }))
}

function overlap([a1, b1, a2, b2], [c1, d1, c2, d2]) {
  const [width, height] = [Math.min(a2, c2) - Math.max(a1, c1), Math.min(b2, d2) - Math.max(b1, d1)]
  if (width <= 0 || height <= 0) return 0
  const both = width * height
  return both / ((a2 - a1) * (b2 - b1) + (c2 - c1) * (d2 - d1) - both)
}

/** Mean distance of joints, millimetres. */
function apart(a, b) {
  let sum = 0
  const count = Math.min(a.joints3d.length, b.joints3d.length) / 3
  for (let i = 0; i < count; i++)
    sum += Math.hypot(...[0, 1, 2].map((k) => a.joints3d[3 * i + k] - b.joints3d[3 * i + k]))
  return (1000 * sum) / count
}

/** Hidden frames: runs of `gap`, each with frames enough before and behind. */
function hidden(count, gap) {
  const runs = []
  if (gap === 'third') {
    for (let at = SEEN_BETWEEN; at + 1 < count; at += 3) runs.push(at)
    return runs
  }
  for (let at = SEEN_BETWEEN; at + gap + SEEN_BETWEEN <= count; at += gap + SEEN_BETWEEN)
    runs.push(at)
  return runs
}

const isSeen = (person) => person.source === 'detected' || person.source === 'recovered'
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length

/** People of the truth who are somebody else for a time, in frames in which both runs see somebody. */
function switches(truth, results) {
  const known = new Map()
  let count = 0
  for (const [n, { persons }] of truth.entries()) {
    for (const person of persons.filter(isSeen)) {
      const same = results[n].persons.find((p) => isSeen(p) && overlap(p.box, person.box) > 0.6)
      if (!same) continue
      if ((known.get(person.trackId) ?? same.trackId) !== same.trackId) count++
      known.set(person.trackId, same.trackId)
    }
  }
  return count
}

/** The beginning hidden: what is guessed backward from the first sight. */
async function measureLead(engine, frames, truth, lead) {
  const given = frames.map((frame, n) => (n < lead ? { ...frame, boxes: [] } : frame))
  const results = await engine.processFrames(given, { mode: 'offline' })
  const found = { lead, frames: 0, missed: 0, errors: [], held: [], records: [] }
  for (let n = 0; n < lead; n++) {
    for (const person of truth[n].persons.filter(isSeen)) {
      const later = truth[lead].persons.find((p) => p.trackId === person.trackId)
      const first = later && results[lead].persons.find((p) => overlap(p.box, later.box) > 0.5)
      if (!first || !isSeen(later) || !isSeen(first)) continue
      compare(found, results[n], first, person)
    }
  }
  return found
}

async function measure(engine, frames, truth, gap, mode) {
  const runs = hidden(frames.length, gap)
  const length = gap === 'third' ? 1 : gap
  const isHidden = new Set(runs.flatMap((at) => Array.from({ length }, (_, i) => at + i)))
  const given = frames.map((frame, n) => (isHidden.has(n) ? { ...frame, boxes: [] } : frame))
  const results = await engine.processFrames(given, { mode })
  const found = { gap, mode, frames: 0, missed: 0, errors: [], held: [], records: [] }
  if (results.length !== frames.length) throw new Error(`${results.length} of ${frames.length}`)
  for (const start of runs) {
    for (let n = start; n < start + length; n++) judge(found, truth, results, start, n)
  }
  found.switches = switches(truth, results)
  return found
}

/** Everybody truly there in hidden frame `n` whom the last seen frame, `start - 1`, showed. */
function judge(found, truth, results, start, n) {
  for (const person of truth[n].persons.filter(isSeen)) {
    const before = truth[start - 1].persons.find((p) => p.trackId === person.trackId)
    const known = before && results[start - 1].persons.find((p) => overlap(p.box, before.box) > 0.5)
    if (!before || !isSeen(before) || !known) continue
    compare(found, results[n], known, person)
  }
}

/** The record of a hidden person, known elsewhere as `known`, against the truth. */
function compare(found, result, known, person) {
  found.frames++
  found.held.push(apart(known, person))
  const record = result.persons.find((p) => p.trackId === known.trackId)
  if (!record) {
    found.missed++
    return
  }
  const error = apart(record, person)
  found.errors.push(error)
  const right = error <= RIGHT_MM && overlap(record.box, person.box) >= RIGHT_OVERLAP
  found.records.push({ confidence: record.trackingConfidence, right })
}

/** How far poses are from the middle of their own neighbours: what nobody can foresee. */
function beside(truth) {
  const distances = []
  for (let n = 1; n + 1 < truth.length; n++) {
    for (const person of truth[n].persons.filter(isSeen)) {
      const [a, b] = [n - 1, n + 1].map((at) =>
        truth[at].persons.find((p) => p.trackId === person.trackId && isSeen(p)),
      )
      if (!a || !b) continue
      distances.push(apart({ joints3d: a.joints3d.map((v, i) => (v + b.joints3d[i]) / 2) }, person))
    }
  }
  return distances
}

/** Everybody's joints, millimetres, in frames in a row in which they were seen. */
function runsOf(truth) {
  const open = new Map()
  const runs = []
  for (const { persons } of truth) {
    const seen = new Map(persons.filter(isSeen).map((person) => [person.trackId, person]))
    for (const id of open.keys()) if (!seen.has(id)) open.delete(id)
    for (const [id, { joints3d }] of seen) {
      if (!open.has(id)) {
        open.set(id, [])
        runs.push(open.get(id))
      }
      open.get(id).push(joints3d.map((metres) => 1000 * metres))
    }
  }
  return runs
}

/** By confidence: how many records, their mean confidence, and the share that is right. */
function calibration(records) {
  const bins = Array.from({ length: BINS }, () => [])
  for (const record of records)
    bins[Math.min(BINS - 1, Math.floor(record.confidence * BINS))].push(record)
  return bins.map((bin, index) => ({
    from: index / BINS,
    to: (index + 1) / BINS,
    records: bin.length,
    confidence: mean(bin.map((r) => r.confidence)),
    right: mean(bin.map((r) => Number(r.right))),
  }))
}

async function evaluate(clip) {
  const folder = mkdtempSync(join(tmpdir(), 'pose4d-gaps-'))
  const { smoothing } = options
  const engine = await pose4d.createEngine({ model: 'blazepose', smoothing })
  try {
    const frames = framesOf(clip, folder)
    // Nothing of what was seen differs between the two but for the smoothing, if asked for.
    const truth = { online: await engine.processFrames(frames) }
    truth.offline = smoothing
      ? await engine.processFrames(frames, { mode: 'offline' })
      : truth.online
    const found = [{ tremble: beside(truth.offline), runs: runsOf(truth.offline) }]
    for (const gap of gaps) {
      for (const mode of ['online', 'offline'])
        found.push(await measure(engine, frames, truth[mode], gap, mode))
    }
    for (const lead of numbers(options.leads))
      found.push(await measureLead(engine, frames, truth.offline, lead))
    return found
  } finally {
    await engine.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const numbers = (text) => (text ? text.split(',').map(Number) : [])
const gaps = options.gaps.split(',').map((gap) => (gap === 'third' ? gap : Number(gap)))
const all = []
for (const clip of positionals) all.push(...(await evaluate(clip)))
const rows = gaps.map((gap) => {
  const of = (mode, list) =>
    all.filter((f) => f.gap === gap && f.mode === mode).flatMap((f) => f[list])
  const sum = (mode, key) =>
    all.filter((f) => f.gap === gap && f.mode === mode).reduce((s, f) => s + f[key], 0)
  return {
    gap,
    switches: sum('online', 'switches') + sum('offline', 'switches'),
    people: sum('offline', 'frames'),
    missed: { online: sum('online', 'missed'), offline: sum('offline', 'missed') },
    predicted: mean(of('online', 'errors')),
    interpolated: mean(of('offline', 'errors')),
    held: mean(of('offline', 'held')),
  }
})
const leads = numbers(options.leads).map((lead) => {
  const of = (key) => all.filter((f) => f.lead === lead).flatMap((f) => f[key])
  const missed = of('missed').reduce((sum, count) => sum + count, 0)
  return {
    lead,
    people: of('held').length,
    missed,
    guessed: mean(of('errors')),
    held: mean(of('held')),
  }
})
const curves = Object.fromEntries(
  [
    ['online', (f) => f.mode === 'online'],
    ['offline', (f) => f.mode === 'offline'],
    ['beginnings', (f) => f.lead !== undefined],
  ].map(([name, wanted]) => [name, calibration(all.filter(wanted).flatMap((f) => f.records))]),
)
const tremble = mean(all.flatMap((f) => f.tremble ?? []))
const runs = all.flatMap((f) => f.runs ?? [])
const best = gaps.filter((gap) => gap !== 'third').map((gap) => ({ gap, ...bestLinear(runs, gap) }))
if (options.json) console.log(JSON.stringify({ rows, best, leads, curves, tremble }, null, 2))
else {
  console.log(
    '| gap, frames | people hidden | not covered (online, offline) | switches | last pose held | predicted | interpolated | better than held |',
  )
  console.log('|---|---|---|---|---|---|---|---|')
  const mm = (value) => `${value.toFixed(1)} mm`
  for (const row of rows)
    console.log(
      `| ${row.gap} | ${row.people} | ${row.missed.online}, ${row.missed.offline} | ${row.switches} | ${mm(row.held)} | ${mm(row.predicted)} | ${mm(row.interpolated)} | ${(row.held / row.interpolated).toFixed(2)}x |`,
    )
  console.log(`\nbeside: ${mm(tremble)}\n`)
  console.log(
    '| gap, all places | last pose held | best, from before | better | best, from both sides | better |',
  )
  console.log('|---|---|---|---|---|---|')
  for (const { gap, held, before, both } of best)
    console.log(
      `| ${gap} | ${mm(held)} | ${mm(before)} | ${(held / before).toFixed(2)}x | ${mm(both)} | ${(held / both).toFixed(2)}x |`,
    )
  console.log()
  console.log('| beginning, frames | people hidden | not covered | first pose held | guessed |')
  console.log('|---|---|---|---|---|')
  for (const { lead, people, missed, held, guessed } of leads)
    console.log(`| ${lead} | ${people} | ${missed} | ${mm(held)} | ${mm(guessed)} |`)
  for (const [mode, curve] of Object.entries(curves)) {
    console.log(`\n| ${mode}: trackingConfidence | records | mean | right |\n|---|---|---|---|`)
    for (const bin of curve)
      console.log(
        `| ${bin.from.toFixed(1)} to ${bin.to.toFixed(1)} | ${bin.records} | ${bin.confidence.toFixed(2)} | ${bin.right.toFixed(2)} |`,
      )
  }
}
