// Loads one network after the other on the test stand and times its stages.
import bench from '../../lib/bench.cjs'
import { startPeer } from './peers.mjs'

export const STAGES = ['decode', 'crop', 'detector', 'hmr2', 'smpl', 'vitpose', 'bridge', 'whole']

/** Networks in turn, their stages as the stand calls them, and which of `STAGES` asks for them. */
const NETWORKS = [
  {
    network: 'hmr2',
    needs: ['hmr2', 'config'],
    stages: [
      { stage: 'crop', of: 'crop', title: 'crop of a person', once: true },
      { stage: 'hmr2', of: 'hmr2', title: 'HMR2 whole', peer: true },
      { stage: 'hmr2Trunk', of: 'hmr2', title: 'HMR2 trunk' },
      { stage: 'hmr2Head', of: 'hmr2', title: 'HMR2 head and body' },
      { stage: 'smpl', of: 'smpl', title: 'SMPL body' },
    ],
  },
  {
    network: 'vitpose',
    needs: ['vitpose'],
    stages: [{ stage: 'vitPose', of: 'vitpose', title: 'ViTPose with mirror image' }],
  },
  {
    network: 'regnety',
    needs: ['regnety'],
    stages: [
      { stage: 'detect', of: 'detector', title: 'RegNetY detector', once: true, peer: true },
    ],
  },
  {
    network: 'vitdet',
    needs: ['vitdet'],
    stages: [
      { stage: 'detect', of: 'detector', title: 'ViTDet-H detector', once: true, peer: true },
    ],
  },
]

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Rows of figures into `report.rows`; what could not be measured, and why, into `report.missing`. */
export async function measureStages({ stand, files, given, report, note, threads }) {
  const wanted = (stage) => given.stages.includes(stage.of)
  const image = {
    do: 'image',
    path: given.photo ?? null,
    width: 1920,
    height: 1080,
    person: given.person ?? null,
  }
  const { width, height } = await stand.ask(image)
  report.image = { path: given.photo, width, height }
  if (given.stages.includes('decode')) await decode({ stand, given, report })
  for (const { network, needs, stages } of NETWORKS) {
    const asked = stages.filter(wanted)
    if (asked.length === 0) continue
    const absent = needs.filter((role) => !files[role])
    if (absent.length > 0) {
      report.missing.push({ name: network, why: `no file of ${absent.join(', ')} in the cache` })
      continue
    }
    const wantsPeer = asked.some(({ peer }) => peer)
    const peer = wantsPeer ? await startPeer(network, { given, threads, files, report }) : undefined
    try {
      for (const precision of given.precisions) {
        note(`${network} in ${precision} …`)
        const context = { stand, files, given, report, peer }
        await measureNetwork(context, { network, precision, asked }).catch((error) =>
          report.missing.push({ name: `${network} in ${precision}`, why: error.message }),
        )
      }
    } finally {
      await peer?.close()
    }
  }
  await stand.ask({ do: 'release' })
}

/** Results made in the addon and taken over by JavaScript, many at a time: one takes no time. */
export function measureBridge({ given, report }) {
  const [people, passes] = [1, 200]
  const times = []
  for (let round = 0; round <= given.repeat; round++) {
    let vertices = 0
    const start = performance.now()
    for (let pass = 0; pass < passes; pass++)
      vertices += bench.meshResult(people).persons[0].mesh.vertices.length
    times.push((performance.now() - start) / passes)
    if (vertices !== passes * 3 * 6890) throw new Error(`a mesh of ${vertices / passes} numbers`)
  }
  report.rows.push({
    title: 'bridge of a mesh result',
    stage: 'bridge',
    ms: median(times.slice(1)),
  })
}

async function decode({ stand, given, report }) {
  if (given.photo === undefined) {
    report.missing.push({ name: 'decode', why: 'no photo was given; the image is noise' })
    return
  }
  const answer = await stand.ask({ do: 'run', stage: 'decode', batch: 1, repeat: given.repeat })
  report.rows.push({ title: 'decode', stage: 'decode', ms: median(answer.ms), ...memory(answer) })
}

const memory = ({ rssBefore, rss, peakRss }) => ({ rssBefore, rss, peakRss })

async function measureNetwork(
  { stand, files, given, report, peer },
  { network, precision, asked },
) {
  const load = await stand.ask({
    do: 'load',
    network,
    path: files[network],
    config: files.config ?? null,
    body: files.body ?? null,
    regressor: files.regressor ?? null,
    precision,
    device: given.device,
  })
  const { loadSeconds, weightBytes } = load
  report.rows.push({
    title: `${network} loaded`,
    stage: 'load',
    network,
    precision,
    loadSeconds,
    weightBytes,
    ...memory(load),
  })
  // Of the machine, whatever the stage: once per batch, right before what it is compared with.
  const rates = new Map()
  const rateAt = async (batch) => {
    if (!rates.has(batch)) {
      const answer = await stand.ask({ do: 'matrix', batch, repeat: Math.max(given.repeat, 3) })
      rates.set(batch, answer.gflopPerSecond)
    }
    return rates.get(batch)
  }
  for (const stage of asked) {
    // Cropping knows no precision.
    if (stage.stage === 'crop' && precision !== given.precisions[0]) continue
    for (const batch of stage.once ? [1] : given.batches) {
      const place = { network, precision, batch }
      report.rows.push(await measure({ stand, given, rateAt, peer }, stage, place))
    }
  }
}

/** One stage; where there is a peer, each of its tasks in rounds with ours. */
async function measure({ stand, given, rateAt, peer }, { stage, title, peer: compared }, place) {
  const { network, precision, batch } = place
  const request = { do: 'run', stage, batch, repeat: given.repeat }
  const answer = await stand.ask(request)
  const row = { title, stage, network, precision, batch, ms: median(answer.ms), ...memory(answer) }
  if (answer.found !== undefined) row.found = answer.found
  if (answer.gflop) {
    row.gflop = answer.gflop
    row.gflopPerSecond = answer.gflop / (row.ms / 1e3)
    row.matrixGflopPerSecond = await rateAt(batch)
    row.share = row.gflopPerSecond / row.matrixGflopPerSecond
  }
  if (!peer || !compared) return row
  row.peer = []
  for (const task of ['fp32', 'bf16']) {
    const [ours, theirs] = [[], []]
    for (let round = 0; round < given.repeat; round++) {
      ours.push(median((await stand.ask({ ...request, repeat: 1 })).ms))
      theirs.push(await peer.ask(task, batch, given.photo))
    }
    const [ms, theirMs] = [median(ours), median(theirs)]
    row.peer.push({ task, ms, theirMs, ratio: theirMs / ms })
  }
  return row
}
