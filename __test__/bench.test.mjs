// `pose4d bench`: its arguments, its table, and a quick run of every stage with tiny networks.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { parse } from '../cli/args.mjs'
import { bench_, settings } from '../cli/bench/command.mjs'
import { reportText } from '../cli/bench/report.mjs'
import { median } from '../cli/bench/stages.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const sample = join(root, 'examples', 'sample.jpg')
const scratch = mkdtempSync(join(tmpdir(), 'pose4d-bench-test-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const asked = (...args) => settings(parse(bench_, args))

function pose4d(...args) {
  return new Promise((resolve) => {
    const all = [join(root, 'bin', 'pose4d.mjs'), ...args]
    execFile(process.execPath, all, { maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    )
  })
}

describe('arguments', () => {
  test('defaults', () => {
    const given = asked()
    assert.deepEqual(given.precisions, ['bf16', 'fp32'])
    assert.deepEqual(given.batches, [1, 8])
    assert.equal(given.random, false)
    assert.ok(given.stages.includes('hmr2') && given.stages.includes('whole'))
  })

  test('what is given is taken', () => {
    const given = asked('a.jpg', '--precision=fp32', '--batch', '2,4', '--stages=hmr2', '--tiny')
    assert.deepEqual([given.photo, given.precisions, given.batches], ['a.jpg', ['fp32'], [2, 4]])
    assert.deepEqual(given.stages, ['hmr2'])
    assert.ok(given.random && given.tiny)
    assert.deepEqual(asked('--person=1,2,3,4.5').person, [1, 2, 3, 4.5])
  })

  test('what makes no sense is refused', () => {
    for (const wrong of [
      ['--precision=fp8'],
      ['--batch=0'],
      ['--batch=1,x'],
      ['--batch=1.5'],
      ['--stages=hmr3'],
      ['--person=1,2,3'],
      ['--model=yolo'],
      ['--repeat=0'],
      ['--weights-dir=x'],
      ['--python=python3'],
      ['a.jpg', 'b.jpg'],
    ])
      assert.throws(() => asked(...wrong), { exitCode: 2 }, wrong.join(' '))
  })

  test('a photo that is not there is a mistake of the caller', async () => {
    const { code, stderr } = await pose4d('bench', join(scratch, 'none.jpg'))
    assert.equal(code, 2)
    assert.match(stderr, /none\.jpg/)
  })
})

test('the middle of an even number of figures', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(median([3, 1, 2]), 2)
})

test('the table shows a share of the matrix rate and the peer', () => {
  const text = reportText({
    machine: '2 x Test',
    libtorch: '2.11.0',
    threads: 2,
    device: 'cpu',
    weights: 'random, of full size',
    rows: [
      {
        title: 'HMR2 whole',
        stage: 'hmr2',
        precision: 'bf16',
        batch: 8,
        ms: 2000,
        gflop: 2000,
        gflopPerSecond: 1000,
        matrixGflopPerSecond: 1250,
        share: 0.8,
        rssBefore: 1e9,
        peakRss: 1.5e9,
        peer: [{ task: 'fp32', ms: 2000, theirMs: 14000, ratio: 7 }],
      },
    ],
    whole: [],
    missing: [{ name: 'vitpose', why: 'no file' }],
  })
  assert.match(text, /random, of full size/)
  assert.match(text, /HMR2 whole +bf16 +8 +2000 +250 .*80% of 1250 .*500 MB/)
  assert.match(text, /HMR2 whole +bf16 +8 +2000 +fp32 +14000 +7\.00/)
  assert.match(text, /not measured: vitpose: no file/)
})

describe('a quick run with tiny networks', () => {
  const args = ['--tiny', '--model=4dhumans', '--repeat=1', '--threads=1', '--batch=1,2', '--quiet']

  test('every stage has its row, as JSON', async () => {
    const stages = '--stages=decode,crop,detector,hmr2,smpl,vitpose,bridge'
    const { code, stdout, stderr } = await pose4d('bench', sample, ...args, stages, '--json')
    assert.equal(code, 0, stderr)
    const { rows, missing, weights } = JSON.parse(stdout)
    assert.deepEqual(missing, [])
    assert.match(weights, /mean nothing/)
    const of = (stage) => rows.filter((row) => row.stage === stage)
    for (const [stage, count] of [
      ['decode', 1],
      ['crop', 1],
      ['load', 8],
      ['hmr2', 4],
      ['hmr2Trunk', 4],
      ['hmr2Head', 4],
      ['smpl', 4],
      ['vitPose', 4],
      ['detect', 4],
      ['bridge', 1],
    ])
      assert.equal(of(stage).length, count, stage)
    for (const row of rows.filter(({ stage }) => stage !== 'load')) {
      assert.ok(row.ms > 0, row.title)
      assert.equal(row.share > 0, !['decode', 'crop', 'bridge'].includes(row.stage), row.title)
    }
    for (const { loadSeconds, weightBytes } of of('load'))
      assert.ok(loadSeconds > 0 && weightBytes > 0)
    const [bf16, fp32] = of('load').filter(({ network }) => network === 'hmr2')
    assert.ok(bf16.weightBytes < fp32.weightBytes)
  })

  test('files are kept where they are asked to be, and only there', async () => {
    const folder = join(scratch, 'weights')
    const few = [...args, '--stages=smpl', '--precision=fp32', '--weights-dir', folder]
    const { code, stdout, stderr } = await pose4d('bench', ...few)
    assert.equal(code, 0, stderr)
    assert.match(stdout, /SMPL body/)
    assert.ok(existsSync(join(folder, 'hmr2.safetensors')))
    assert.ok(!readdirSync(folder).some((name) => name.endsWith('.draft')))
  })

  test('a peer that does not run is told, and nothing else suffers', async () => {
    const script = join(scratch, 'python')
    writeFileSync(script, '#!/bin/sh\necho no torch here >&2\nexit 3\n', { mode: 0o755 })
    const peer = ['--stages=hmr2', '--precision=fp32', '--peer', scratch, '--python', script]
    const { code, stdout } = await pose4d('bench', ...args, ...peer, '--json')
    assert.equal(code, 0)
    const { rows, missing } = JSON.parse(stdout)
    assert.ok(missing.some(({ name, why }) => /original hmr2/.test(name) && /no torch/.test(why)))
    assert.ok(rows.some(({ stage }) => stage === 'hmr2'))
  })

  test('a peer that answers is compared in rounds', async () => {
    const script = join(scratch, 'peer')
    const answers = `#!/bin/sh
echo '{"ready":"a test"}'
while read line; do echo '{"ms":[1000000]}'; done
`
    writeFileSync(script, answers, { mode: 0o755 })
    const peer = ['--stages=hmr2', '--precision=fp32', '--peer', scratch, '--python', script]
    const { stdout } = await pose4d('bench', ...args, ...peer, '--json')
    const { rows, peers } = JSON.parse(stdout)
    assert.equal(peers.hmr2, 'a test')
    const whole = rows.filter(({ stage }) => stage === 'hmr2')
    assert.deepEqual(
      whole.map(({ peer }) => peer.map(({ task, theirMs }) => [task, theirMs])),
      [1, 2].map(() => [
        ['fp32', 1e6],
        ['bf16', 1e6],
      ]),
    )
    assert.ok(whole.every(({ peer }) => peer.every(({ ratio }) => ratio > 1)))
  })
})

test('without weights there is nothing to measure, and it says so', async () => {
  const none = ['--model=4dhumans', '--cache-dir', join(scratch, 'empty'), '--stages=hmr2,vitpose']
  const { code, stdout } = await pose4d('bench', ...none, '--quiet')
  assert.equal(code, 1)
  assert.match(stdout, /not measured: hmr2: no file/)
})
