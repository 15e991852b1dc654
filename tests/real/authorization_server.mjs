// An OAuth 2.0 authorization server (npm oidc-provider) on the loopback address, and beside it a port by which a test
// exchanges its keys: `PUT /keys` with a list of names, of which the first signs and all are published. New names get
// new keys. As an operator would, it starts the server anew with these keys, in one step and without a pause.
// Usage: node authorization_server.mjs PORT CONTROL_PORT

import { randomBytes } from 'node:crypto'
import http from 'node:http'
import { load } from './npm.mjs'

const { default: Provider } = await load('oidc-provider')
const { exportJWK, generateKeyPair } = await load('jose')

const [port, control] = process.argv.slice(2).map(Number)
const ALGORITHM = 'ES256'
const SCOPE = 'orders:read'
const client = (id) => ({
  client_id: id,
  client_secret: `secret of ${id}`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: SCOPE,
})

/** What a resource's tokens are like: format, audience, seconds to live. */
const RESOURCES = {
  'urn:shop': ['jwt', 'shop', 600],
  'urn:shop:brief': ['jwt', 'shop', 1],
  'urn:elsewhere': ['jwt', 'elsewhere', 600],
  'urn:shop:opaque': ['opaque', 'shop', 600],
  'urn:elsewhere:opaque': ['opaque', 'elsewhere', 600],
}

function resourceServer(_ctx, resource) {
  const [accessTokenFormat, audience, accessTokenTTL] = RESOURCES[resource]
  const jwt = accessTokenFormat === 'jwt' ? { sign: { alg: ALGORITHM } } : undefined
  return { accessTokenFormat, accessTokenTTL, audience, jwt, scope: SCOPE }
}

const keys = new Map()
const nonceSecret = randomBytes(32)
const cookieKeys = [randomBytes(32).toString('hex')]

async function key(kid) {
  if (!keys.has(kid)) {
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
    keys.set(kid, { ...(await exportJWK(privateKey)), kid, alg: ALGORITHM, use: 'sig' })
  }
  return keys.get(kid)
}

async function start(names) {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    jwks: { keys: await Promise.all(names.map(key)) },
    clients: ['ann', 'bob', 'gateway'].map(client),
    clientDefaults: { id_token_signed_response_alg: ALGORITHM },
    scopes: [SCOPE],
    cookies: { keys: cookieKeys },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret, requireNonce: () => true },
      introspection: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer },
      revocation: { enabled: true },
    },
  })
  provider.on('server_error', (_ctx, error) => console.error(error))
  return provider.callback()
}

async function body(request) {
  const parts = []
  for await (const part of request) parts.push(part)
  return JSON.parse(Buffer.concat(parts).toString())
}

let answer = await start(['first'])
let asked = {}
http
  .createServer((request, response) => {
    asked[request.url] = (asked[request.url] ?? 0) + 1
    return answer(request, response)
  })
  .listen(port, '127.0.0.1')
http
  .createServer(async (request, response) => {
    if (request.method === 'PUT') answer = await start(await body(request))
    // how often each path was asked for
    response.setHeader('content-type', 'application/json').end(JSON.stringify(asked))
  })
  .listen(control, '127.0.0.1')
