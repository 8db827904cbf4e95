// Sizes and rates as people read them, in powers of a thousand as disks and networks count.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

export function size(bytes) {
  if (!Number.isFinite(bytes)) return '–'
  let [value, unit] = [bytes, 0]
  // 999.95 would be shown as 1000.0.
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

/** From megabytes as the old model manager counted them: 1024 × 1024 bytes. */
export const megabytes = (value) => size(value * 2 ** 20)

export const rate = (bytesPerSecond) => `${size(bytesPerSecond)}/s`

/** `1 file`, `3 files`. */
export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`

/** A whole number with thin gaps, as 2 500 000. */
export const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ' ')
