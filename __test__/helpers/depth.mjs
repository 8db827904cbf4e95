// Depth networks in small: random weights in the releases' layout, from tests/fixtures/goldens.

import { golden } from './humans.mjs'

/** By name in torch.hub. */
export const FILES = {
  DPT_Large: golden('dpt/a/dpt_large_tiny.pt'),
  DPT_Hybrid: golden('dpt/dpt_hybrid_tiny/dpt_hybrid_384.pt'),
  MiDaS: golden('dpt/midas_tiny/midas_v21_384.pt'),
  MiDaS_small: golden('dpt/midas_small_tiny/midas_v21_small_256.pt'),
}

/** Of an engine: fp32, so that equal is equal to the bit whatever the machine. */
export const depthConfig = (more) => ({
  model: 'blazepose',
  modelVariant: 'fast',
  threads: 2,
  depth: { model: 'MiDaS_small', precision: 'fp32', files: FILES, ...more },
})

/** A picture with something in it: stripes, waves and a disc, different for each seed. */
export function pattern(frameNumber, { width = 160, height = 120, seed = frameNumber } = {}) {
  const pixels = new Uint8Array(3 * width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 3 * (y * width + x)
      pixels[at] = 127 + 120 * Math.sin((x + 7 * seed) / 9)
      pixels[at + 1] = (x * 3 + y * 5 + 11 * seed) % 256
      pixels[at + 2] = Math.hypot(x - width / 2, y - height / 2) < height / 3 ? 230 : 30
    }
  }
  return { frameNumber, pixels, width, height }
}
