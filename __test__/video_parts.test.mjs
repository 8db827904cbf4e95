// Parts of the video code that need no ffmpeg: its log, and the stream that goes to it.

import assert from 'node:assert/strict'
import test, { describe } from 'node:test'
import video from '../lib/video/log.cjs'
import matroska from '../lib/video/matroska.cjs'
import probe from '../lib/video/probe.cjs'

/** Lines as ffmpeg 5.1 writes them. */
const demuxed = (pts) =>
  `[info] demuxer -> ist_index:0 type:video next_dts:NOPTS next_dts_time:NOPTS pkt_pts:${pts} pkt_pts_time:0 pkt_dts:${pts} off:0`
const decoded = (pts) =>
  `[info] decoder -> ist_index:0 type:video frame_pts:${pts} frame_pts_time:0 best_effort_ts:${pts} best_effort_ts_time:0 keyframe:0 frame_type:2 time_base:1/10`
const config = '[Parsed_showinfo_0 @ 0x1] [info] config in time_base: 1/10, frame_rate: 10/1'
const shown = (pts) =>
  `[Parsed_showinfo_0 @ 0x1] [info] n:   0 pts:      ${pts} pts_time:0 pos: 1775 fmt:yuv420p sar:1/1 s:320x240 i:P iskey:1 type:I `
/** And as ffmpeg 9 does. */
const demuxed9 = (pts) =>
  `[vist#0:0/h264 @ 0x1] [info] demuxer -> ist_index:0:0 type:video pkt_pts:${pts} pkt_pts_time:0 pkt_dts:0 pkt_dts_time:0 duration:1 duration_time:0.1`
const decoded9 = (pts) =>
  `[vist#0:0/h264 @ 0x1] [dec:h264 @ 0x2] [info] decoder -> pts:${pts} pts_time:0.1 pkt_dts:${pts} pkt_dts_time:0.1 duration:1 duration_time:0.1 keyframe:0 frame_type:2 time_base:1/10`

/** What a log makes of lines: `number@seconds`, `!` damaged, `?` lost. */
async function frames(lines, options, whole = true) {
  const log = new video.FrameLog({ tick: 0.1, ...options })
  for (const line of lines) log.read(line)
  log.close({ whole })
  const found = []
  for (let item = await log.next(); item; item = await log.next()) {
    const mark = item.lost ? '?' : item.damaged ? '!' : ''
    found.push(`${item.number}@${item.seconds.toFixed(1)}${mark}`)
  }
  return found.join(' ')
}
const whole = (...pts) => pts.flatMap((time) => [decoded(time), shown(time)])
const BAD = '[error] Error while decoding stream #0:0: Invalid data found when processing input'

describe('the log', () => {
  test('frames in their order, whatever that of the packets', async () => {
    const lines = [config, demuxed(0), demuxed(3), demuxed(1), demuxed(2), ...whole(0, 1, 2, 3)]
    assert.equal(await frames(lines), '0@0.0 1@0.1 2@0.2 3@0.3')
  })

  test('a packet without a frame is lost, where the decoder complained', async () => {
    const packets = [0, 1, 2, 3].map(demuxed)
    assert.equal(
      await frames([config, ...packets, ...whole(0), BAD, ...whole(2, 3)]),
      '0@0.0 1@0.1? 2@0.2 3@0.3',
    )
    // At the end, too; not where ffmpeg was stopped.
    const end = [config, ...packets, ...whole(0, 1), BAD]
    assert.equal(await frames(end), '0@0.0 1@0.1 2@0.2? 3@0.3?')
    assert.equal(await frames(end, {}, false), '0@0.0 1@0.1')
    // Nothing was wrong: packets that are not to be shown.
    assert.equal(
      await frames([config, demuxed(-2), demuxed(-1), ...packets, ...whole(0, 1, 3)]),
      '0@0.0 1@0.1 2@0.3',
    )
  })

  test('a damaged frame is that which the decoder names next', async () => {
    const damage = '[warning] x.mp4: corrupt decoded frame in stream 0'
    const lines = [config, demuxed(0), demuxed(1), ...whole(0), damage, ...whole(1)]
    assert.equal(await frames(lines), '0@0.0 1@0.1!')
    // With threads the decoder is ahead of what is shown.
    const ahead = [decoded9(0), decoded9(1), damage, decoded9(2), shown(0), shown(1), shown(2)]
    assert.equal(await frames([config, ...[0, 1, 2].map(demuxed9), ...ahead]), '0@0.0 1@0.1 2@0.2!')
  })

  test('threads break into one another’s lines', async () => {
    const lines = [
      config,
      `${demuxed9(0)}decoder -> pts:0 pts_time:0 time_base:1/10`,
      `[Parsed_showinfo_0 @ 0x1] [info] n:0 pts:0 fmt:rgb24 s:320x240 i:P ${demuxed9(1)}`,
      `color_range:unknown ${decoded9(1)}`,
      ` plane ${shown(1)}`,
    ]
    assert.equal(await frames(lines), '0@0.0 1@0.1')
  })

  test('frames that were sampled away keep their numbers', async () => {
    const lines = [config, ...[0, 1, 2, 3, 4].map(demuxed), ...[0, 1, 2, 3, 4].map(decoded)]
    assert.equal(await frames([...lines, shown(1), shown(4)]), '1@0.1 4@0.4')
    const from = { start: 0.2, number: 12 }
    assert.equal(await frames([...lines, shown(2), shown(4)], from), '12@0.2 14@0.4')
  })

  test('a gap after damage is filled where the rate is constant', async () => {
    const lines = [config, ...[0, 1, 5, 9].map(demuxed), ...whole(0, 1)]
    const rest = ['[matroska,webm @ 0x1] [error] EBML length is wrong', ...whole(5, 9)]
    const filled = '0@0.0 1@0.1 2@0.2? 3@0.3? 4@0.4? 5@0.5 6@0.6? 7@0.7? 8@0.8? 9@0.9'
    assert.equal(await frames([...lines, ...rest], { step: 0.1 }), filled)
    const plain = '0@0.0 1@0.1 2@0.5 3@0.9'
    assert.equal(await frames([...lines, ...rest]), plain)
    assert.equal(await frames([...lines, ...whole(5, 9)], { step: 0.1 }), plain)
  })

  test('lines are ours, noise, or complaints', () => {
    const log = new video.FrameLog({ tick: 0.1 })
    for (const line of [demuxed(0), decoded9(0), shown(0), '[info] muxer <- type:video pkt_pts:0'])
      assert.equal(log.read(line), true, line)
    for (const line of [BAD, '[info] Stream mapping:']) assert.equal(log.read(line), false, line)
    assert.equal(log.cut, undefined)
    log.read('[matroska,webm @ 0x1] [error] File ended prematurely')
    assert.match(log.cut, /ended prematurely/)
  })
})

describe('Matroska', () => {
  test('elements say their own length', () => {
    const head = matroska.head({ width: 320, height: 240, stepMs: 40 })
    assert.equal(head.subarray(0, 4).toString('hex'), '1a45dfa3')
    const ebml = 12 + Number(head.readBigUInt64BE(4) & 0x00ffffffffffffffn)
    assert.equal(head.subarray(ebml, ebml + 12).toString('hex'), '1853806701ffffffffffffff')
    assert.ok(head.includes('V_UNCOMPRESSED'))
    assert.ok(head.includes(Buffer.from('RGB\x18', 'latin1')))
    const frame = matroska.frameHead(100, 1234.567)
    const cluster = Number(frame.readBigUInt64BE(4) & 0x00ffffffffffffffn)
    assert.equal(12 + cluster, frame.length + 100)
    // 1,234,567 ticks of a microsecond.
    assert.ok(frame.includes(Buffer.from('12d687', 'hex')))
  })
})

describe('how many frames are to come', () => {
  const info = (more) => ({ fps: 10, seconds: 10, frames: 100, ...more })
  const unscanned = { tick: 0.1, origin: 0, declared: { seconds: 10 } }
  const stamps = Float64Array.from({ length: 100 }, (_, i) => i)
  const cases = [
    [{}, 100],
    [{ every: 3 }, 34],
    [{ start: 2, end: 3 }, 10],
    [{ start: 9.5 }, 5],
    [{ fps: 5 }, 50],
    [{ fps: 50 }, 100],
    [{ start: 20 }, 0],
  ]
  for (const [options, expected] of cases) {
    test(JSON.stringify(options), () => {
      for (const stream of [unscanned, { ...unscanned, stamps }])
        assert.equal(probe.expectedFrames(info({ stream }), options), expected)
    })
  }

  test('nobody knows', () => {
    const stream = { tick: 0.1, origin: 0, declared: {} }
    const unknown = { fps: undefined, seconds: undefined, frames: undefined, stream }
    assert.equal(probe.expectedFrames(info(unknown), {}), undefined)
  })
})
