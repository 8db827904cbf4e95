'use strict'
// Video jobs and their results in one SQLite file: what was accepted, how far it is, what came of it.

const fs = require('node:fs')
const path = require('node:path')
const v8 = require('node:v8')
const { Database } = require('node-sqlite3-wasm')
const { Pose4DError } = require('../../lib/errors.cjs')

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    video TEXT NOT NULL,
    name TEXT NOT NULL,
    uploaded INTEGER NOT NULL,
    options TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    info TEXT,
    frames_done INTEGER NOT NULL DEFAULT 0,
    frames_total INTEGER,
    model_version TEXT,
    summary TEXT,
    output TEXT,
    warning TEXT,
    error TEXT,
    error_code TEXT
  );
  CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, seq);
  CREATE TABLE IF NOT EXISTS frames (
    job TEXT NOT NULL, i INTEGER NOT NULL, result BLOB NOT NULL, PRIMARY KEY (job, i)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS snapshots (job TEXT PRIMARY KEY, clip BLOB NOT NULL);
`
/** Of SCHEMA; a file of another number is not ours to read. */
const VERSION = 1
const JSON_FIELDS = ['options', 'info', 'summary']
const FIELDS = new Set([
  ...['status', 'started', 'finished', 'attempts', 'info', 'frames_done', 'frames_total'],
  ...['model_version', 'summary', 'output', 'warning', 'error', 'error_code'],
])

const written = (name, value) =>
  JSON_FIELDS.includes(name) && value !== null ? JSON.stringify(value) : value

function jobOf(row) {
  if (!row) return undefined
  const job = { ...row, uploaded: row.uploaded === 1 }
  for (const name of JSON_FIELDS) if (job[name] !== null) job[name] = JSON.parse(job[name])
  return job
}

class JobStore {
  #db

  /** The folder must be locked: the file's own lock, which a killed process leaves behind, is removed. */
  constructor(folder) {
    const file = path.join(folder, 'jobs.sqlite')
    fs.rmSync(`${file}.lock`, { recursive: true, force: true })
    try {
      this.#db = new Database(file)
      this.#prepare()
    } catch (error) {
      if (this.#db?.isOpen) this.#db.close()
      throw new Pose4DError(
        'ERR_POSE4D_CACHE_IO',
        `${file}, the store of video jobs, cannot be used: ${error.message}. Move it away, or give another dataDir.`,
        { cause: error },
      )
    }
  }

  #prepare() {
    this.#db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL')
    const { user_version: version } = this.#db.get('PRAGMA user_version')
    if (version !== 0 && version !== VERSION)
      throw new Error(`it is of another version of pose4d (${version}, not ${VERSION})`)
    this.#db.exec(`BEGIN; ${SCHEMA} PRAGMA user_version = ${VERSION}; COMMIT`)
  }

  /** All of `work`, or nothing. */
  #together(work) {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const value = work()
      this.#db.exec('COMMIT')
      return value
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  /** Once this returns, the job survives whatever happens to the process. */
  add({ id, kind, video, name, uploaded, options, created }) {
    this.#db.run(
      `INSERT INTO jobs (id, kind, status, video, name, uploaded, options, created)
       VALUES (?, ?, 'queued', ?, ?, ?, ?, ?)`,
      [id, kind, video, name, uploaded ? 1 : 0, JSON.stringify(options), created],
    )
  }

  get(id) {
    return jobOf(this.#db.get('SELECT * FROM jobs WHERE id = ?', [id]))
  }

  set(id, changes) {
    const names = Object.keys(changes)
    const stranger = names.find((name) => !FIELDS.has(name))
    if (stranger) throw new Error(`a job has no field ${stranger}`)
    const values = names.map((name) => written(name, changes[name]))
    const list = names.map((name) => `${name} = ?`).join(', ')
    return this.#db.run(`UPDATE jobs SET ${list} WHERE id = ?`, [...values, id]).changes
  }

  /** The oldest that waits. */
  next() {
    return jobOf(this.#db.get(`SELECT * FROM jobs WHERE status = 'queued' ORDER BY seq LIMIT 1`))
  }

  /** How many of those that wait come before it. */
  ahead({ seq }) {
    const sql = `SELECT count(*) AS n FROM jobs WHERE status IN ('queued', 'processing') AND seq < ?`
    return Number(this.#db.get(sql, [seq]).n)
  }

  counts() {
    const rows = this.#db.all('SELECT status, count(*) AS n FROM jobs GROUP BY status')
    const none = { queued: 0, processing: 0, complete: 0, error: 0 }
    return { ...none, ...Object.fromEntries(rows.map(({ status, n }) => [status, Number(n)])) }
  }

  /** Jobs that were at work when the process ended wait again. */
  requeue() {
    return this.#db.run(`UPDATE jobs SET status = 'queued' WHERE status = 'processing'`).changes
  }

  /** Results from `from` on, with the clip's state after them where there is one, in one step. */
  append(id, from, results, snapshot) {
    this.#together(() => {
      const statement = this.#db.prepare('INSERT OR REPLACE INTO frames VALUES (?, ?, ?)')
      try {
        results.forEach((result, i) => {
          statement.run([id, from + i, v8.serialize(result)])
        })
      } finally {
        statement.finalize()
      }
      if (snapshot) this.#db.run('INSERT OR REPLACE INTO snapshots VALUES (?, ?)', [id, snapshot])
      const known = this.set(id, { frames_done: from + results.length })
      if (known === 0) throw new Error(`job ${id} was removed`)
    })
  }

  /** The clip's state after `frames_done` frames; undefined where none was kept. */
  snapshot(id) {
    return this.#db.get('SELECT clip FROM snapshots WHERE job = ?', [id])?.clip
  }

  /** Begins it anew. */
  forget(id) {
    this.#together(() => {
      this.#db.run('DELETE FROM frames WHERE job = ?', [id])
      this.#db.run('DELETE FROM snapshots WHERE job = ?', [id])
      this.set(id, { frames_done: 0 })
    })
  }

  /** Nobody needs to go on from there. */
  dropSnapshot(id) {
    this.#db.run('DELETE FROM snapshots WHERE job = ?', [id])
  }

  result(id, i) {
    const row = this.#db.get('SELECT result FROM frames WHERE job = ? AND i = ?', [id, i])
    return row ? v8.deserialize(row.result) : undefined
  }

  /** One after the other: a long video's results need not be in memory together. */
  *results(id) {
    const { frames_done: frames = 0 } = this.get(id) ?? {}
    for (let i = 0; i < frames; i++) {
      const result = this.result(id, i)
      if (result === undefined) return
      yield result
    }
  }

  remove(id) {
    this.#together(() => {
      for (const [table, column] of [
        ['frames', 'job'],
        ['snapshots', 'job'],
        ['jobs', 'id'],
      ])
        this.#db.run(`DELETE FROM ${table} WHERE ${column} = ?`, [id])
    })
  }

  /** Ended before `time`. */
  endedBefore(time) {
    const sql = `SELECT * FROM jobs WHERE status IN ('complete', 'error') AND finished < ?`
    return this.#db.all(sql, [time]).map(jobOf)
  }

  /** Whether a file belongs to a job. */
  knows(video) {
    return (
      this.#db.get('SELECT 1 AS yes FROM jobs WHERE video = ? OR output = ?', [video, video]) !==
      null
    )
  }

  close() {
    this.#db.close()
  }
}

module.exports = { JobStore }
