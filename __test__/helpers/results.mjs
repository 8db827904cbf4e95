// What a result says about its frame, apart from how long it took.

/** A copy without times: equal results are then equal bit for bit, NaN and -0 included. */
export function measured(result) {
  const { processingTimeMs, timings, ...rest } = result
  return structuredClone(rest)
}
