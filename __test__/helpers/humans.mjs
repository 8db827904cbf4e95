// 4D-Humans in small: a model cache of random weights under upstream's names, from the tiny networks
// in tests/fixtures/goldens.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const GOLDENS = fileURLToPath(new URL('../../tests/fixtures/goldens/', import.meta.url))
export const golden = (name) => join(GOLDENS, name)

const HMR2 = 'hmr2/logs/train/multiruns/hmr2/0'
/** Place in the cache → golden. */
export const PLACES = {
  hmr2: [`${HMR2}/checkpoints/epoch=35-step=1000000.ckpt`, 'hmr2/a/hmr2_tiny.ckpt'],
  'hmr2-config': [`${HMR2}/model_config.yaml`, 'hmr2/a/model_config.yaml'],
  'hmr2-mean-params': ['hmr2/data/smpl_mean_params.npz', 'smpl/a/smpl_mean_params.npz'],
  'hmr2-joint-regressor': ['hmr2/data/SMPL_to_J19.pkl', 'smpl/a/SMPL_to_J19.pkl.gz'],
  regnety: ['regnety/model_final_ef3a80.pkl', 'regnet/a/model_tiny_p4.pkl'],
  'smpl-neutral': ['smpl/SMPL_NEUTRAL.pkl', 'smpl/a/SMPL_NEUTRAL.pkl.gz'],
}

/** Files with a published size: named by `humans.files`, which are not held to it. */
export const VITPOSE = { 'vitpose-b': golden('vitpose/a/vitpose_tiny_classic.pth') }

/** A cache folder with all of it but what is in `without`; `put` adds or replaces bytes. */
export function humansCache({ without = [], put = {} } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'pose4d-humans-'))
  const write = (place, bytes) => {
    const path = join(root, place)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
    return path
  }
  for (const [id, [place, name]] of Object.entries(PLACES)) {
    if (without.includes(id)) continue
    const bytes = readFileSync(golden(name))
    write(place, put[id] ?? (name.endsWith('.gz') ? gunzipSync(bytes) : bytes))
  }
  return {
    cacheDir: root,
    path: (id) => join(root, PLACES[id][0]),
    write,
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}

/**
 * Random detectors are sure of nothing: with this threshold they see people all the same. What is
 * left of a machine's own caches and settings must not be seen.
 */
export const SEES = { scoreThreshold: 0.02 }

/** A NumPy array file. */
function npy(descr, shape, values) {
  const head = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`
  const length = Math.ceil((head.length + 11) / 64) * 64 - 10
  const start = Buffer.alloc(10 + length, ' ')
  start.write('\x93NUMPY\x01\x00', 0, 'latin1')
  start.writeUInt16LE(length, 8)
  start.write(`${head.padEnd(length - 1)}\n`, 10, 'latin1')
  return Buffer.concat([start, Buffer.from(values.buffer)])
}

/** PHALP's networks in small, with an atlas that spreads the body's triangles over its map: `humans.files`. */
export function phalpFiles(cache, { side = 64, triangles = 13776 } = {}) {
  const texels = side * side
  const fmap = BigInt64Array.from({ length: texels }, (_, i) =>
    i % 11 === 0 ? -1n : BigInt((i * 7919) % triangles),
  )
  const bmap = Float32Array.from({ length: 3 * texels }, (_, i) => [0.5, 0.3, 0.2][i % 3])
  const phalp = (name) => golden(`phalp/a/${name}`)
  return {
    'phalp-hmar': phalp('hmar_v2_weights.pth'),
    'phalp-pose-predictor': phalp('pose_predictor.pth'),
    'phalp-pose-predictor-config': phalp('pose_predictor.yaml'),
    'phalp-mean-std': phalp('mean_std.npy'),
    'phalp-bmap': cache.write('own/bmap_256.npy', npy('<f4', [side, side, 3], bmap)),
    'phalp-fmap': cache.write('own/fmap_256.npy', npy('<i8', [side, side], fmap)),
  }
}
