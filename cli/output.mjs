// Where results go: one file or several, each in the format of its name.

import { dirname } from 'node:path'
import exports_ from '../lib/export/index.cjs'

import output from '../lib/export/json.cjs'
import { EnvironmentError, UsageError } from './exit.mjs'
import { makeFolder } from './folders.mjs'

export const { SCHEMA, openOutput, plainFrame } = output
export const { Export, formatOf } = exports_

/** JSON, whatever its name, unless that is another format's. */
const isJson = (target) => ['json', 'jsonl', undefined].includes(formatOf(target))

/**
 * Opens every file of `targets` (`-`: stdout). `header` is that of the JSON formats, `options` those of
 * `exportPoses`. Returns `{ write(result, extra), close({ complete }), wrote, problems }`.
 */
export async function openOutputs(targets, header, { lines, options }) {
  checkTargets(targets)
  const files = []
  for (const target of targets) {
    if (target !== '-') await makeFolder(dirname(target))
    if (isJson(target)) files.push(await openJson(target, header, { lines, options }))
    else files.push(await openExport(target, options))
  }
  return new Outputs(files)
}

export function checkTargets(targets) {
  const twice = targets.find((target, at) => targets.indexOf(target) !== at)
  if (twice) throw new UsageError(`\`--out ${twice}\` is there twice.`)
}

async function openJson(target, header, { lines, options: { track } }) {
  const file = await openOutput(target, header, { lines })
  const wanted = (result) =>
    track === undefined
      ? result
      : { ...result, persons: result.persons.filter(({ trackId }) => trackId === track) }
  return {
    target,
    write: (result, extra) => file.write(wanted(result), extra),
    close: (how) => file.close(how),
  }
}

async function openExport(target, options) {
  const file = await Export.open(target, options)
  return {
    target,
    write: (result, extra) => file.add(result, extra),
    close: (how) => file.close(how),
  }
}

class Outputs {
  #files
  /** `{ target, summary }` of every file that was written. */
  wrote = []
  /** What kept files from being written, one error each. */
  problems = []

  constructor(files) {
    this.#files = files
  }

  async write(result, extra) {
    for (const file of this.#files) await file.write(result, extra)
  }

  /** One that cannot be written does not keep the others from it. */
  async close(how) {
    for (const { target, close } of this.#files) {
      try {
        this.wrote.push({ target, summary: await close(how) })
      } catch (error) {
        this.problems.push(error)
      }
    }
  }

  /** Lines for people: the files, and what is not in them. */
  lines() {
    return this.wrote
      .filter(({ target }) => target !== '-')
      .flatMap(({ target, summary }) => {
        const files = summary?.files ?? [target]
        return [...files.map((file) => `Wrote ${file}`), ...missing(target, summary)]
      })
  }

  /** To be called last: what went wrong as the command's own error. */
  check() {
    if (this.problems.length === 0) return
    const all = this.problems.map(({ message, code }) => `${message}${code ? ` (${code})` : ''}`)
    throw new EnvironmentError(all.join('\n'))
  }
}

const WORDS = {
  otherTrack: 'of other people',
  noJoints3d: 'without 3D joints',
  noSmpl: 'without a body',
  noCamera: 'without a place before the camera',
}

function missing(target, summary) {
  const entries = Object.entries(summary?.leftOut ?? {})
  if (entries.length === 0) return []
  const parts = entries.map(([reason, count]) => `${count} ${WORDS[reason] ?? reason}`)
  return [
    `  ${summary.written} of ${summary.records} records are in ${target}: ${parts.join(', ')}`,
  ]
}
