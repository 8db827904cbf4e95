'use strict'
// Whose turn it is: a bounded queue before the engine, with priorities, and turns among clients.

const { Pose4DError } = require('../lib/errors.cjs')
const { SHUTTING_DOWN, serviceError } = require('./errors.cjs')

const PRIORITIES = ['high', 'normal', 'low']
/** Every so manieth turn goes to the lowest priority that waits, so that none waits for ever. */
const LOW_TURN = 8
/** Weight of the newest piece of work in the mean time that one takes. */
const NEWEST = 0.2
/** Seconds, before any work was measured. */
const FIRST_GUESS = 1

/** Work of one priority: clients take turns, each client's in order. */
class Level {
  #clients = new Map()
  length = 0

  push(entry) {
    const waiting = this.#clients.get(entry.client)
    if (waiting) waiting.push(entry)
    else this.#clients.set(entry.client, [entry])
    this.length += 1
  }

  shift() {
    const [client, waiting] = this.#clients.entries().next().value
    const entry = waiting.shift()
    // To the end of the line.
    this.#clients.delete(client)
    if (waiting.length > 0) this.#clients.set(client, waiting)
    this.length -= 1
    return entry
  }

  remove(entry) {
    const waiting = this.#clients.get(entry.client)
    const at = waiting?.indexOf(entry) ?? -1
    if (at < 0) return false
    waiting.splice(at, 1)
    if (waiting.length === 0) this.#clients.delete(entry.client)
    this.length -= 1
    return true
  }
}

class FairQueue {
  #levels = new Map(PRIORITIES.map((name) => [name, new Level()]))
  #limits
  #perClient = new Map()
  #turn = 0
  #closing
  #idle = []
  #seconds
  active = 0
  length = 0
  done = 0

  /** `{ concurrency, maxQueue, maxQueuePerClient }` */
  constructor(limits) {
    this.#limits = limits
  }

  get concurrency() {
    return this.#limits.concurrency
  }

  get maxQueue() {
    return this.#limits.maxQueue
  }

  /** Seconds until a newcomer's turn, by what work took lately. */
  get waitSeconds() {
    const { concurrency } = this.#limits
    if (this.active < concurrency) return 0
    return ((this.length + 1) * (this.#seconds ?? FIRST_GUESS)) / concurrency
  }

  /**
   * Runs `work()` when its turn has come. Rejects at once where the queue is full
   * (`ERR_POSE4D_QUEUE_FULL`), and leaves it when `signal` is aborted, with its reason.
   */
  run(work, { client = '', priority = 'normal', signal } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      if (this.#closing) throw this.#closing
      const entry = { work, client, priority, signal, resolve, reject }
      if (this.active < this.#limits.concurrency && this.length === 0) return this.#start(entry)
      this.#admit(entry)
    })
  }

  #admit(entry) {
    const { maxQueue, maxQueuePerClient } = this.#limits
    const mine = this.#perClient.get(entry.client) ?? 0
    if (this.length >= maxQueue) throw this.#full(`${maxQueue} requests wait, which is all`)
    if (mine >= maxQueuePerClient)
      throw this.#full(`${mine} requests of this client wait, which is its share`)
    this.#levels.get(entry.priority).push(entry)
    this.#count(entry.client, 1)
    entry.leave = () => {
      if (!this.#levels.get(entry.priority).remove(entry)) return
      this.#count(entry.client, -1)
      entry.reject(entry.signal.reason)
      this.#settle()
    }
    entry.signal?.addEventListener('abort', entry.leave, { once: true })
  }

  #count(client, by) {
    this.length += by
    const left = (this.#perClient.get(client) ?? 0) + by
    if (left > 0) this.#perClient.set(client, left)
    else this.#perClient.delete(client)
  }

  #full(why) {
    const seconds = Math.max(1, Math.ceil(this.waitSeconds))
    return serviceError(
      'ERR_POSE4D_QUEUE_FULL',
      `The queue is full: ${why}. Try again in ${seconds} s.`,
      {
        headers: { 'retry-after': String(seconds) },
      },
    )
  }

  #start(entry) {
    this.active += 1
    const began = performance.now()
    const end = () => {
      const seconds = (performance.now() - began) / 1000
      this.#seconds =
        this.#seconds === undefined ? seconds : this.#seconds + NEWEST * (seconds - this.#seconds)
      this.active -= 1
      this.done += 1
      this.#next()
    }
    Promise.resolve().then(entry.work).then(entry.resolve, entry.reject).finally(end)
  }

  #next() {
    while (this.active < this.#limits.concurrency && this.length > 0) {
      const entry = this.#pick().shift()
      entry.signal?.removeEventListener('abort', entry.leave)
      this.#count(entry.client, -1)
      this.#start(entry)
    }
    this.#settle()
  }

  #pick() {
    this.#turn += 1
    const waiting = [...this.#levels.values()].filter(({ length }) => length > 0)
    return this.#turn % LOW_TURN === 0 ? waiting.at(-1) : waiting[0]
  }

  #settle() {
    if (this.active > 0 || this.length > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Resolves when nothing runs and nothing waits. */
  idle() {
    if (this.active === 0 && this.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Takes nothing more; what was taken is worked off. */
  close() {
    this.#closing ??= new Pose4DError(SHUTTING_DOWN, 'The service is shutting down.')
  }
}

module.exports = { FairQueue, PRIORITIES }
