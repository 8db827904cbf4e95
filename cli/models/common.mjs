// What all `pose4d models` commands share: options, and how the addon is called.

import { fromEngine, loadAddon } from '../engine.mjs'
import { EXIT, UsageError } from '../exit.mjs'
import { Interrupt } from '../interrupt.mjs'
import { Transfer } from '../transfer.mjs'

export const JSON_OPTION = { json: { type: 'boolean', text: 'print the answer as JSON' } }

export const CACHE_OPTIONS = {
  'cache-dir': {
    type: 'string',
    value: 'folder',
    text: 'the model cache (default POSE4D_CACHE_DIR, else ~/.cache/4d-humans)',
  },
  offline: { type: 'boolean', text: 'never use the network (as POSE4D_OFFLINE=1 does)' },
}

export const QUIET_OPTION = { quiet: { type: 'boolean', short: 'q', text: 'no progress' } }

/** What was given of the options that every function of `models` takes. */
export function cacheOptions(values) {
  return {
    ...(values['cache-dir'] !== undefined && { cacheDir: values['cache-dir'] }),
    ...(values.offline && { offline: true }),
  }
}

/** Exactly the arguments named in `names`. */
export function exactly(command, positionals, names) {
  const usage = names.map((name) => `<${name}>`).join(' ')
  if (positionals.length < names.length)
    throw new UsageError(`\`${command}\` needs ${usage || 'no arguments'}.`, { command })
  if (positionals.length > names.length) {
    const taken = names.length === 0 ? 'no arguments' : `only ${usage}`
    throw new UsageError(
      `\`${command}\` takes ${taken}, found \`${positionals[names.length]}\` too.`,
      { command },
    )
  }
  return positionals
}

/** The value of an option that must be there. */
export function needed(command, values, name) {
  if (values[name] === undefined) throw new UsageError(`\`--${name}\` is needed.`, { command })
  return values[name]
}

/**
 * Runs `work(addon, options)`, where `options` hold the signal of Ctrl-C and draw progress, and
 * prints what it answers: as JSON, or as `text(answer)`.
 * @returns the exit code, which `code(answer)` may decide
 */
export async function ask(values, io, { work, text, code = () => EXIT.OK }) {
  const { load = loadAddon, stdout = process.stdout, stderr = process.stderr } = io
  const interrupt = new Interrupt()
  const transfer = new Transfer({ stream: stderr, quiet: values.quiet })
  try {
    const addon = await load()
    const { signal } = interrupt
    const answer = await work(addon, {
      ...cacheOptions(values),
      signal,
      onProgress: transfer.update,
    })
    transfer.clear()
    stdout.write(`${values.json ? JSON.stringify(answer, null, 2) : text(answer)}\n`)
    return code(answer)
  } catch (error) {
    transfer.clear()
    if (!interrupt.aborted) throw fromEngine(error)
    stderr.write('Interrupted. What is done is kept: run the same command again to go on.\n')
    return interrupt.exitCode
  } finally {
    interrupt.dispose()
  }
}
