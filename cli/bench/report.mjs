// The figures of a bench as a table for people.
import { table } from '../summary.mjs'
import { size } from '../units.mjs'

const ms = (value) =>
  value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3)

export function reportText(report) {
  const { machine, libtorch, threads, device, weights, image, rows, whole, missing, peers } = report
  const parts = [
    `${machine}, ${threads} threads, libtorch ${libtorch ?? 'unknown'}, ${device}`,
    `weights: ${weights}`,
  ]
  if (image) parts.push(`image: ${image.path ?? 'noise'}, ${image.width} x ${image.height}`)
  for (const [name, version] of Object.entries(peers ?? {}))
    parts.push(`beside the original ${name}: ${version}`)
  const loads = rows.filter(({ stage }) => stage === 'load')
  if (loads.length > 0) parts.push('', 'loading', loadTable(loads))
  const stages = rows.filter(({ stage }) => stage !== 'load')
  if (stages.length > 0) parts.push('', 'stages', stageTable(stages))
  const beside = rows.flatMap((row) => (row.peer ?? []).map((peer) => ({ ...row, ...peer })))
  if (beside.length > 0) parts.push('', 'beside the original, in rounds', peerTable(beside))
  for (const row of whole) parts.push('', wholeText(row))
  if (missing.length > 0) parts.push('')
  for (const { name, why } of missing) parts.push(`not measured: ${name}: ${why}`)
  return parts.join('\n')
}

const loadTable = (rows) =>
  table(
    ['network', 'precision', 'seconds', 'weights', 'peak memory'],
    rows.map((row) => [
      row.network,
      row.precision,
      row.loadSeconds.toFixed(2),
      size(row.weightBytes),
      size(row.peakRss),
    ]),
    ['network', 'precision'],
  )

const stageTable = (rows) =>
  table(
    [
      'stage',
      'precision',
      'batch',
      'ms',
      'ms each',
      'GFLOP',
      'GFLOP/s',
      'of matrix rate',
      'peak memory',
      'beside weights',
    ],
    rows.map((row) => [
      row.title,
      row.precision ?? '',
      row.batch === undefined ? '' : String(row.batch),
      ms(row.ms),
      row.batch > 1 ? ms(row.ms / row.batch) : '',
      row.gflop === undefined ? '' : row.gflop.toFixed(row.gflop < 10 ? 2 : 0),
      row.gflopPerSecond === undefined ? '' : row.gflopPerSecond.toFixed(0),
      row.share === undefined
        ? ''
        : `${(100 * row.share).toFixed(0)}% of ${row.matrixGflopPerSecond.toFixed(0)}`,
      row.peakRss === undefined ? '' : size(row.peakRss),
      row.peakRss === undefined ? '' : size(Math.max(row.peakRss - row.rssBefore, 0)),
    ]),
    ['stage', 'precision'],
  )

const peerTable = (rows) =>
  table(
    ['stage', 'precision', 'batch', 'ms', 'original in', 'its ms', 'times as fast'],
    rows.map((row) => [
      row.title,
      row.precision,
      String(row.batch),
      ms(row.ms),
      row.task,
      ms(row.theirMs),
      row.ratio.toFixed(2),
    ]),
    ['stage', 'precision', 'original in'],
  )

function wholeText({
  model,
  ms: time,
  firstMs,
  loadSeconds,
  persons,
  peakRss,
  memoryPlan,
  note,
  timings,
}) {
  const lines = [
    `${model}, frame to result: ${ms(time)} ms (first ${ms(firstMs)} ms, ${persons} ${persons === 1 ? 'person' : 'people'}); loaded in ${loadSeconds.toFixed(2)} s; peak memory ${size(peakRss)}`,
  ]
  const parts = Object.entries(timings ?? {}).map(([stage, value]) => `${stage} ${ms(value)}`)
  if (parts.length > 0) lines.push(`  ${parts.join(', ')} ms`)
  if (note) lines.push(`  ${note}`)
  for (const part of memoryPlan?.models ?? [])
    lines.push(
      `  ${part.name}: ${part.precision} on ${part.device}, ${part.residence === 'resident' ? 'resident' : 'on demand'}, ${size(part.weightBytes)}`,
    )
  return lines.join('\n')
}
