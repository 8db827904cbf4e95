'use strict'
// Video jobs in Redis: records, results, clips' snapshots, and the looks on their way from those who find to
// those who follow.

const v8 = require('node:v8')
const zlib = require('node:zlib')
const { promisify } = require('node:util')
const { PREFIX, connect, explain, greet, placeOf } = require('./connection.cjs')
const { SCRIPTS } = require('./scripts.cjs')

const deflate = promisify(zlib.deflateRaw)
const inflate = promisify(zlib.inflateRaw)
/** Looks and results are mostly numbers near one another, and zeros. */
const PACKING = { level: 1 }
/** Seconds after which looks that nobody fetched are gone; whoever misses them has them found again. */
const LOOKS_LIVE = 86_400
/** More shards than a clip ever has on their way: those of a job that is removed are looked for so far. */
const MOST_AHEAD = 64

/** Of a record, beside its number; what is not set is null, as in SQLite. */
const FIELDS = [
  ...['id', 'kind', 'status', 'video', 'name', 'uploaded', 'options', 'created', 'files'],
  ...['started', 'finished', 'attempts', 'info', 'frames_done', 'frames_total', 'look_key'],
  ...['model_version', 'summary', 'output', 'warning', 'error', 'error_code', 'floor'],
]
const STATES = ['queued', 'processing', 'complete', 'error']

/** Somebody else follows this clip now, or it was removed. */
class LostError extends Error {}
/** What is stored is not what this worker stored last: Redis came back with less. */
class ConflictError extends Error {}

const pack = async (value) => deflate(v8.serialize(value), PACKING)
const unpack = async (bytes) => v8.deserialize(await inflate(bytes))

/** Of a record's changes, as a hash holds them. */
const written = (changes) =>
  Object.entries(changes).flatMap(([name, value]) => {
    if (!FIELDS.includes(name)) throw new Error(`a job has no field ${name}`)
    return [name, JSON.stringify(value)]
  })

function jobOf(hash) {
  if (hash?.status === undefined) return undefined
  const read = (name) => [name, hash[name] === undefined ? null : JSON.parse(hash[name])]
  const job = Object.fromEntries(FIELDS.map(read))
  return { ...job, seq: Number(hash.seq), frames_done: job.frames_done ?? 0, floor: job.floor ?? 0 }
}

class RedisStore {
  #prefix
  #place
  client

  /** `{ url, prefix, log, patient }` */
  constructor({ url, prefix = PREFIX, log, patient = false }) {
    this.#prefix = prefix
    this.#place = placeOf(url)
    this.client = connect(url, { log, patient })
    for (const [name, definition] of Object.entries(SCRIPTS))
      this.client.defineCommand(name, definition)
  }

  get prefix() {
    return this.#prefix
  }

  get place() {
    return this.#place
  }

  /** Throws `ERR_POSE4D_REDIS` where Redis cannot be reached, or does not keep what it is told. */
  async open(log) {
    await greet(this.client, this.#place)
    if ((await this.#setting('appendonly')) === 'no')
      log.warn(`Redis at ${this.#place} forgets all when it is restarted: set appendonly yes`)
    const policy = (await this.#setting('maxmemory-policy')) ?? 'noeviction'
    if (policy !== 'noeviction')
      log.warn(`Redis at ${this.#place} may drop jobs (${policy}): set maxmemory-policy noeviction`)
  }

  /** Undefined where it does not say, as some that are hosted. */
  async #setting(name) {
    const told = await this.client.config('GET', name).catch(() => [])
    return Array.isArray(told) ? told[1] : told[name]
  }

  async close() {
    // One that is away would never say goodbye.
    if (this.client.status === 'ready') await this.client.quit().catch(() => {})
    else this.client.disconnect()
  }

  key(...parts) {
    return [this.#prefix, ...parts].join(':')
  }

  #state(name) {
    return this.key('jobs', name)
  }

  looksKey(id, shard) {
    return this.key('looks', id, shard)
  }

  /** Every command goes through here: errors in our words. */
  async ask(name, ...args) {
    try {
      return await this.client[name](...args)
    } catch (error) {
      throw explain(error, this.#place)
    }
  }

  async add({ id, kind, video, name, uploaded, options, created, files }) {
    const fields = written({
      ...{ id, kind, status: 'queued', video, name, uploaded, options, created, files },
      ...{ attempts: 0, frames_done: 0, floor: 0 },
    })
    const keys = [this.key('job', id), this.key('seq'), this.#state('queued')]
    await this.ask('jobAdd', ...keys, id, ...fields)
  }

  async get(id) {
    return jobOf(await this.ask('hgetall', this.key('job', id)))
  }

  async has(id) {
    return (await this.ask('exists', this.key('job', id))) === 1
  }

  /** How many of those that wait or are at work come before it. */
  async ahead({ seq }) {
    const states = ['queued', 'processing'].map((state) => this.#state(state))
    const counts = states.map((key) => this.ask('zcount', key, '-inf', `(${seq}`))
    const [queued, processing] = await Promise.all(counts)
    return queued + processing
  }

  async counts() {
    const count = async (state) => [state, await this.ask('zcard', this.#state(state))]
    return Object.fromEntries(await Promise.all(STATES.map(count)))
  }

  /** Ids of the jobs that are not ended. */
  async unfinished() {
    const states = ['queued', 'processing'].map((state) => this.#state(state))
    const lists = states.map((key) => this.ask('zrange', key, 0, -1))
    return (await Promise.all(lists)).flat()
  }

  async endedBefore(time) {
    const states = ['complete', 'error'].map((state) => this.#state(state))
    const lists = states.map((key) => this.ask('zrangebyscore', key, '-inf', `(${time}`))
    const ids = (await Promise.all(lists)).flat()
    const jobs = await Promise.all(ids.map((id) => this.get(id)))
    return jobs.filter(Boolean)
  }

  async result(id, i) {
    const bytes = await this.ask('hgetBuffer', this.key('frames', id), String(i))
    return bytes ? unpack(bytes) : undefined
  }

  /** One after the other: a long video's results need not be in memory together. */
  async *results(id) {
    const { frames_done: frames = 0 } = (await this.get(id)) ?? {}
    for (let i = 0; i < frames; i++) {
      const result = await this.result(id, i)
      if (result === undefined) return
      yield result
    }
  }

  #shards(id, floor, count = MOST_AHEAD) {
    return Array.from({ length: count }, (_, i) => this.looksKey(id, floor + i))
  }

  async remove(id) {
    const job = await this.get(id)
    const keys = ['job', 'frames', 'clip', 'tries'].map((name) => this.key(name, id))
    await this.ask('unlink', ...keys, ...this.#shards(id, job?.floor ?? 0))
    await Promise.all(STATES.map((state) => this.ask('zrem', this.#state(state), id)))
  }

  /** The job for whoever follows it from now on; undefined where it has ended or is gone. */
  async claim(id, owner) {
    const keys = [this.key('job', id), this.#state('queued'), this.#state('processing')]
    const claimed = await this.ask('jobClaim', ...keys, owner, id, Date.now() / 1000)
    return claimed === 1 ? new OwnedJob(this, id, owner) : undefined
  }

  /** Of a job that is owned: `LostError` where it is not any more. */
  async asOwner(command, ...args) {
    const done = await this.ask(command, ...args)
    if (done === 0) throw new LostError('another worker follows this clip now')
    if (done === -1) throw new ConflictError('Redis has other results than were stored')
  }

  /** How often the shard was begun, this time included; 0 where nobody wants it. */
  async beginShard(id, shard) {
    const keys = [this.key('job', id), this.key('tries', id), this.looksKey(id, shard)]
    return this.ask('shardBegin', ...keys, shard)
  }

  /** It was given back unharmed, which is no attempt. */
  async giveBackShard(id, shard) {
    await this.ask('hincrby', this.key('tries', id), String(shard), -1)
  }

  /** False where nobody wants them any more. `entries`: `[frameNumber, entry]`. Returns their bytes, too. */
  async putLooks(id, shard, entries) {
    const fields = await Promise.all(
      entries.map(async ([n, entry]) => [String(n), await pack(entry)]),
    )
    const bytes = fields.reduce((sum, [, value]) => sum + value.length, 0)
    const wanted = fields.length === 0 || (await this.#putShard(id, shard, fields.flat()))
    return { wanted, bytes }
  }

  /** `account`: `{ bytes }`, or why there are no looks: `{ failed }`, `{ poison }`. */
  async endShard(id, shard, account) {
    await this.#putShard(id, shard, ['end', JSON.stringify(account)])
  }

  async #putShard(id, shard, fields) {
    const keys = [this.key('job', id), this.looksKey(id, shard)]
    return (await this.ask('shardPut', ...keys, shard, LOOKS_LIVE, ...fields)) === 1
  }

  /** What became of the shard; undefined until it is done. */
  async shardAccount(id, shard) {
    const text = await this.ask('hget', this.looksKey(id, shard), 'end')
    return text ? JSON.parse(text) : undefined
  }

  async look(id, shard, frameNumber) {
    const bytes = await this.ask('hgetBuffer', this.looksKey(id, shard), String(frameNumber))
    return bytes ? unpack(bytes) : undefined
  }
}

/** A job as `runJob` stores it; with the methods of SQLite's store, later. */
class OwnedJob {
  #store
  #id
  #owner
  #floor = 0
  /** Of which shard a result is; set by whoever shares out the looking. */
  shardOf = () => 0

  constructor(store, id, owner) {
    this.#store = store
    this.#id = id
    this.#owner = owner
  }

  #key(name) {
    return this.#store.key(name, this.#id)
  }

  async get() {
    const job = await this.#store.get(this.#id)
    this.#floor = job?.floor ?? 0
    return job
  }

  /** Whether it is still ours. */
  async holds() {
    return (await this.#store.ask('hget', this.#key('job'), 'owner')) === this.#owner
  }

  async set(_, changes) {
    await this.#store.asOwner('jobSet', this.#key('job'), this.#owner, ...written(changes))
  }

  /** Results with the clip's state after them, and away with the looks that they came of, in one step. */
  async append(id, from, results, snapshot) {
    const packed = await Promise.all(
      results.map(async (result, i) => [String(from + i), await pack(result)]),
    )
    const floor = Math.max(this.#floor, this.shardOf(results.at(-1)))
    const used = []
    for (let shard = this.#floor; shard < floor; shard++) used.push(this.#store.looksKey(id, shard))
    const keys = [this.#key('job'), this.#key('frames'), this.#key('clip'), ...used]
    const state = snapshot ? Buffer.from(snapshot) : ''
    const args = [this.#owner, from, results.length, floor, state, ...packed.flat()]
    await this.#store.asOwner('jobAppend', keys.length, ...keys, ...args)
    this.#floor = floor
  }

  async snapshot() {
    return (await this.#store.ask('getBuffer', this.#key('clip'))) ?? undefined
  }

  async forget() {
    const keys = ['job', 'frames', 'clip'].map((name) => this.#key(name))
    await this.#store.asOwner('jobForget', keys.length, ...keys, this.#owner)
    this.#floor = 0
  }

  /** With the job's end. */
  async dropSnapshot() {}

  result(id, i) {
    return this.#store.result(id, i)
  }

  results(id) {
    return this.#store.results(id)
  }

  async end(changes) {
    const now = Date.now() / 1000
    const looks = Array.from({ length: MOST_AHEAD }, (_, i) =>
      this.#store.looksKey(this.#id, this.#floor + i),
    )
    const keys = [
      ...[this.#key('job'), this.#store.key('jobs', 'processing')],
      ...[this.#store.key('jobs', changes.status), this.#key('clip'), this.#key('tries'), ...looks],
    ]
    const fields = written({ ...changes, finished: now })
    await this.#store.asOwner('jobEnd', keys.length, ...keys, this.#owner, this.#id, now, ...fields)
  }

  /** Back into the line, with all that is stored. */
  async release() {
    const keys = [this.#key('job'), this.#store.key('jobs', 'queued')]
    const all = [...keys, this.#store.key('jobs', 'processing')]
    await this.#store.asOwner('jobRelease', ...all, this.#owner, this.#id)
  }
}

module.exports = { ConflictError, LostError, MOST_AHEAD, RedisStore }
