'use strict'
// Values out of saved text, each checked: whoever saved it may have been anybody.

const number = (value) => {
  if (typeof value === 'number') return value
  throw new TypeError('a number is missing')
}
const numberOrNull = (value) => (value === null || value === undefined ? null : number(value))
/** JSON has no NaN. */
const float = (value) => (value === null ? Number.NaN : number(value))
const list = (value) => {
  if (Array.isArray(value)) return value
  throw new TypeError('a list is missing')
}
const text = (value) => {
  if (typeof value === 'string') return value
  throw new TypeError('a text is missing')
}

/** Takes over the fields of `saved` that `kinds` names, each checked. */
function fill(target, saved, kinds) {
  for (const [name, kind] of Object.entries(kinds)) {
    const value = saved?.[name]
    if (value !== undefined) target[name] = kind(value)
  }
}

/** The plain fields of a track. */

module.exports = { fill, float, list, number, numberOrNull, text }
