// A real OAuth client (npm oauth4webapi) with a token that is bound to its key (RFC 9449), and somebody who has seen its
// traffic. Prints one line a request: what it was, then the status and the check that refused.
// Usage: node oauth_client.mjs ISSUER URL RESOURCE ALGORITHM

import { load } from './npm.mjs'

const oauth = await load('oauth4webapi')
const jose = await load('jose')

const [issuer, url, resource, algorithm] = process.argv.slice(2)
const client = { client_id: 'ann' }
const authentication = oauth.ClientSecretBasic('secret of ann')
const loopback = { [oauth.allowInsecureRequests]: true }

function tell(name, response) {
  const check = response.headers.get('x-bartizan-check') ?? '-'
  const challenge = /error="([^"]*)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1] ?? '-'
  console.log(`${name}: ${response.status} ${check} ${challenge}`)
}

const found = await oauth.discoveryRequest(new URL(issuer), loopback)
const server = await oauth.processDiscoveryResponse(new URL(issuer), found)
const pair = await oauth.generateKeyPair(algorithm, { extractable: true })
const handle = oauth.DPoP(client, pair)

/** Asks again with the nonce that the first answer carried, as RFC 9449 §8 and §9 have it. */
async function twice(ask) {
  try {
    return await ask()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return ask()
  }
}

const { access_token: token, token_type: type } = await twice(async () => {
  const parameters = new URLSearchParams({ resource, scope: 'orders:read' })
  const answer = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, { DPoP: handle, ...loopback })
  return oauth.processClientCredentialsResponse(server, client, answer)
})
console.log(`token type: ${type}`)

/** The last proof and nonce that went by. */
const seen = {}
async function send(name) {
  const request = (target, options) => {
    seen.proof = new Headers(options.headers).get('dpop')
    return fetch(target, options)
  }
  const ask = async () => {
    const options = { DPoP: handle, [oauth.customFetch]: async (...words) => {
      const response = await request(...words)
      seen.nonce = response.headers.get('dpop-nonce') ?? seen.nonce
      tell(name, response)
      return response
    }, ...loopback }
    return oauth.protectedResourceRequest(token, 'GET', new URL(url), undefined, undefined, options)
  }
  return twice(ask)
}

await send('owner')
await send('owner again')

async function attack(name, headers, { target = url, method = 'GET' } = {}) {
  tell(name, await fetch(target, { method, headers }))
}

/** A proof for this request, but for what `change` says. */
async function proof(change = {}, signer = pair) {
  const { alg = algorithm, typ = 'dpop+jwt', ...claims } = change
  const jwk = await jose.exportJWK(signer.publicKey)
  const ath = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(token))).toString('base64url')
  const all = { jti: crypto.randomUUID(), htm: 'GET', htu: url, iat: Math.floor(Date.now() / 1000), nonce: seen.nonce, ath, ...claims }
  return new jose.SignJWT(all).setProtectedHeader({ alg, typ, jwk }).sign(signer.privateKey)
}
const authorization = `DPoP ${token}`
const stranger = await oauth.generateKeyPair(algorithm, { extractable: true })

await attack('proof of its own', { authorization, dpop: await proof() })
await attack('proof seen before', { authorization, dpop: seen.proof })
await attack('as a bearer token', { authorization: `Bearer ${token}` })
await attack('without a proof', { authorization })
await attack('proof of another key', { authorization, dpop: await proof({}, stranger) })
await attack('proof for another path', { authorization, dpop: await proof({ htu: `${url}/1` }) })
await attack('proof for another method', { authorization, dpop: await proof() }, { method: 'POST' })
await attack('proof for another token', { authorization, dpop: await proof({ ath: 'AAAA' }) })
await attack('proof of an hour ago', { authorization, dpop: await proof({ iat: Math.floor(Date.now() / 1000) - 3600 }) })
await attack('proof of another type', { authorization, dpop: await proof({ typ: 'JWT' }) })
await attack('proof with a nonce of its own', { authorization, dpop: await proof({ nonce: 'AAAA' }) })
await send('owner at last')
