'use strict'
// The OpenAPI 3.1 description, made from the schemas that the routes validate with.

const { version } = require('../package.json')
const { components: health } = require('./schemas/health.cjs')
const { components: models } = require('./schemas/models.cjs')
const { components: pose } = require('./schemas/pose.cjs')
const { components: video } = require('./schemas/video.cjs')

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const REFUSALS = {
  400: 'The request is malformed, or its content cannot be meant',
  401: 'A token is needed',
  403: 'Not allowed',
  404: 'There is no such thing',
  408: 'The request came too slowly',
  413: 'Too many bytes or pixels',
  414: 'The address is too long',
  415: 'Not a content type of this endpoint',
  422: 'The image or video cannot be read',
  429: 'The queue is full; Retry-After says when to come back',
  500: 'A fault of the service',
  501: 'Switched off, or a tool is missing',
  503: 'Not ready: no model, or shutting down',
  504: 'The deadline passed',
  507: 'The disk is full',
}
const ERROR_SCHEMA = { pose: 'PoseError', models: 'ModelsError', video: 'VideoError' }

/** `/job_status/:id` as OpenAPI writes it. */
const pathOf = (url) => url.replace(/:(\w+)/g, '{$1}')

function parametersOf({ params, querystring, headers }) {
  const places = { path: params, query: querystring, header: headers }
  return Object.entries(places).flatMap(([place, schema]) =>
    Object.entries(schema?.properties ?? {}).map(([name, { description, ...rest }]) => ({
      name,
      in: place,
      required: place === 'path' || Boolean(schema.required?.includes(name)),
      description,
      schema: rest,
    })),
  )
}

function bodyOf({ body, multipart, bodyRequired = true }) {
  const content = {
    ...(body && (body.content ?? { 'application/json': { schema: body } })),
    ...(multipart && { 'multipart/form-data': { schema: multipart } }),
  }
  return Object.keys(content).length > 0 ? { required: bodyRequired, content } : undefined
}

function responsesOf({ response }, kind) {
  const schema = { $ref: `#/components/schemas/${ERROR_SCHEMA[kind] ?? 'Error'}` }
  const refusals = Object.entries(REFUSALS).map(([status, description]) => [
    status,
    { description, content: { 'application/json': { schema } } },
  ])
  const answers = Object.entries(response).map(([status, answer]) => {
    const { description, contentType = 'application/json', ...rest } = answer
    return [status, { description, content: { [contentType]: { schema: rest.schema } } }]
  })
  return Object.fromEntries([...refusals, ...answers])
}

class OpenApi {
  #routes = []
  #document
  #secured

  constructor({ secured }) {
    this.#secured = secured
  }

  /** Of fastify's `onRoute`. Routes without an `operationId` are not described. */
  add({ method, url, schema, config }) {
    if (!schema?.operationId) return
    this.#document = undefined
    for (const each of [method].flat())
      if (METHODS.includes(each)) this.#routes.push({ method: each, url, schema, config })
  }

  /** The methods of an address, for 405. */
  allowed(path) {
    const fits = ({ url }) => new RegExp(`^${url.replace(/:\w+/g, '[^/]+')}/?$`).test(path)
    return [...new Set(this.#routes.filter(fits).map(({ method }) => method))]
  }

  get document() {
    this.#document ??= this.#make()
    return this.#document
  }

  #make() {
    const paths = {}
    for (const { method, url, schema, config } of this.#routes) {
      const { operationId, summary, description, tags } = schema
      const several = this.#routes.some(
        (other) => other.url === url && other.method !== method && other.schema === schema,
      )
      const secured = this.#secured && !config?.open
      paths[pathOf(url)] ??= {}
      paths[pathOf(url)][method.toLowerCase()] = {
        operationId: several
          ? `${operationId}${method[0]}${method.slice(1).toLowerCase()}`
          : operationId,
        summary,
        description,
        tags,
        parameters: parametersOf(schema),
        requestBody: method === 'GET' ? undefined : bodyOf(schema),
        responses: responsesOf(schema, config?.answers),
        ...(secured && { security: [{ token: [] }] }),
      }
    }
    // Through JSON: what is undefined is gone, and nobody shares our schemas.
    return JSON.parse(
      JSON.stringify({
        openapi: '3.1.0',
        info: {
          title: 'pose4d',
          version,
          description:
            "People's 3D poses from photos and video: the old pose service's endpoints, with right answers.",
          license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        },
        servers: [{ url: '/' }],
        paths,
        components: {
          schemas: { ...health, ...pose, ...models, ...video },
          ...(this.#secured && {
            securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
          }),
        },
      }),
    )
  }
}

module.exports = { OpenApi }
