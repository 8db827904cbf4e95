'use strict'
// Shorthand for JSON Schema: the same objects validate requests and make the OpenAPI description.

const number = (description) => ({ type: 'number', description })
const integer = (description, more) => ({ type: 'integer', description, ...more })
const text = (description, more) => ({ type: 'string', description, ...more })
/** As a pattern: `minLength` would count the characters of a picture one by one. */
const NOT_EMPTY = '\\S'
const filled = (description) => text(description, { pattern: NOT_EMPTY })
const flag = (description, more) => ({ type: 'boolean', description, ...more })
const list = (items, description, more) => ({ type: 'array', items, description, ...more })
const vector = (length, description) =>
  list({ type: 'number' }, description, { minItems: length, maxItems: length })
const oneOf = (values, description) => ({ type: 'string', enum: values, description })
const orNull = (schema) => ({ ...schema, type: [schema.type, 'null'] })
const map = (values, description) => ({
  type: 'object',
  additionalProperties: values,
  description,
})

/** An object with these fields and no others; all there but those in `optional`. */
const closed = (properties, { description, optional = [] } = {}) => ({
  type: 'object',
  description,
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
})

/** What a client sends: fields beyond these are let be, as the old service did. */
const open = (properties, { description, required = [] } = {}) => ({
  type: 'object',
  description,
  properties,
  required,
})

const ref = (name) => ({ $ref: `#/components/schemas/${name}` })

module.exports = {
  NOT_EMPTY,
  closed,
  filled,
  flag,
  integer,
  list,
  map,
  number,
  oneOf,
  open,
  orNull,
  ref,
  text,
  vector,
}
