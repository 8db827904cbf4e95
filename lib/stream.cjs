'use strict'
// Frames from any iterable, results in order, a bounded number in between.

const { Job, split } = require('./call.cjs')
const { invalid, native } = require('./errors.cjs')

function iteratorOf(frames) {
  const open = frames?.[Symbol.asyncIterator] ?? frames?.[Symbol.iterator]
  if (typeof open === 'function' && typeof frames !== 'string') return open.call(frames)
  if (typeof frames?.getReader === 'function') return iteratorOfReader(frames.getReader())
  throw invalid('stream() takes an AsyncIterable, an Iterable or a ReadableStream of frames')
}

/** For ReadableStreams that are not iterable themselves. */
function iteratorOfReader(reader) {
  return {
    next: () => reader.read(),
    return: async () => {
      await reader.cancel()
      return { done: true, value: undefined }
    },
  }
}

/** Resolves with where it comes from, never rejects: so it can wait in a race more than once. */
const labelled = (kind, promise) =>
  promise.then(
    (value) => ({ kind, value }),
    (error) => ({ kind, failed: true, error }),
  )

/**
 * Waits for the first of several, or for the signal. Not `Promise.race` with a promise of the
 * signal: that one never settles, and would keep every frame that ever won against it.
 */
class Waiting {
  #signal
  #wake = () => {}

  constructor(signal, cleanUps) {
    this.#signal = signal
    const tell = () => this.#wake(this.#aborted())
    signal?.addEventListener('abort', tell, { once: true })
    cleanUps.push(() => signal?.removeEventListener('abort', tell))
  }

  /** What the first of the labelled promises brings, or `{ kind: 'aborted', error }`. */
  first(promises) {
    if (this.#signal?.aborted) return this.#aborted()
    return new Promise((resolve) => {
      this.#wake = resolve
      for (const promise of promises) promise.then(resolve)
    })
  }

  #aborted() {
    return { kind: 'aborted', error: this.#signal.reason }
  }
}

function checkInFlight(maxInFlight, usual) {
  if (maxInFlight === undefined) return usual
  if (Number.isSafeInteger(maxInFlight) && maxInFlight >= 1) return maxInFlight
  throw invalid(`options.maxInFlight must be a whole number, 1 or more, but is ${maxInFlight}`)
}

/**
 * @param nativeEngine the addon's engine
 * @param usual frames on their way where the caller does not say
 * @param onTaken of an offline stream: told after each frame that was followed; waited for
 */
async function* stream(nativeEngine, frames, options, { usual, onTaken }) {
  const { rest, ...concerns } = split(options)
  const { maxInFlight, ...settings } = rest
  const limit = checkInFlight(maxInFlight, usual)
  const offline = settings.mode === 'offline'
  const job = new Job(concerns)
  const cleanUps = [() => job.release()]
  let source
  let pull
  let next
  let ended = false
  let inFlight = 0
  try {
    const session = native(() => nativeEngine.openStream(job.native, settings))
    cleanUps.push(() => session.close())
    source = iteratorOf(frames)
    const waiting = new Waiting(concerns.signal, cleanUps)
    for (;;) {
      if (!ended && !pull && inFlight < limit) {
        pull = labelled(
          'frame',
          Promise.resolve().then(() => source.next()),
        )
      }
      if (inFlight > 0 && !next)
        next = labelled('result', offline ? session.taken() : session.next())
      if (!pull && !next) break
      const { kind, value, failed, error } = await waiting.first([next, pull].filter(Boolean))
      if (kind === 'aborted') throw error
      if (kind === 'frame') pull = undefined
      else next = undefined
      if (failed) {
        if (kind === 'frame') ended = true
        throw job.reason(error)
      }
      if (kind === 'result') {
        if (value === null || value === false) break
        inFlight--
        if (offline) await onTaken?.()
        else yield value
      } else if (value.done) {
        ended = true
        session.end()
      } else {
        native(() => session.push(value.value))
        inFlight++
      }
    }
    if (offline) yield* final(session, job, new Waiting(concerns.signal, cleanUps))
  } finally {
    for (const cleanUp of cleanUps) cleanUp()
    // Not awaited: a source that hangs in next() would hold its consumer here for ever.
    if (source && !ended) {
      Promise.resolve()
        .then(() => source.return?.())
        .catch(() => {})
    }
  }
}

/** What an offline stream comes to, once all its frames are followed. */
async function* final(session, job, waiting) {
  for (;;) {
    const next = labelled('result', session.next())
    const { kind, value, failed, error } = await waiting.first([next])
    if (kind === 'aborted') throw error
    if (failed) throw job.reason(error)
    if (value === null) return
    yield value
  }
}

module.exports = { stream }
