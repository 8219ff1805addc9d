// The gateway as somebody would write it with Node: fastify validates and logs, jsonata maps,
// node:http calls. It reads its setup from standard input, and ends with it.
import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request as send } from 'node:http'
import { createInterface } from 'node:readline'
import fastify from 'fastify'
import jsonata from 'jsonata'
import pino from 'pino' // comes with fastify

const lines = createInterface({ input: process.stdin })
const setup = JSON.parse((await lines[Symbol.asyncIterator]().next()).value)
process.stdin.on('end', () => process.exit(0)).on('close', () => process.exit(0)).resume()

// The expressions are those of the mapping, taken from its file.
const mapping = readFileSync(process.argv[2], 'utf8')
const expression = (key) => {
  const [, indent, text] = new RegExp(`^( *)${key}: \\|\\n((?:\\1 +.*\\n)+)`, 'm').exec(mapping)
  return jsonata(text.replaceAll(`\n${indent}`, '\n'))
}
const requestMapping = expression('request_body_mapping')
const responseMapping = expression('response_mapping')

const hash = (token) => createHash('sha256').update(token).digest('hex')
const tokens = new Map([[hash(setup.token), 'bench']])
const accounts = new Map([[setup.account, setup.context]])

const text = { type: 'string' }
const person = { type: 'object', additionalProperties: false, properties: { email: text, type: text }, required: ['email'] }
const role = { type: 'object', additionalProperties: false, properties: { id: text, name: text } }
const body = {
  type: 'object',
  additionalProperties: false,
  properties: {
    first_name: text,
    last_name: text,
    emails: { type: 'array', items: person },
    roles: { type: 'array', items: role },
    custom_fields: { type: 'object' },
    remote_data: { type: 'object' }
  }
}
const querystring = {
  type: 'object',
  properties: { integrated_account_id: text, truto_ignore_remote_data: { type: 'boolean' } },
  required: ['integrated_account_id']
}

class Problem extends Error {
  constructor (statusCode, message, more) {
    super(message)
    Object.assign(this, { statusCode, more })
  }
}

const app = fastify({
  logger: { stream: pino.destination(2) },
  disableRequestLogging: true,
  genReqId: (request) => request.headers['x-request-id'] ?? randomUUID(),
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false } }
})

app.setErrorHandler((error, request, reply) => {
  const statusCode = error.statusCode ?? 500
  reply.code(statusCode).send({ statusCode, message: error.message, ...error.more })
})

app.addHook('onRequest', async (request, reply) => {
  request.start = performance.now()
  request.upstream = 0
  reply.header('x-request-id', request.id)
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')
  request.token = token && tokens.get(hash(token[1]))
  if (!request.token) throw new Problem(401, 'the token is missing or unknown')
})

app.addHook('onSend', async (request, reply) => {
  const gateway = performance.now() - request.start - request.upstream
  reply.header('server-timing', `upstream;dur=${request.upstream.toFixed(3)}, gateway;dur=${gateway.toFixed(3)}`)
})

app.addHook('onResponse', async (request, reply) => {
  request.log.info({
    method: request.method,
    path: request.url,
    status: reply.statusCode,
    duration_ms: performance.now() - request.start,
    upstream_ms: request.upstream,
    token: request.token,
    integrated_account_id: request.query.integrated_account_id
  }, 'request')
})

const agent = new Agent({ keepAlive: true })

// call sends the body and returns the status and the text of the answer.
const call = (url, key, body) => new Promise((resolve, reject) => {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), api_key: key }
  send(url, { method: 'PUT', agent, headers, timeout: 30_000 }, (answer) => {
    const chunks = []
    answer.on('data', (chunk) => chunks.push(chunk))
    answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(chunks).toString() }))
    answer.on('error', reject)
  }).on('timeout', () => reject(new Problem(504, 'the provider did not answer in time')))
    .on('error', () => reject(new Problem(502, 'no answer from the provider')))
    .end(body)
})

app.patch('/unified/ticketing/users/:id', { schema: { body, querystring } }, async (request) => {
  const account = accounts.get(request.query.integrated_account_id)
  if (!account) throw new Problem(404, 'the account does not exist')
  const mapped = await requestMapping.evaluate({ body: request.body })
  if (!mapped?.profile) throw new Problem(400, 'nothing in the body would reach the provider')
  const start = performance.now()
  const url = `${setup.provider}${setup.base_path}users/${encodeURIComponent(request.params.id)}?user_id=${encodeURIComponent(account.user_id)}`
  const answer = await call(url, account.api_key, JSON.stringify(mapped))
  request.upstream = performance.now() - start
  const record = JSON.parse(answer.body)
  if (answer.status >= 300) throw new Problem(answer.status, record.message, { truto_is_remote_error: true, raw_response: record })
  const out = await responseMapping.evaluate({ response: record })
  if (!request.query.truto_ignore_remote_data) out.remote_data = record
  return out
})

await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`listens on http://127.0.0.1:${app.server.address().port}\n`)
