'use strict'
// Depth of frames: a call, and frames that come one by one.

const { call, split } = require('./call.cjs')
const { invalid } = require('./errors.cjs')

/** Maps in memory at a time where the caller does not say: one at work, others decoded or taken. */
const USUAL = 4

/** One result per frame, in the order given. */
function estimateDepth(nativeEngine, frames, options) {
  return call(options, (job, rest) => nativeEngine.estimateDepth(job, frames, rest))
}

function checkInFlight(maxInFlight) {
  if (maxInFlight === undefined) return USUAL
  if (Number.isSafeInteger(maxInFlight) && maxInFlight >= 1) return maxInFlight
  throw invalid(`options.maxInFlight must be a whole number, 1 or more, but is ${maxInFlight}`)
}

async function* iteratorOf(frames) {
  if (typeof frames === 'string' || !(frames?.[Symbol.asyncIterator] ?? frames?.[Symbol.iterator]))
    throw invalid('streamDepth() takes an AsyncIterable or an Iterable of frames')
  yield* frames
}

/** What the source brings; rejects when the signal is triggered first. */
function until(signal, pulled) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    const settle = (answer) => {
      signal.removeEventListener('abort', stop)
      resolve(answer)
    }
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    pulled.then(settle, (error) => settle({ done: true, error }))
  })
}

/** Frames as calls of one each, so many on their way at once; results in their order. */
async function* streamDepth(nativeEngine, frames, options) {
  const { signal, timeoutMs, rest } = split(options)
  const { maxInFlight, ...settings } = rest
  const limit = checkInFlight(maxInFlight)
  const source = iteratorOf(frames)
  const stop = new AbortController()
  const both = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs
  const waiting = []
  const next = async () => (await waiting.shift())[0]
  let failed
  try {
    for (;;) {
      // What was begun before the source failed is answered first.
      const { done, value, error } = await until(both, source.next())
      failed = error && { error }
      if (done) break
      // What is left of the time; a call that is out of it says so itself.
      const left = deadline && { timeoutMs: Math.max(deadline - performance.now(), 0) }
      const estimated = estimateDepth(nativeEngine, [value], { ...settings, ...left, signal: both })
      // It is awaited in its turn; until then nobody may call it unhandled.
      estimated.catch(() => {})
      waiting.push(estimated)
      if (waiting.length >= limit) yield await next()
    }
    while (waiting.length > 0) yield await next()
    if (failed) throw failed.error
  } finally {
    stop.abort()
    // Not awaited: a source that hangs in next() would hold its consumer here for ever.
    source.return().catch(() => {})
  }
}

module.exports = { estimateDepth, streamDepth }
