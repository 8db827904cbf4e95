// Reads a command's arguments with node:util's parseArgs and says plainly what is wrong with them.
import { parseArgs } from 'node:util'

import { UsageError } from './exit.mjs'

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`. */
function editDistance(a, b) {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i])
  for (let j = 1; j <= b.length; j++) rows[0][j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replace = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      rows[i][j] = Math.min(replace, rows[i - 1][j] + 1, rows[i][j - 1] + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1)
      }
    }
  }
  return rows[a.length][b.length]
}

/** The known word nearest to what was typed, if it is near enough to be meant. */
export function suggest(typed, known) {
  const prefixed = typed.length >= 3 ? known.filter((word) => word.startsWith(typed)) : []
  if (prefixed.length === 1) return prefixed[0]
  const near = known
    .map((word) => ({ word, distance: editDistance(typed, word) }))
    .filter(({ word, distance }) => distance <= Math.max(1, Math.floor(word.length / 3)))
    .sort((a, b) => a.distance - b.distance)
  return near[0]?.word
}

const didYouMean = (word, prefix = '') => (word ? ` Did you mean \`${prefix}${word}\`?` : '')

/**
 * Splits `argv` into `values` and `positionals` for a command of the form
 * `{ name, options: { flag: { type, short?, multiple? } } }`.
 */
export function parse(command, argv) {
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } }
  const { tokens } = parseArgs({ args: argv, options, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind === 'option') checkOption(command, options, token)
  }
  const { values, positionals } = parseArgs({
    args: argv,
    options,
    strict: true,
    allowPositionals: true,
  })
  return { values, positionals }
}

function checkOption(command, options, token) {
  const known = options[token.name]
  if (!known) {
    const hint = didYouMean(suggest(token.name, Object.keys(options)), '--')
    throw new UsageError(`Unknown option \`${token.rawName}\`.${hint}`, { command: command.name })
  }
  if (known.type === 'string' && token.value === undefined) {
    throw new UsageError(`\`--${token.name}\` needs a value.`, { command: command.name })
  }
  if (known.type === 'boolean' && token.value !== undefined) {
    throw new UsageError(`\`--${token.name}\` takes no value.`, { command: command.name })
  }
  // parseArgs lets `--out --json` pass in loose mode; the user almost surely forgot the value.
  if (known.type === 'string' && !token.inlineValue && /^-./.test(token.value)) {
    throw new UsageError(
      `\`--${token.name}\` needs a value, found \`${token.value}\`. Write \`--${token.name}=…\` if it starts with a dash.`,
      {
        command: command.name,
      },
    )
  }
}

/** `group`: the command whose subcommand was not understood. */
export function unknownCommand(typed, known, group) {
  const [shown, prefix] = group ? [`${group} ${typed}`, `${group} `] : [typed, '']
  return new UsageError(
    `Unknown command \`${shown}\`.${didYouMean(suggest(typed, known), prefix)}`,
    { command: group },
  )
}

/** A number option within limits; `undefined` where it was not given. */
export function number(values, name, { min = -Infinity, max = Infinity, integer = false } = {}) {
  const text = values[name]
  if (text === undefined) return undefined
  const value = Number(text)
  const ok =
    text.trim() !== '' &&
    Number.isFinite(value) &&
    value >= min &&
    value <= max &&
    (!integer || Number.isInteger(value))
  if (ok) return value
  const kind = integer ? 'a whole number' : 'a number'
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`
  throw new UsageError(`\`--${name}\` must be ${kind} ${range}, found \`${text}\`.`)
}

/** One of a few words; `undefined` where it was not given. */
export function choice(values, name, allowed) {
  const text = values[name]
  if (text === undefined || allowed.includes(text)) return text
  throw new UsageError(
    `\`--${name}\` must be one of ${allowed.join(', ')}; found \`${text}\`.${didYouMean(suggest(text, allowed))}`,
  )
}

/** Seconds from `12.5`, `1:02` or `1:02:03.5`; `undefined` where it was not given. */
export function time(values, name) {
  const text = values[name]
  if (text === undefined) return undefined
  if (!/^(\d+:){0,2}\d+(\.\d+)?$/.test(text)) {
    throw new UsageError(`\`--${name}\` must be seconds (12.5) or [h:]mm:ss; found \`${text}\`.`)
  }
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
}
