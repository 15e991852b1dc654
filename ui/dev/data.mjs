// The fixture's data: a retail bank with a shop, seven days of traffic with a daily rhythm and one attack burst.
// Everything comes from one seeded generator, so two runs differ only by the clock they start on. Development only.

/** A small seeded generator (mulberry32). */
export function generator(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const hex = (random, digits) => Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('')
const pick = (random, list) => list[Math.floor(random() * list.length)]

/** Draws from `[value, weight]` pairs. */
function weighted(random, pairs) {
  const total = pairs.reduce((sum, [, weight]) => sum + weight, 0)
  let at = random() * total
  for (const [value, weight] of pairs) {
    at -= weight
    if (at <= 0) return value
  }
  return pairs[pairs.length - 1][0]
}

// api, host, resource, operations; parameters in braces
const RESOURCES = [
  ['bank', 'api.bank.example', '/v2/accounts', ['GET', 'POST', 'GET {accountId}', 'PATCH {accountId}', 'GET {accountId}/balance', 'GET {accountId}/transactions', 'GET {accountId}/transactions/{transactionId}', 'GET {accountId}/statements/{statementId}', 'GET {accountId}/cards', 'POST {accountId}/cards/{cardId}/freeze']],
  ['bank', 'api.bank.example', '/v2/transfers', ['GET', 'POST', 'GET {transferId}', 'POST {transferId}/confirm', 'DELETE {transferId}', 'GET templates', 'POST templates']],
  ['bank', 'api.bank.example', '/v2/payees', ['GET', 'POST', 'GET {payeeId}', 'PUT {payeeId}', 'DELETE {payeeId}', 'POST {payeeId}/verify']],
  ['bank', 'api.bank.example', '/v2/cheque-deposits', ['POST', 'GET', 'GET {depositId}', 'PUT {depositId}/image']],
  ['bank', 'api.bank.example', '/v2/loans', ['GET', 'POST applications', 'GET applications/{applicationId}', 'POST applications/{applicationId}/documents', 'GET {loanId}/schedule']],
  ['bank', 'api.bank.example', '/v1/accounts', ['GET {accountId}', 'GET {accountId}/transactions']],
  ['bank', 'api.bank.example', '/v1/move', ['GET']],
  ['bank', 'api.bank.example', '/admin/accounts', ['GET {accountId}', 'POST {accountId}/unlock']],
  ['identity', 'login.bank.example', '/oauth', ['POST token', 'POST revoke', 'GET authorize', 'GET userinfo']],
  ['identity', 'login.bank.example', '/sessions', ['POST', 'DELETE current', 'GET current', 'POST refresh']],
  ['identity', 'login.bank.example', '/sign-up', ['POST', 'POST verify-email', 'POST verify-phone']],
  ['identity', 'login.bank.example', '/password', ['POST forgot', 'POST reset', 'PUT']],
  ['identity', 'login.bank.example', '/mfa', ['POST challenge', 'POST verify', 'GET devices', 'DELETE devices/{deviceId}']],
  ['profiles', 'api.bank.example', '/v2/users', ['GET me', 'PATCH me', 'GET {userId}', 'GET {userId}/preferences', 'PUT {userId}/preferences', 'GET {userId}/avatar', 'PUT {userId}/avatar', 'GET {userId}/devices', 'GET {userId}/notifications']],
  ['shop', 'shop.bank.example', '/api/products', ['GET', 'GET {productId}', 'GET {productId}/reviews', 'POST {productId}/reviews', 'GET {productId}/stock', 'GET {productId}/related']],
  ['shop', 'shop.bank.example', '/api/categories', ['GET', 'GET {categoryId}', 'GET {categoryId}/products']],
  ['shop', 'shop.bank.example', '/api/search', ['GET', 'GET suggest']],
  ['shop', 'shop.bank.example', '/api/carts', ['POST', 'GET {cartId}', 'POST {cartId}/items', 'PATCH {cartId}/items/{itemId}', 'DELETE {cartId}/items/{itemId}', 'POST {cartId}/coupon']],
  ['shop', 'shop.bank.example', '/api/orders', ['GET', 'POST', 'GET {orderId}', 'POST {orderId}/cancel', 'GET {orderId}/invoice', 'POST {orderId}/returns', 'GET {orderId}/tracking']],
  ['shop', 'shop.bank.example', '/api/checkout', ['POST', 'POST payment-intents', 'GET payment-intents/{intentId}', 'POST payment-intents/{intentId}/capture']],
  ['shop', 'shop.bank.example', '/api/wishlists', ['GET {wishlistId}', 'POST', 'DELETE {wishlistId}']],
  ['partners', 'partners.bank.example', '/v1/invoices', ['GET', 'POST', 'GET {invoiceId}', 'PUT {invoiceId}/status']],
  ['partners', 'partners.bank.example', '/v1/webhooks', ['GET', 'POST', 'DELETE {webhookId}', 'POST {webhookId}/test']],
  ['partners', 'partners.bank.example', '/v1/reports', ['GET', 'GET {date}', 'GET {date}/download']],
  ['partners', 'partners.bank.example', '/v1/merchants', ['GET', 'GET {merchantId}', 'PATCH {merchantId}', 'GET {merchantId}/payouts', 'GET {merchantId}/disputes/{disputeId}']],
  ['default', 'status.bank.example', '/health', ['GET', 'GET ready']],
  ['default', 'status.bank.example', '/metrics', ['GET']],
  ['default', 'status.bank.example', '/.well-known', ['GET openid-configuration', 'GET jwks.json']],
  ['default', 'status.bank.example', '/mobile', ['GET config', 'GET version', 'POST crash-reports', 'POST telemetry']],
]

const KINDS = { accountId: 'integer', userId: 'integer', transferId: 'uuid', transactionId: 'uuid', productId: 'code', orderId: 'integer', cartId: 'uuid', date: 'date', intentId: 'token', cardId: 'hex' }
const AUTH = { bank: [['jwt', 92], ['none', 8]], identity: [['none', 70], ['basic', 12], ['session_cookie', 18]], profiles: [['jwt', 88], ['session_cookie', 12]], shop: [['session_cookie', 60], ['none', 38], ['jwt', 2]], partners: [['key_header', 80], ['client_certificate', 20]], default: [['none', 100]] }
const AGENTS = [['Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) BankApp/7.4.1', 40], ['Mozilla/5.0 (Linux; Android 16; Pixel 10) BankApp/7.4.0', 34], ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36', 22], ['Mozilla/5.0 (compatible; Googlebot/2.1; +https://www.google.com/bot.html)', 3], ['kube-probe/1.35', 1]]

function endpointValue(random, name) {
  switch (KINDS[name] ?? 'integer') {
    case 'uuid': return `${hex(random, 8)}-${hex(random, 4)}-4${hex(random, 3)}-a${hex(random, 3)}-${hex(random, 12)}`
    case 'code': return `SKU-${1000 + Math.floor(random() * 9000)}`
    case 'date': return `2026-1${Math.floor(random() * 2)}-${10 + Math.floor(random() * 18)}`
    case 'token': return '[masked]'
    case 'hex': return hex(random, 12)
    default: return String(1000 + Math.floor(random() * 90000))
  }
}

/** The endpoints, the busiest first. */
export function makeEndpoints(now, extra = 0) {
  const random = generator(7)
  const list = []
  for (const [api, host, base, operations] of RESOURCES) {
    for (const operation of operations) {
      const [method, rest] = operation.split(' ')
      const template = rest ? `${base}/${rest}` : base
      const depth = template.split('/').length
      const weight = (method === 'GET' ? 6 : 2) * (api === 'shop' ? 2.4 : api === 'partners' ? 0.4 : 1) * (0.15 + random() ** 2 * 2) / Math.max(1, depth - 3)
      list.push({ id: hex(random, 16), method, host, template, api, weight, state: 'discovered', firstSeen: now - 86_400_000 * (6.9 - random() ** 6 * 4) })
    }
  }
  for (const [method, template, days] of [['GET', '/v2/users/{userId}/export', 0.2], ['GET', '/internal/debug/vars', 0.1], ['POST', '/v2/transfers/batch', 0.55]]) {
    list.push({ id: hex(random, 16), method, host: 'api.bank.example', template, api: template.startsWith('/internal') ? 'default' : 'bank', weight: 0.08, state: days < 0.15 ? 'candidate' : 'discovered', firstSeen: now - 86_400_000 * days })
  }
  for (let i = 0; i < extra; i += 1) {
    list.push({ id: hex(random, 16), method: pick(random, ['GET', 'GET', 'POST', 'PUT', 'DELETE']), host: `svc-${i % 40}.bank.example`, template: `/v${1 + (i % 3)}/resource-${i}/{id}`, api: `team-${i % 25}`, weight: 0, state: 'discovered', firstSeen: now - 86_400_000 * random() * 7 })
  }
  return list
}

export const CHECKS = [
  { id: 'LIM-101', title: 'method not allowed', severity: 'medium', owasp: 'API8:2023', cwe: [650], since: '0.1', why: 'Methods that nobody planned for reach code that nobody tested: a stray DELETE or TRACE is a way in.', fix: 'List the methods the API needs in the policy; remove the handlers of the others.' },
  { id: 'ACC-101', title: 'client address denied', severity: 'medium', owasp: 'API8:2023', cwe: [284], since: '0.1', why: 'Requests from networks that have no business here are reconnaissance or worse.', fix: 'Keep the deny list short and current; give partners their own allow list.' },
  { id: 'LIM-103', title: 'request target too long', severity: 'low', owasp: 'API4:2023', cwe: [770], since: '0.1', why: 'Very long targets carry payloads and cost memory in every hop.', fix: 'Move large inputs into the body; set a limit that fits the longest honest request.' },
  { id: 'LIM-104', title: 'header section too large', severity: 'low', owasp: 'API4:2023', cwe: [770], since: '0.1', why: 'Oversize header sections exhaust buffers of servers behind.', fix: 'Find the client that sends them; cookies are the usual cause.' },
  { id: 'LIM-105', title: 'request body too large', severity: 'medium', owasp: 'API4:2023', cwe: [770], since: '0.1', why: 'A body larger than the API expects costs memory and time before it is refused.', fix: 'Set the limit near the largest honest body; stream uploads on their own path.' },
  { id: 'LIM-202', title: 'quota used up', severity: 'medium', owasp: 'API4:2023', cwe: [770], since: '0.1', why: 'Without a limit on how often it may call, one client can scrape, guess or overload at the price of everybody else.', fix: 'Look at what the client does; raise the quota when it is honest, block it when it is not.' },
  { id: 'WAF-913100', title: 'client names itself as a scanner', severity: 'low', owasp: 'API8:2023', cwe: [200], since: '0.1', why: 'Tools that look for weaknesses come before those who use them.', fix: 'Look at what else this client asked for.' },
  { id: 'LIM-207', title: 'too many failed logins', severity: 'high', owasp: 'API2:2023', cwe: [307], since: '0.1', why: 'Passwords are guessed and stolen lists are tried out by the thousand when nobody counts the failures.', fix: 'Keep the limit; tell the owner of the account, and ask for a second factor.' },
  { id: 'ENG-101', title: 'malformed request', severity: 'low', owasp: 'API8:2023', cwe: [444], since: '0.1', why: 'Requests that two parsers read differently are how request smuggling begins.', fix: 'Look at the client; honest ones rarely send such requests.' },
]

const POLICIES = {
  'per-client': { check: 'LIM-202', status: 429, location: { part: 'connection', name: null } },
  'login-guard': { check: 'LIM-207', status: 429, location: { part: 'connection', name: null } },
  'no-tor-exits': { check: 'ACC-101', status: 403, location: { part: 'connection', name: null } },
  'bank-methods': { check: 'LIM-101', status: 405, location: { part: 'method', name: null } },
  'body-size': { check: 'LIM-105', status: 413, location: { part: 'body', name: null } },
  'target-size': { check: 'LIM-103', status: 414, location: { part: 'path', name: null } },
}

/** API keys: ages in days, hours since a rotation; those of partners have made requests. */
const key = (id, application, days, more = {}) => ({ id, application, days, owner: null, plan: null, scopes: [], roles: [], quota: null, created_by: 'mara', expires: null, rotated: null, revoked: null, revoked_by: null, ...more })
export const APPLICATIONS = [
  key('a3xk7wq2mzp4c', 'acme-erp', 212, { owner: 'Acme Corp., integrations', plan: 'gold', scopes: ['invoices:read', 'invoices:write', 'reports:read'], quota: { requests: 50_000, per_s: 86_400 }, expires: 0.4, rotated: 14 }),
  key('h5tq2ywv6rbnd', 'acme-erp', 0.6, { owner: 'Acme Corp., integrations', plan: 'gold', scopes: ['invoices:read', 'invoices:write', 'reports:read'], quota: { requests: 50_000, per_s: 86_400 }, expires: 212 }),
  key('k7kq2xwz4mabc', 'billing-sync', 401, { owner: 'team-billing', scopes: ['invoices:read'], roles: ['service'], created_by: 'command line', revoked: 9, revoked_by: 'jon' }),
  key('m2zc5dlw3pqra', 'harbor-logistics', 58, { owner: 'Harbor Logistics', plan: 'silver', scopes: ['webhooks:write'], quota: { requests: 600, per_s: 60 }, expires: 32 }),
  key('p6wn4tky2sjve', 'nightly-reports', 90, { owner: 'team-data', scopes: ['reports:read'], created_by: 'command line', expires: -3 }),
  key('t4vb3xrq7ghla', 'status-page', 12, { created_by: 'command line' }),
]
const CALLING = [0, 1, 3].map((at) => APPLICATIONS[at])

const CREDENTIALS = 900
const UPSTREAM = { bank: 'core', identity: 'identity', profiles: 'core', shop: 'shop', partners: 'partners', default: 'core' }

/** One event of `endpoint` at `time`. `attack` names the story it plays, if any. */
export function makeEvent(random, endpoint, time, attack) {
  const person = Math.floor(random() ** 1.5 * CREDENTIALS)
  const auth = attack ? 'none' : weighted(random, AUTH[endpoint.api] ?? AUTH.default)
  const ip = attack === 'walk' ? '203.0.113.77' : attack === 'tor' ? `198.51.100.${Math.floor(random() * 12)}` : person % 17 === 0 ? `2001:db8:${(person % 97).toString(16)}::${(person % 13) + 1}` : `192.0.${(person % 2) * 2}.${1 + (person % 250)}`
  let status = weighted(random, [[endpoint.method === 'POST' ? 201 : endpoint.method === 'DELETE' ? 204 : 200, 940], [304, endpoint.method === 'GET' ? 30 : 0], [401, 12], [404, 10], [422, endpoint.method === 'GET' ? 0 : 8], [429, 3], [500, 2], [503, 1]])
  let ending = 'answered'
  let policy = null
  let applied = false
  let method = endpoint.method
  if (attack === 'walk') status = random() < 0.82 ? 404 : 200
  if (attack === 'walk' && random() < 0.6) [policy, applied] = ['per-client', false]
  else if (!attack && endpoint.template === '/sessions' && random() < 0.02) [policy, applied] = ['login-guard', true]
  else if (attack === 'tor') [policy, applied] = ['no-tor-exits', true]
  else if (attack === 'method') [policy, applied, method] = ['bank-methods', true, pick(random, ['TRACE', 'PROPFIND', 'DELETE'])]
  else if (random() < 0.0035) [policy, applied] = ['body-size', false]
  else if (random() < 0.0012) [policy, applied] = ['target-size', false]
  const rule = policy ? POLICIES[policy] : null
  if (rule && applied) [status, ending] = [rule.status, 'stopped']
  else if (random() < 0.0009) [status, ending] = [502, 'upstream_unreachable']
  else if (random() < 0.0006) [status, ending] = [504, 'upstream_timeout']
  else if (random() < 0.0008) [status, ending] = [0, 'client_closed']
  const parameters = []
  const path = endpoint.template.replace(/\{(\w+)\}/g, (_, name) => {
    parameters.push({ place: 'path', name, kind: KINDS[name] ?? 'integer' })
    return endpointValue(random, name)
  })
  if (endpoint.method === 'GET' && random() < 0.4) parameters.push({ place: 'query', name: 'limit', kind: 'integer' })
  if (endpoint.template.includes('search')) parameters.push({ place: 'query', name: 'q', kind: 'text' })
  const slow = endpoint.template.includes('report') ? 6 : endpoint.template.includes('search') ? 2.5 : 1
  const upstream = ending === 'stopped' ? null : Math.round((6_000 + random() ** 4 * 180_000) * slow * (endpoint.method === 'GET' ? 1 : 1.8))
  const duration = ending === 'upstream_timeout' ? 10_000_000 + Math.round(random() * 9_000) : (upstream ?? 0) + Math.round(90 + random() * 400)
  const imported = random() < 0.04
  const sent = method !== 'GET' && method !== 'DELETE'
  const caller = auth === 'key_header' ? CALLING[person % CALLING.length] : null
  const actor = caller ? ['principal', `${(0x9e3779b1 * (person % 3 + 1) >>> 0).toString(16).padStart(8, '0')}c41d9a70e2b35f68`] : auth === 'none' ? ['network', ip.includes(':') ? `${ip.split('::')[0]}::/64` : ip] : [auth === 'session_cookie' ? 'session' : 'credential', `k_${(0x9e3779b1 * (person + 1) >>> 0).toString(16).padStart(8, '0')}${(0x85ebca6b * (person + 7) >>> 0).toString(16).padStart(8, '0')}`]
  return {
    id: Math.floor(time).toString(16).padStart(12, '0') + hex(random, 20),
    time, source: imported ? 'access_log' : 'gateway', client_ip: ip, actor_kind: actor[0], actor: actor[1],
    scheme: endpoint.api === 'default' ? 'http' : 'https', version: random() < 0.7 ? 'HTTP/2' : 'HTTP/1.1', host: endpoint.host, method, path, api: endpoint.api,
    endpoint_id: endpoint.method === method ? endpoint.id : null, template: endpoint.method === method ? endpoint.template : null, auth: auth === 'none' ? [] : [auth],
    user_agent: attack ? 'python-requests/2.33.0' : endpoint.template === '/health' ? 'kube-probe/1.35' : endpoint.api === 'partners' ? 'acme-erp/12.2 (java-http-client)' : weighted(random, AGENTS),
    request_type: sent ? 'application/json' : null, response_type: status === 204 || status === 304 || status === 0 ? null : status >= 400 && ending === 'stopped' ? 'application/problem+json' : 'application/json',
    ending, status, request_bytes: sent ? Math.round(80 + random() ** 3 * 9_000) : 0, response_bytes: status === 204 || status === 304 ? 0 : Math.round(120 + random() ** 3 * 60_000),
    duration_us: imported ? Math.round(duration / 1000) * 1000 : duration, upstream_us: upstream, upstream: upstream === null ? null : UPSTREAM[endpoint.api] ?? 'core',
    decision: rule ? 'deny' : 'allow', applied, decision_status: rule ? rule.status : 0, check: rule?.check ?? null, policy,
    findings_count: rule ? 1 : 0, missing: imported ? ['headers', 'request_body', 'response_body'] : endpoint.template.includes('image') ? ['request_body'] : [],
    application: caller?.application ?? null, credential_id: caller?.id ?? null, cache_status: null, parameters, rule,
  }
}

/** All events of the last seven days, oldest first. */
export function makeEvents(now, endpoints, count = 60_000) {
  const random = generator(42)
  const busy = endpoints.filter((endpoint) => endpoint.weight > 0)
  const cumulative = []
  let total = 0
  for (const endpoint of busy) cumulative.push((total += endpoint.weight))
  const draw = () => {
    const at = random() * total
    let [low, high] = [0, busy.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (cumulative[middle] < at) low = middle + 1
      else high = middle
    }
    return busy[low]
  }
  const events = []
  const span = 7 * 86_400_000
  while (events.length < count) {
    const time = now - random() * span
    const hour = (time / 3_600_000) % 24
    const rhythm = 0.25 + 0.75 * Math.max(0, Math.sin(((hour - 5) / 18) * Math.PI)) ** 0.8
    if (random() > rhythm) continue
    const endpoint = draw()
    if (time < endpoint.firstSeen) continue
    events.push(makeEvent(random, endpoint, time, random() < 0.0025 ? 'tor' : random() < 0.001 ? 'method' : null))
  }
  const accounts = endpoints.find((endpoint) => endpoint.template === '/v2/accounts/{accountId}' && endpoint.method === 'GET')
  const login = endpoints.find((endpoint) => endpoint.template === '/sessions' && endpoint.method === 'POST')
  const burst = now - 3.2 * 3_600_000
  for (let i = 0; i < 900; i += 1) events.push(makeEvent(random, accounts, burst + random() * 40 * 60_000, 'walk'))
  for (let i = 0; i < 700; i += 1) events.push(makeEvent(random, login, burst + 60_000 * 12 + random() * 25 * 60_000, 'tor'))
  events.sort((a, b) => a.time - b.time)
  return events
}

export const YAML = `# Gateway of the retail bank and the shop.
listeners:
  - address: 0.0.0.0:8443
    http2: true
    tls:
      certificates:
        - certificate: tls/bank.example.crt
          key: tls/bank.example.key
  - address: 127.0.0.1:8080

upstreams:
  - name: core
    targets: [{ address: "10.20.0.11:9000" }, { address: "10.20.0.12:9000" }]
    health: { path: /health, interval: 5s }
  - name: identity
    targets: [{ address: "10.20.1.11:9000" }]
  - name: shop
    targets: [{ address: "10.20.2.11:9000" }, { address: "10.20.2.12:9000" }]
    balance: random
  - name: partners
    targets: [{ address: "10.20.3.11:9000" }]

apis:
  - { name: bank, hosts: [api.bank.example], upstream: core }
  - { name: profiles, hosts: [api.bank.example], path_prefix: /v2/users, upstream: core }
  - { name: identity, hosts: [login.bank.example], upstream: identity }
  - { name: shop, hosts: [shop.bank.example], upstream: shop, body_bytes_max: 1MiB }
  - { name: partners, hosts: [partners.bank.example], upstream: partners }

policies:
  - name: no-tor-exits
    mode: enforce
    addresses: { deny: [198.51.100.0/24] }
  - name: bank-methods
    mode: enforce
    scope: { apis: [bank, profiles] }
    methods: { allow: [GET, HEAD, POST, PUT, PATCH, DELETE] }
  - name: body-size
    mode: observe # enforce after a week without a false alarm
    scope: { apis: [bank, shop], methods: [POST, PUT, PATCH] }
    limits: { body_bytes_max: 64KiB }
  - name: target-size
    mode: observe
    limits: { target_bytes_max: 2KiB, header_bytes_max: 16KiB }
  - name: per-client
    mode: observe
    rate:
      key: [principal, endpoint]
      spike_arrest: { requests: 20, per: 1s, burst: 40 }
      quota: { requests: 600, per: 1h }
  - name: partner-plan
    mode: observe
    scope: { apis: [partners] }
    rate:
      key: [api_key]
      quota: { requests: 100000, per: month }
      concurrency: 50
      bandwidth: { bytes: 10GiB, per: 1d }
      keys_max: 1000
  - name: login-guard
    mode: enforce
    scope: { apis: [identity], methods: [POST], paths: [/sessions] }
    rate:
      login:
        account: user.email
        per_account: { attempts: 5, per: 15m }
        per_source: { attempts: 50, per: 15m }
  - name: legacy-v1
    mode: off
    scope: { apis: [bank], paths: [/v1/**] }
    methods: { allow: [GET] }

trusted_proxies: [10.0.0.0/8]
`

/** `Map.groupBy`, which node 20 lacks. */
export function groupBy(list, key) {
  const groups = new Map()
  for (const item of list) {
    const name = key(item)
    const group = groups.get(name)
    if (group) group.push(item)
    else groups.set(name, [item])
  }
  return groups
}
