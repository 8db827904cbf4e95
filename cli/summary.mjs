// Counts what came out of a run and prints it for a reader, or as JSON.

import certificate from '../lib/summary.cjs'

const { SOURCES } = certificate
const JOINTS = ['shoulder', 'elbow', 'hip', 'knee']

const degrees = (value) => (Number.isFinite(value) ? `${Math.round(value)}°` : '–')
const metres = (value) => (Number.isFinite(value) ? `${value.toFixed(1)} m` : '–')

/** Metres from the camera to the person's pelvis. */
const distance = (person) => (person.camera ? Math.hypot(...person.camera.translation) : NaN)

/** Columns, right-aligned but for the titles in `left`; `rows` are arrays of strings. */
export function table(header, rows, left = []) {
  const columns = header.map((title, i) => {
    const width = rows.reduce((most, row) => Math.max(most, row[i].length), title.length)
    return (cell) => (left.includes(title) ? cell.padEnd(width) : cell.padStart(width))
  })
  return [header, ...rows]
    .map((row) => `  ${row.map((cell, i) => columns[i](cell)).join('  ')}`.trimEnd())
    .join('\n')
}

/** One photo: a line about it and a row for each person. */
export function photoText(name, result) {
  if (result.errorCode) return `${name}  ${result.errorCode}: ${result.error}`
  const count = result.persons.length
  const head = `${name}  ${result.frameWidth}×${result.frameHeight}  ${count === 1 ? '1 person' : `${count} people`}  ${Math.round(result.processingTimeMs)} ms`
  if (count === 0) return head
  const rows = result.persons.map((person) => [
    String(person.trackId),
    Array.from(person.box, (side) => String(Math.round(side))).join(' '),
    person.score.toFixed(2),
    metres(distance(person)),
    ...JOINTS.map(
      (joint) =>
        `${degrees(person.jointAngles3d?.[`left_${joint}`])} ${degrees(person.jointAngles3d?.[`right_${joint}`])}`,
    ),
  ])
  return `${head}\n${table(['id', 'box (x1 y1 x2 y2)', 'score', 'distance', ...JOINTS.map((joint) => `${joint} L R`)], rows)}`
}

/** What a reader of a clip's table should know besides. */
function doubts({ suspectedSwitches, suspectedSwitchCount, invariants }) {
  const lines = []
  if (suspectedSwitchCount > 0) {
    lines.push(`Suspected switches of identity: ${suspectedSwitchCount}`)
    for (const { kind, from, to, frameNumber, frames } of suspectedSwitches) {
      const how =
        kind === 'exchanged'
          ? `${from} and ${to} may have changed places`
          : `${to} may be ${from}, not seen for ${frames} frames`
      lines.push(`  frame ${frameNumber}: ${how}`)
    }
  }
  for (const [name, { holds, violations, broken }] of Object.entries(invariants))
    if (!holds) lines.push(`Does not hold: ${name} (×${violations}), first: ${broken}`)
  return lines
}

export class Summary {
  frames = 0
  failed = 0
  people = 0
  errors = new Map()
  timings = new Map()
  processingMs = 0
  modelVersion = null
  /** Set when the last result was taken. */
  complete = false
  #started = performance.now()

  /** `engine`: whose meshes are to be whole, where there are to be any. */
  constructor({ tracked, engine }) {
    this.tracked = tracked
    this.coverage = new certificate.Summary({
      tracking: tracked,
      vertices: () => certificate.vertexCount(engine?.meshFaces),
    })
  }

  add(result, name, { timestampMs } = {}) {
    this.modelVersion ??= result.modelVersion
    this.frames += 1
    this.coverage.take()
    this.coverage.add(result, { timestampMs })
    if (result.errorCode) {
      this.failed += 1
      const seen = this.errors.get(result.errorCode) ?? {
        count: 0,
        example: `${name}: ${result.error}`,
      }
      this.errors.set(result.errorCode, { ...seen, count: seen.count + 1 })
      return
    }
    this.people += result.persons.length
    this.processingMs += result.processingTimeMs
    for (const [stage, ms] of Object.entries(result.timings ?? {}))
      this.timings.set(stage, (this.timings.get(stage) ?? 0) + ms)
  }

  toJSON() {
    const seconds = (performance.now() - this.#started) / 1000
    const good = Math.max(this.frames - this.failed, 1)
    const coverage = this.tracked && this.coverage.report({ complete: this.complete })
    return {
      complete: this.complete,
      frames: this.frames,
      failed: this.failed,
      people: this.people,
      model: this.modelVersion,
      ...(this.tracked && {
        tracks: coverage.tracks.map((track) => ({
          trackId: track.trackId,
          frames: track.records,
          first: track.firstFrame,
          last: track.lastFrame,
          gaps: track.gapCount,
          ...track.sources,
        })),
        coverage,
      }),
      errors: Object.fromEntries([...this.errors].map(([code, { count }]) => [code, count])),
      seconds: Number(seconds.toFixed(3)),
      framesPerSecond: Number((this.frames / seconds).toFixed(2)),
      processingTimeMs: Number((this.processingMs / good).toFixed(2)),
      timings: Object.fromEntries(
        [...this.timings].map(([stage, ms]) => [stage, Number((ms / good).toFixed(2))]),
      ),
    }
  }

  text() {
    const sum = this.toJSON()
    const lines = []
    const frames = sum.frames === 1 ? '1 frame' : `${sum.frames} frames`
    lines.push(
      `${frames} in ${sum.seconds.toFixed(1)} s (${sum.framesPerSecond.toFixed(1)} per second)${sum.model ? `, model ${sum.model}` : ''}`,
    )
    if (sum.tracks?.length === 0) lines.push('Nobody was found.')
    if (sum.tracks?.length > 0) lines.push(this.#trackTable(sum))
    if (sum.coverage) lines.push(...doubts(sum.coverage))
    if (sum.failed > 0) {
      lines.push(`${sum.failed} failed:`)
      for (const [code, { count, example }] of this.errors)
        lines.push(`  ${code} ×${count}, first ${example}`)
    }
    const stages = Object.entries(sum.timings).map(([stage, ms]) => `${stage} ${ms.toFixed(1)}`)
    if (stages.length > 0)
      lines.push(
        `Mean time of a frame: ${sum.processingTimeMs.toFixed(1)} ms (${stages.join(', ')})`,
      )
    return lines.join('\n')
  }

  #trackTable({ tracks, frames, coverage }) {
    const rows = tracks.map((track, i) => [
      String(track.trackId),
      String(track.frames),
      `${Math.round((100 * track.frames) / frames)}%`,
      ...SOURCES.map((source) => String(track[source])),
      `${track.first}–${track.last}`,
      String(track.gaps),
      String(coverage.tracks[i].longestGap),
    ])
    return table(['track', 'frames', 'of clip', ...SOURCES, 'first–last', 'gaps', 'longest'], rows)
  }
}
