// The pieces of `pose4d models` on their own: sizes, progress lines, trees of tensors.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { parameters, tensorTree } from '../cli/tensors.mjs'
import { Transfer } from '../cli/transfer.mjs'
import { grouped, size } from '../cli/units.mjs'

const tensor = (name, shape, dtype = 'float32') => ({ name, shape, dtype, bytes: 0 })

describe('units', () => {
  test('sizes have two or three figures and never a thousand of a unit', () => {
    for (const [bytes, text] of [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1.00 kB'],
      [999_949, '1000 kB'],
      [999_951, '1.00 MB'],
      [166_000_000, '166 MB'],
      [2_690_000_000, '2.69 GB'],
      [99_960_000_000, '100 GB'],
      [NaN, '–'],
    ])
      assert.equal(size(bytes), text, String(bytes))
    assert.equal(grouped(1234567), '1 234 567')
    assert.equal(grouped(123), '123')
  })
})

describe('tensor tree', () => {
  test('blocks that are alike are drawn once, chains are one line', () => {
    const tensors = [tensor('backbone.pos_embed', [1, 193, 1280])]
    for (let i = 0; i < 12; i++) {
      tensors.push(tensor(`backbone.blocks.${i}.attn.qkv.weight`, [3840, 1280]))
      tensors.push(tensor(`backbone.blocks.${i}.attn.qkv.bias`, [3840]))
    }
    tensors.push(tensor('head.deep.only.child', [2, 3], 'int64'))
    assert.deepEqual(tensorTree(tensors), [
      '  backbone',
      '    pos_embed           [1, 193, 1280] float32',
      '    blocks.0–11.attn.qkv',
      '      weight            [3840, 1280] float32',
      '      bias              [3840] float32',
      '  head.deep.only.child  [2, 3] int64',
    ])
  })

  test('a block that differs stands alone', () => {
    const tensors = [0, 1, 2, 3].map((i) => tensor(`b.${i}.w`, [i === 2 ? 9 : 4]))
    assert.deepEqual(tensorTree(tensors), [
      '  b',
      '    0–1.w  [4] float32',
      '    2.w    [9] float32',
      '    3.w    [4] float32',
    ])
  })

  test('a name that is also the beginning of another; many tensors; deep names', () => {
    assert.deepEqual(tensorTree([tensor('a', []), tensor('a.b', [1])]), [
      '  a    [] float32',
      '    b  [1] float32',
    ])
    const many = Array.from({ length: 100_000 }, (_, i) => tensor(`l${i}`, [1]))
    assert.equal(tensorTree(many).length, 100_000)
    const deep = tensor(Array(2000).fill('x').join('.'), [1])
    assert.equal(tensorTree([deep]).length, 1)
    assert.equal(parameters([tensor('a', []), tensor('b', [2, 3])]), 7)
  })
})

describe('transfer', () => {
  const screen = (isTTY, columns = 120) => ({
    isTTY,
    columns,
    text: '',
    write(part) {
      this.text += part
    },
  })
  const event = (loaded, more) => ({
    phase: 'download',
    model: 'hmr2',
    file: 'hmr2_data.tar.gz',
    loaded,
    total: 2_500_000_000,
    ...more,
  })

  test('a terminal gets one line redrawn, with rate and time left, and what is done stays', () => {
    const stream = screen(true)
    let now = 0
    const transfer = new Transfer({ stream, env: { NO_COLOR: '1' }, now: () => now })
    transfer.update(event(500_000_000))
    now = 50_000
    transfer.update(event(1_000_000_000, { bytesPerSecond: 10_000_000, etaSeconds: 150 }))
    assert.match(
      stream.text,
      /████████░{12} {2}hmr2_data\.tar\.gz: downloading {2}40% {2}1\.00 GB of 2\.50 GB {2}10\.0 MB\/s {2}2:30 left$/,
    )
    assert.ok(!stream.text.includes('\n'))
    assert.ok(stream.text.startsWith('\r\x1b[2K'))
    now = 200_000
    transfer.update(event(2_500_000_000))
    transfer.update(event(2_500_000_000))
    const end = /hmr2_data\.tar\.gz: downloaded 2\.50 GB in 3:20 \(10\.0 MB\/s\)\n/
    assert.match(stream.text, end)
    assert.equal(stream.text.split('\n').length, 2)
  })

  test('no line is wider than the terminal', () => {
    const stream = screen(true, 40)
    new Transfer({ stream, env: {} }).update(event(1, { bytesPerSecond: 1e6, etaSeconds: 2500 }))
    for (const line of stream.text.split('\r\x1b[2K')) assert.ok(line.length < 40, line)
  })

  test('elsewhere a plain line now and then, and one at the end', () => {
    const stream = screen(false)
    let now = 0
    const transfer = new Transfer({ stream, env: {}, now: () => now })
    for (; now < 12_000; now += 100) transfer.update(event(now * 1000))
    assert.equal(stream.text.split('\n').length - 1, 2)
    transfer.update(event(2_500_000_000))
    assert.match(stream.text, /hmr2_data\.tar\.gz: downloaded 2\.50 GB in 0:12/)
    assert.ok(!stream.text.includes('\x1b') && !stream.text.includes('\r'))
  })

  test('quiet is quiet; a size that is not known is not made up', () => {
    const quiet = screen(true)
    new Transfer({ stream: quiet, quiet: true, env: {} }).update(event(1))
    assert.equal(quiet.text, '')
    const open = screen(true)
    new Transfer({ stream: open, env: {} }).update(event(1000, { total: undefined }))
    assert.match(open.text, /downloading {2}1\.00 kB$/)
  })
})
