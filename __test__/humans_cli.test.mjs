// 4D-Humans on the command line, with random weights of small networks.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { humansCache } from './helpers/humans.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const sample = join(root, 'examples', 'sample.jpg')

let cache
let manifest
before(() => {
  cache = humansCache()
  // The files are not the published ones, so that they are not held to sizes and hashes of those.
  const table = JSON.parse(readFileSync(join(root, 'src/cache/manifest.json'), 'utf8'))
  table.entries = table.entries.map(({ bytes, exact, sha256, prefix, ...entry }) => entry)
  manifest = cache.write('manifest.json', JSON.stringify(table))
})
after(() => cache.remove())

const pose4d = (...args) =>
  new Promise((resolve) => {
    // Nothing of this machine's own caches is to be seen.
    const home = join(cache.cacheDir, 'home')
    const env = {
      ...process.env,
      HOME: home,
      XDG_CACHE_HOME: join(home, '.cache'),
      POSE4D_MANIFEST: manifest,
    }
    const all = [join(root, 'bin', 'pose4d.mjs'), ...args, '--cache-dir', cache.cacheDir]
    execFile(process.execPath, all, { env }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    )
  })

test('process writes bodies, meshes and a drawing', async () => {
  const [out, overlay] = ['bodies.json', 'drawn.png'].map((name) => join(cache.cacheDir, name))
  const options = ['--model', '4dhumans', '--detector', 'full-image', '--precision', 'fp32']
  const files = ['--out', out, '--overlay', overlay]
  const { code, stderr } = await pose4d(
    'process',
    sample,
    ...options,
    '--keypoints',
    'smpl24',
    '--mesh',
    ...files,
  )
  assert.equal(code, 0, stderr)
  const { model, meshFaces, frames, keypoints } = JSON.parse(readFileSync(out, 'utf8'))
  assert.deepEqual(model, { name: '4dhumans', version: '4dhumans-hmr2b-full-image' })
  assert.equal(keypoints, 'smpl24')
  assert.equal(meshFaces.length, 3 * 13776)
  const [person] = frames[0].persons
  assert.equal(person.boxSource, 'full-image')
  assert.equal(person.mesh.vertices.length, 3 * 6890)
  assert.equal(person.smpl.bodyPose.length, 207)
  assert.equal(person.keypoints[0].name, 'pelvis')
  assert.ok(readFileSync(overlay).subarray(1, 4).equals(Buffer.from('PNG')))
  const bare = join(cache.cacheDir, 'bare.json')
  await pose4d('process', sample, ...options, '--out', bare)
  const plain = JSON.parse(readFileSync(bare, 'utf8'))
  assert.equal(plain.meshFaces, undefined)
  assert.equal(plain.frames[0].persons[0].mesh, undefined)
})

test('a wrong option and missing files end with their exit codes', async () => {
  const wrong = await pose4d('process', sample, '--model', '4dhuman')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /`--model` must be one of.*Did you mean `4dhumans`/)
  const missing = await pose4d('process', sample, '--model', '4dhumans', '--detector', 'vitdet')
  assert.equal(missing.code, 3)
  assert.match(missing.stderr, /- vitdet-h \(model_final_f05665\.pkl\): was not found/)
  assert.match(missing.stderr, /pose4d warmup --model 4dhumans/)
})

test('warm-up loads the family and runs a frame', async () => {
  const args = ['warmup', '--model', '4dhumans-light', '--offline', '--precision', 'fp32']
  const { code, stdout, stderr } = await pose4d(...args, '--json', '--quiet')
  const report = JSON.parse(stdout)
  // PHALP's files are not here, and not needed to run.
  assert.equal(code, 1, stderr)
  assert.equal(report.status, 'partial')
  assert.match(report.message, /missing: phalp\. A frame went the whole way/)
  for (const name of ['hmr2', 'regnety']) {
    const model = report.models[name]
    assert.deepEqual([model.status, model.precision, model.device], ['loaded', 'fp32', 'cpu'])
    assert.ok(model.loadTimeSeconds > 0 && model.bytes > 1e5)
  }
  assert.equal(report.models.smpl.status, 'loaded')
  assert.equal(report.memoryPlan.steps[0].step, 'as wished')
  assert.deepEqual(
    report.memoryPlan.models.map(({ name }) => name),
    ['regnety', 'hmr2'],
  )
  assert.ok(existsSync(report.models.hmr2.files[0].path))
})
