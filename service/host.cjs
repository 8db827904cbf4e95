'use strict'
// The engine behind the service: given, or made when it is first needed; warmed up; its state in
// the old service's words.

const { checkNames, makeEngine } = require('./engines.cjs')

/** Of networks that the old service had: clients read them whatever the model. */
const OLD_MODELS = ['hmr2', 'vitdet']

class EngineHost {
  #settings
  #log
  #made
  #engine
  #warming
  #closed = false
  /** What the last attempt to make or warm it came to. */
  error
  /** Of the last warm-up. */
  report

  constructor(settings, log) {
    this.#settings = settings
    this.#log = log
    if (settings.engine) {
      checkNames(settings.engine, settings)
      this.#engine = settings.engine
      this.#made = Promise.resolve(settings.engine)
    }
  }

  /** A failure is not kept: the next request tries again. */
  get() {
    this.#made ??= makeEngine(this.#settings.engineConfig, this.#settings).then(async (engine) => {
      this.#engine = engine
      this.error = undefined
      if (this.#closed) await engine.close()
      return engine
    })
    const attempt = this.#made
    attempt.catch((error) => {
      this.error = error
      // Whatever is wrong with it, it is not the client's request.
      error.httpStatus = 503
      if (this.#made === attempt) this.#made = undefined
    })
    return attempt
  }

  /** One warm-up for all who ask while it runs. Resolves to the report; rejects where nothing could be made. */
  warmup() {
    this.#warming ??= this.get()
      .then((engine) => engine.warmup())
      .then((report) => {
        this.report = report
        this.error = report.status === 'error' ? new Error(report.message) : undefined
        return report
      })
      .finally(() => {
        this.#warming = undefined
      })
    return this.#warming
  }

  /** At the start, in the background. */
  start() {
    if (!this.#settings.warmup) return
    this.warmup().then(
      ({ status, message }) => this.#log.info({ status }, `warm-up: ${message}`),
      (error) => {
        this.error = error
        if (!this.#closed) this.#log.error({ err: error }, 'warm-up failed')
      },
    )
  }

  /** Of the engine, once there is one. */
  health() {
    return this.#engine?.health()
  }

  get engine() {
    return this.#engine
  }

  /** Ready once a frame has gone through. */
  get status() {
    const health = this.health()
    if (health?.status === 'ready') return 'ready'
    if (this.#warming || health?.status === 'warming') return 'warming_up'
    return 'not_ready'
  }

  /** `loaded` or `not_loaded`, by network. */
  models() {
    const loaded = new Map(OLD_MODELS.map((name) => [name, false]))
    const health = this.health()
    for (const [name, { status }] of Object.entries(health?.models ?? {}))
      loaded.set(name, status === 'loaded')
    if (health?.model === 'blazepose') loaded.set('blazepose', this.status === 'ready')
    const words = [...loaded].map(([name, is]) => [name, is ? 'loaded' : 'not_loaded'])
    return Object.fromEntries(words)
  }

  async close() {
    this.#closed = true
    if (this.#settings.engine || !this.#made) return
    const engine = await this.#made.catch(() => undefined)
    await engine?.close()
  }
}

module.exports = { EngineHost }
