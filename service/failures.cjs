'use strict'
// What a client is told when something went wrong: a status, and the error in the body, where the old
// clients read it.

const { emptyPose } = require('./answers.cjs')
const { NOT_FOUND, REQUEST, classify } = require('./errors.cjs')
const { NOT_EMPTY } = require('./schemas/build.cjs')

/** Fields beside the error, by the kind of the route's answers. */
const SHAPES = {
  pose: (request) => {
    const number = request.body?.frame_number
    return emptyPose(Number.isSafeInteger(number) && number >= 0 ? number : 0)
  },
  models: () => ({ success: false }),
  video: () => ({ status: 'error' }),
}

/** What ajv says, with what was expected. */
function wordsOf(error) {
  if (!error.validation) return undefined
  const place = { body: 'body', params: 'path', querystring: 'query', headers: 'headers' }
  return error.validation
    .map(({ instancePath, message, params }) => {
      const where = `${place[error.validationContext] ?? 'request'}${instancePath.replaceAll('/', '.')}`
      const allowed = params?.allowedValues ? `: ${params.allowedValues.join(', ')}` : ''
      const said = params?.pattern === NOT_EMPTY ? 'must not be empty' : message
      return `${where} ${said}${allowed}`
    })
    .join('; ')
}

/** `openApi` knows what addresses there are. */
const answerError = (openApi) => (error, request, reply) => {
  const { code, status, message } = classify(error)
  // What is wrong with a request that nobody takes does not matter.
  if (request.is404 && status === 400) return notFound(openApi)(request, reply)
  if (status >= 500 && status !== 504)
    request.log.error({ err: error, code }, `${request.method} ${request.url} failed`)
  request.logFields = { ...request.logFields, code }
  const shape = SHAPES[request.routeOptions?.config?.answers]
  reply.headers(error.headers ?? {})
  reply.code(status).send({
    ...shape?.(request),
    ...error.body,
    error: wordsOf(error) ?? message,
    error_code: code,
    request_id: request.id,
  })
}

/** 404, or 405 where the address is right and the method is not. */
const notFound = (openApi) => (request, reply) => {
  const [address] = request.url.split('?')
  const allowed = openApi.allowed(address)
  const body = { request_id: request.id }
  if (allowed.length > 0 && !allowed.includes(request.method)) {
    reply.header('allow', allowed.join(', ')).code(405)
    return reply.send({
      error: `${address} takes ${allowed.join(' and ')}, not ${request.method}`,
      error_code: REQUEST,
      ...body,
    })
  }
  return reply.code(404).send({
    error: `There is no ${request.method} ${address}; /openapi.json says what there is`,
    error_code: NOT_FOUND,
    ...body,
  })
}

module.exports = { answerError, notFound }
