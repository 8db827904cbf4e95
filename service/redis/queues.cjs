'use strict'
// The two lines in BullMQ: clips to be followed, and shards of clips to find people in. What BullMQ loses or
// forgets is found in the records: orders are put in again under the same name, which changes nothing where
// they are still there.

/** Times that finding is tried in all, where it fails and does not die. */
const FIND_ATTEMPTS = 5
const PAUSE_MS = 200

const ORDER = { removeOnComplete: true, removeOnFail: true }

class Queues {
  #track
  #find

  /** `store`: whose connection they share. */
  constructor(store, log) {
    const { Queue } = require('bullmq')
    const shared = { connection: store.client, prefix: store.prefix, skipVersionCheck: true }
    this.#track = new Queue('track', shared)
    this.#find = new Queue('find', shared)
    for (const queue of [this.#track, this.#find])
      queue.on('error', (error) => log.debug({ err: error }, 'queue'))
  }

  /** Somebody is to follow the clip. */
  async follow(id) {
    const again = { attempts: 1000, backoff: { type: 'fixed', delay: PAUSE_MS } }
    await this.#track.add('track', { id }, { ...ORDER, ...again, jobId: id })
  }

  /** Somebody is to find the people in a shard. */
  async find(id, shard) {
    const again = { attempts: FIND_ATTEMPTS, backoff: { type: 'exponential', delay: PAUSE_MS } }
    await this.#find.add('find', { id, shard }, { ...ORDER, ...again, jobId: `${id}-${shard}` })
  }

  /** Orders that wait or are at work. */
  async depths() {
    const states = ['waiting', 'active', 'delayed', 'prioritized']
    const depth = async (queue) => {
      const counts = await queue.getJobCounts(...states)
      return Object.values(counts).reduce((sum, count) => sum + count, 0)
    }
    const [track, find] = await Promise.all([depth(this.#track), depth(this.#find)])
    return { track, find }
  }

  async close() {
    await Promise.allSettled([this.#track.close(), this.#find.close()])
  }
}

module.exports = { FIND_ATTEMPTS, Queues }
