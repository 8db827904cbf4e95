// Parts of many machines that need no Redis: shards read as the whole video is, and how far ahead is looked.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import zlib from 'node:zlib'
import { workerOptions } from '../cli/worker.mjs'
import probing from '../lib/video/probe.cjs'
import reading from '../lib/video/read.cjs'
import finding from '../service/redis/find.cjs'
import logs from '../service/redis/log.cjs'
import looking from '../service/redis/looks.cjs'
import sharding from '../service/redis/shards.cjs'
import { breakPacket, CLIP, card, needsFfmpeg, uneven } from './helpers/videos.mjs'

const scratch = mkdtempSync(join(tmpdir(), 'pose4d-shards-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const at = (name) => join(scratch, name)

const told = ({ frameNumber, timestampMs, problem, pixels }) => [
  frameNumber,
  timestampMs,
  Boolean(problem),
  problem ? undefined : zlib.crc32(pixels),
]

async function all(frames) {
  const list = []
  for await (const frame of frames) list.push(told(frame))
  return list
}

const VIDEOS = {
  'a clip': () => CLIP,
  'frames stored out of order': () => card(at('card.mp4'), { seconds: 3, gop: 15 }),
  'one key frame for all': () => card(at('long.mp4'), { seconds: 3, gop: 500 }),
  'a rate that is no whole number': () => card(at('ntsc.mkv'), { rate: '30000/1001', seconds: 3 }),
  'frames at uneven times': () => uneven(at('uneven.mp4')),
}
for (const [name, make] of Object.entries(VIDEOS))
  test(`shards are read as the whole is: ${name}`, needsFfmpeg, async () => {
    const video = make()
    const info = await probing.probeVideo(video)
    // As of a file too long to have its packets counted, where times say all.
    const { stamps, ...stream } = info.stream
    const steady = info.variableFrameRate ? [] : [{ ...info, stream }]
    for (const known of [info, ...steady])
      for (const every of [1, 3]) {
        const whole = await all(new reading.VideoReader(video, known, { every }).frames())
        const shards = new sharding.Shards(8)
        const parts = []
        for (let shard = 0; shard < shards.count(whole.length); shard++) {
          const range = shards.range(shard, known, { every })
          const part = await all(finding.framesOf(video, known, range))
          assert.ok(part.every(([number]) => shards.of(number, { every }) === shard))
          parts.push(...part)
        }
        assert.deepEqual(parts, whole, `every ${every}`)
        const beyond = shards.range(shards.count(whole.length) + 1, info, { every })
        assert.deepEqual(beyond ? await all(finding.framesOf(video, info, beyond)) : [], [])
      }
  })

test('of a damaged video the good frames are the same', needsFfmpeg, async () => {
  const video = at('damaged.mp4')
  breakPacket(card(at('good.mp4'), { seconds: 3 }), 40, video)
  const info = await probing.probeVideo(video)
  const whole = await all(new reading.VideoReader(video, info).frames())
  assert.ok(whole.some(([, , problem]) => problem))
  const shards = new sharding.Shards(8)
  const parts = []
  for (let shard = 0; shard < shards.count(whole.length); shard++)
    parts.push(...(await all(finding.framesOf(video, info, shards.range(shard, info, {})))))
  // Where they differ, whoever follows the clip sees it by the digest and looks himself.
  const known = new Map(parts.map(([number, ...rest]) => [number, JSON.stringify(rest)]))
  const same = whole.filter(([number, ...rest]) => known.get(number) === JSON.stringify(rest))
  assert.ok(same.length > 0.8 * whole.length, `${same.length} of ${whole.length}`)
})

const KEY = 'key'
const pixels = Buffer.from([1, 2, 3])
const frame = (frameNumber) => ({ frameNumber, timestampMs: 40 * frameNumber, pixels })

/** A store in which every shard is done at once, with so many bytes of looks. */
function done(bytes, change = (entry) => entry) {
  const ordered = []
  const good = (n) => ({
    ...{ key: KEY, index: n, timestampMs: 40 * n, digest: zlib.crc32(pixels) },
    look: zlib.deflateRawSync(`look ${n}`),
  })
  return {
    ordered,
    store: {
      shardAccount: async (_, shard) => (ordered.includes(shard) ? { bytes } : undefined),
      look: async (_, __, n) => change(good(n)),
    },
    queues: { find: async (_, shard) => ordered.push(shard) },
  }
}

const looksOf = (way, total, log = logs.makeLog('silent')) =>
  new looking.Looks(
    {
      ...way,
      ...{ shards: new sharding.Shards(2), id: 'id', key: KEY, log },
      signal: new AbortController().signal,
    },
    { sampling: {}, total },
  )

test('looks are ordered a few shards ahead, fewer where they are large, and none beyond the end', async () => {
  const follow = async (bytes, total) => {
    const way = done(bytes)
    const looks = looksOf(way, total)
    const ahead = []
    for (let n = 0; n < 40; n++) {
      const { look } = await looks.with(frame(n), n)
      assert.equal(look.toString(), `look ${n}`)
      ahead.push(way.ordered.at(-1) - Math.floor(n / 2))
    }
    assert.deepEqual(
      way.ordered,
      [...new Set(way.ordered)].sort((a, b) => a - b),
      'each once',
    )
    return { ahead, ordered: way.ordered }
  }
  const small = await follow(1000)
  assert.ok(small.ahead.every((n) => n === 8))
  const large = await follow(60 * 2 ** 20)
  assert.deepEqual(large.ahead.slice(-8), Array(8).fill(2))
  const huge = await follow(2 ** 30)
  assert.deepEqual(huge.ahead.slice(-8), Array(8).fill(1))
  assert.equal((await follow(1000, 40)).ordered.at(-1), 19)
  assert.equal((await follow(1000, 20)).ordered.at(-1), 19, 'a video longer than it says')
})

test('a look that is not at the very same picture is left away', async () => {
  const wrong = {
    key: 'another',
    index: 5,
    timestampMs: 41,
    digest: 1,
    look: undefined,
  }
  for (const [name, value] of Object.entries(wrong)) {
    const looks = looksOf(done(9, (entry) => ({ ...entry, [name]: value })))
    assert.deepEqual(await looks.with(frame(1), 1), frame(1), name)
  }
  const nothing = looksOf(done(9, () => undefined))
  assert.deepEqual(await nothing.with(frame(1), 1), frame(1))
  const lines = []
  const log = logs.makeLog('info', (line) => lines.push(JSON.parse(line)))
  const looks = looksOf(
    done(9, () => undefined),
    4,
    log,
  )
  await looks.with(frame(0), 0)
  looks.close()
  assert.deepEqual([lines.length, lines[0].frames, lines[0].level], [1, 1, 40])
})

test('options of the command line', () => {
  const options = workerOptions(
    { redis: 'redis://a', role: 'find', concurrency: '2', root: ['/srv'], model: 'blazepose' },
    {},
  )
  assert.deepEqual(options, {
    ...{ redis: 'redis://a', role: 'find', concurrency: 2, roots: ['/srv'] },
    engineConfig: { model: 'blazepose' },
  })
  assert.equal(workerOptions({}, { POSE4D_REDIS: 'rediss://b' }).redis, 'rediss://b')
  for (const wrong of [
    {},
    { redis: 'redis://a', role: 'both' },
    { redis: 'redis://a', concurrency: '0' },
  ])
    assert.throws(() => workerOptions(wrong, {}), { exitCode: 2 })
})
