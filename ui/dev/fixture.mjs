// A stand-in for the real backend: serves `dist/` and the console API over generated data. Development and visual
// checks only, never shipped. `x-fixture: empty|error|slow|huge|setup|signedout` (a header) picks a state.
// Usage: node dev/fixture.mjs [port]; prints the address.

import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { APPLICATIONS, CHECKS, generator, groupBy, makeEndpoints, makeEvent, makeEvents, YAML } from './data.mjs'
import { explained, limitsReport, policiesReport } from './policies.mjs'
import { FIELDS, compile, outcome } from './query.mjs'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json', '.woff2': 'font/woff2' }

const started = Date.now()
const endpoints = makeEndpoints(started)
const events = makeEvents(started, endpoints)
let huge
const byId = new Map(events.map((event) => [event.id, event]))
const iso = (time) => new Date(time).toISOString().replace('Z', '000Z')
const quantile = (sorted, q) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] : null)

class Problem extends Error {
  constructor(status, title, detail, extra = {}) {
    super(detail)
    Object.assign(this, { status, title, detail, extra })
  }
}

const problem = (detail) => {
  throw new Problem(400, 'bad request', detail)
}

/** Index of the first event at or after `time`. */
function lowerBound(time) {
  let [low, high] = [0, events.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (events[middle].time < time) low = middle + 1
    else high = middle
  }
  return low
}

const slice = (from, to) => events.slice(lowerBound(from), lowerBound(to))
const STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400]
const stepOf = (from, to) => STEPS.find((step) => (to - from) / 1000 / step <= 120) ?? 86400

function buckets(list, from, to, make, fold) {
  const step = stepOf(from, to)
  const first = Math.floor(from / 1000 / step) * step * 1000
  const out = []
  for (let time = first; time < to; time += step * 1000) out.push({ time: iso(time), ...make() })
  for (const event of list) fold(out[Math.floor((event.time - first) / 1000 / step)], event)
  return [step, out]
}

const outcomes = () => ({ allowed: 0, observed: 0, denied: 0, errors: 0 })
function totals(list) {
  const total = { requests: list.length, ...outcomes(), clients: new Set(list.map((event) => event.actor)).size }
  for (const event of list) total[outcome(event)] += 1
  return total
}

function latency(list, from, to) {
  const [, out] = buckets(list, from, to, () => ({ all: [] }), (bucket, event) => bucket.all.push(event.duration_us))
  return out.map(({ time, all }) => {
    all.sort((a, b) => a - b)
    return { time, p50_us: quantile(all, 0.5), p95_us: quantile(all, 0.95), p99_us: quantile(all, 0.99) }
  })
}

function counts(list, value) {
  const map = new Map()
  for (const item of list) for (const one of [value(item)].flat()) if (one !== null && one !== undefined && one !== '') map.set(one, (map.get(one) ?? 0) + 1)
  return [...map].map(([key, count]) => ({ value: String(key), count })).sort((a, b) => b.count - a.count)
}

/** A facet as the store gives it: numbers stay numbers, absent is null, lists are joined words. */
function facet(list, field) {
  if (!FIELDS.includes(field)) throw new Problem(400, 'bad query', `there is no field \`${field}\``)
  const groups = groupBy(list, (event) => (Array.isArray(event[field]) ? event[field].join(',') : event[field]))
  return [...groups].map(([value, own]) => ({ value, count: own.length })).sort((a, b) => b.count - a.count).slice(0, 20)
}

function summaries(list, known) {
  const groups = new Map(known.map((endpoint) => [endpoint.id, []]))
  for (const event of list) groups.get(event.endpoint_id)?.push(event)
  return known.map((endpoint) => {
    const own = groups.get(endpoint.id)
    const statuses = { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 }
    for (const event of own) if (event.status >= 200) statuses[`${Math.floor(event.status / 100)}xx`] += 1
    return {
      id: endpoint.id, method: endpoint.method, host: endpoint.host, template: endpoint.template, api: endpoint.api, state: endpoint.state,
      first_seen: iso(own[0]?.time ?? endpoint.firstSeen), last_seen: iso(own.at(-1)?.time ?? endpoint.firstSeen), requests: own.length,
      denied: own.filter((event) => event.decision === 'deny' && event.applied).length, errors: own.filter((event) => outcome(event) === 'errors').length, statuses,
      auth: counts(own, (event) => (event.auth.length ? event.auth : ['none'])).map(({ value }) => value), callers: new Set(own.map((event) => event.actor)).size,
      parameters: (endpoint.template.match(/\{/g) ?? []).length + new Set(own.flatMap((event) => event.parameters.filter((p) => p.place !== 'path').map((p) => p.name))).size,
    }
  })
}

let cachedSummaries
const allSummaries = () => (cachedSummaries ??= summaries(events, endpoints))
function hugeSummaries() {
  huge ??= [...allSummaries(), ...summaries([], makeEndpoints(started, 10_000).slice(endpoints.length)).map((item, at) => ({ ...item, requests: (at * 7919) % 4000, statuses: { '2xx': (at * 7919) % 4000, '3xx': 0, '4xx': 0, '5xx': 0 }, auth: ['jwt'], callers: at % 90 }))]
  return huge
}

function row(event) {
  const { parameters: _p, rule: _r, ...rest } = event
  return { ...rest, time: iso(event.time) }
}

function full(event) {
  const rule = event.rule
  const findings = rule ? [{ check: rule.check, severity: CHECKS.find((check) => check.id === rule.check).severity, confidence: 'high', location: rule.location, evidence: rule.check === 'ACC-101' ? `client \`${event.client_ip}\` is in \`198.51.100.0/24\`` : rule.check === 'LIM-101' ? `method \`${event.method}\` is not one of GET, HEAD, POST, PUT, PATCH, DELETE` : rule.check === 'LIM-202' ? 'more than 600 requests in 1h by principal and endpoint' : rule.check === 'LIM-207' ? 'more than 5 failed attempts in 15m at one account' : rule.check === 'LIM-105' ? 'body of 71,302 bytes; at most 65,536 are allowed' : 'target of 2,410 bytes; at most 2,048 are allowed' }] : []
  const missing = Object.fromEntries(['time', 'client', 'headers', 'request_body', 'response', 'response_body'].map((word) => [word, event.missing.includes(word)]))
  return {
    id: event.id, time: iso(event.time), source: event.source, client: { ip: event.client_ip, via: event.source === 'gateway' ? '10.0.0.5' : null, tls_version: event.scheme === 'https' ? 'TLSv1.3' : null },
    actor: { kind: event.actor_kind, id: event.actor }, scheme: event.scheme, version: event.version, host: event.host, method: event.method, path: event.path, api: event.api,
    endpoint: event.endpoint_id ? { id: event.endpoint_id, template: event.template } : null, parameters: event.parameters, auth: event.auth,
    principal: event.credential_id ? { subject: event.actor, application: event.application, credential_id: event.credential_id, scopes: ['invoices:read', 'reports:read'], roles: [], credential: 'api_key', strength: 'shared' } : event.auth[0] === 'jwt' ? { subject: event.actor.replace('k_', ''), application: 'bank-app', scopes: ['accounts:read', 'transfers:write'], roles: [], credential: 'jwt', strength: 'bearer' } : null, user_agent: event.user_agent, request_type: event.request_type,
    response_type: event.response_type, ending: event.ending, status: event.status, request_bytes: event.request_bytes, response_bytes: event.response_bytes, duration_us: event.duration_us, upstream_us: event.upstream_us,
    upstream: event.upstream, findings, decision: { action: event.decision, applied: event.applied, status: event.decision_status, check: event.check, policy: event.policy }, missing,
    checks: Object.fromEntries(CHECKS.filter((check) => check.id === event.check).map((check) => [check.id, check])),
  }
}

const revisionAt = [6.8, 5.1, 2.9, 1.2, 0.21].map((days) => started - days * 86_400_000)
const YAMLS = [
  YAML.replace(/ {2}- name: legacy-v1[\s\S]*?\n\n/, '\n').replace(/ {2}- name: target-size[\s\S]*?16KiB }\n/, ''),
  YAML.replace(/ {2}- name: legacy-v1[\s\S]*?\n\n/, '\n'),
  YAML.replace('body_bytes_max: 64KiB', 'body_bytes_max: 64 kilobytes'),
  YAML.replace('mode: enforce\n    addresses', 'mode: observe\n    addresses'),
  YAML,
]
const BAD = [{ severity: 'error', code: 'CFG-014', file: '/etc/bartizan/bartizan.yaml', position: { line: 41, column: 31 }, path: 'policies[2].limits.body_bytes_max', message: 'size `64 kilobytes`: unknown unit `kilobytes`', help: 'write it as `64KiB`, `64kB` or a plain number of bytes' }]
const revisions = YAMLS.map((yaml, at) => ({
  revision: at + 1, time: iso(revisionAt[at]), author: ['bartizan', 'mara', 'jon', 'mara', 'mara'][at], cause: ['start', 'console', 'file', 'signal', 'console'][at],
  outcome: at === 2 ? 'rejected' : 'applied', message: at === 2 ? '1 error; the running configuration stays' : '', yaml_sha256: (BigInt(at + 3) ** 40n).toString(16).padEnd(64, 'a7').slice(0, 64), yaml, diagnostics: at === 2 ? BAD : [],
}))
let reloads = 0

const apiKeys = APPLICATIONS.map((key) => ({ ...key, created: iso(started - key.days * 86_400_000), expires: key.expires === null ? null : iso(started + key.expires * 86_400_000), rotated: key.rotated === null ? null : iso(started - key.rotated * 3_600_000), revoked: key.revoked === null ? null : iso(started - key.revoked * 86_400_000) })).map(({ days: _, ...key }) => key)

function listKeys() {
  const day = slice(Date.now() - 86_400_000, Date.now() + 1)
  return apiKeys.map((key) => {
    const own = events.filter((event) => event.credential_id === key.id)
    const today = day.filter((event) => event.credential_id === key.id)
    const time = (text) => (text === null ? Infinity : Date.parse(text))
    const state = key.revoked ? 'revoked' : time(key.expires) <= Date.now() ? 'expired' : key.rotated ? 'rotating' : 'live'
    return { ...key, state, last_used: own.length ? iso(own.at(-1).time) : null, calls: own.length, requests_24h: today.length, denied_24h: today.filter((event) => outcome(event) === 'denied').length }
  })
}

function makeKey(of) {
  const random = generator(Date.now())
  const letters = (count) => Array.from({ length: count }, () => 'abcdefghijklmnopqrstuvwxyz234567'[Math.floor(random() * 32)]).join('')
  const key = { id: letters(13), owner: null, plan: null, scopes: [], roles: [], quota: null, ...of, created: iso(Date.now()), created_by: session.user.name, rotated: null, revoked: null, revoked_by: null }
  apiKeys.push(key)
  apiKeys.sort((a, b) => (a.application < b.application ? -1 : a.application > b.application ? 1 : 0))
  return { text: `bz_${key.id}_${letters(52)}_5f3a91c0`, key: listKeys().find((one) => one.id === key.id) }
}

function config(state) {
  const day = slice(Date.now() - 86_400_000, Date.now() + 1)
  const hits = (name, applied) => (state === 'empty' ? 0 : day.filter((event) => event.policy === name && event.applied === applied).length)
  const policy = (name, kind, mode, scope, summary) => ({ name, kind, mode, scope: { apis: [], methods: [], paths: [], ...scope }, summary, denied_24h: hits(name, true), observed_24h: hits(name, false) })
  const api = (name, host, path_prefix, upstream, body_bytes_max = 10_485_760) => ({ name, hosts: [host], path_prefix, upstream, body_bytes_max, streaming: name === 'partners' ? ['/v1/reports/*/download'] : [] })
  const empty = state === 'empty'
  return {
    revision: empty ? 1 : 5, generation: empty ? 1 : 48, applied_at: iso(empty ? started : revisionAt[4]), file: '/etc/bartizan/bartizan.yaml', yaml: empty ? 'listeners:\n  - address: 127.0.0.1:8080\nupstreams:\n  - name: default\n    targets:\n      - address: 127.0.0.1:9000\n' : YAML,
    policies: empty ? [] : [policy('no-tor-exits', 'addresses', 'enforce', {}, 'not from 198.51.100.0/24'), policy('bank-methods', 'methods', 'enforce', { apis: ['bank', 'profiles'] }, 'only GET, HEAD, POST, PUT, PATCH, DELETE'), policy('body-size', 'limits', 'observe', { apis: ['bank', 'shop'], methods: ['POST', 'PUT', 'PATCH'] }, 'body at most 65536 B'), policy('target-size', 'limits', 'observe', {}, 'target at most 2048 B, header at most 16384 B'), policy('per-client', 'rate', 'observe', {}, '20 in 1s, 40 at once, 600 in 1h by principal and endpoint'), policy('partner-plan', 'rate', 'observe', { apis: ['partners'] }, '100000 each month, 50 in flight, 10737418240 B in 1d by api_key'), policy('login-guard', 'rate', 'enforce', { apis: ['identity'], methods: ['POST'], paths: ['/sessions'] }, '5 failed logins at an account'), policy('legacy-v1', 'methods', 'off', { apis: ['bank'], paths: ['/v1/**'] }, 'only GET')],
    plans: empty ? [] : [{ name: 'gold', summary: '50 in 1s, 100 at once, 1000000 in each month, 100 in flight by application, leased among gateways' }, { name: 'free', summary: '1000 in 1d by application' }, { name: 'internal', summary: '' }],
    apis: empty ? [{ name: 'default', hosts: [], path_prefix: '/', upstream: 'default', body_bytes_max: 10_485_760, streaming: [] }] : [api('bank', 'api.bank.example', '/', 'core'), api('profiles', 'api.bank.example', '/v2/users', 'core'), api('identity', 'login.bank.example', '/', 'identity'), api('shop', 'shop.bank.example', '/', 'shop', 1_048_576), api('partners', 'partners.bank.example', '/', 'partners')],
    upstreams: ['core', 'identity', 'shop', 'partners'].slice(0, empty ? 1 : 4).map((name, at) => ({ name: empty ? 'default' : name, targets: [{ address: `10.20.${at}.11:9000`, weight: 1 }], balance: name === 'shop' ? 'random' : 'round_robin', protocol: 'http1' })),
    listeners: empty ? [{ address: '127.0.0.1:8080', tls: false, http2: true }] : [{ address: '0.0.0.0:8443', tls: true, http2: true }, { address: '127.0.0.1:8080', tls: false, http2: true }],
    restart_needed: empty ? [] : reloads > 0 ? ['listeners[0].address: the new address is used after a restart'] : [],
  }
}

function overview(from, to, state) {
  const list = state === 'empty' ? [] : slice(from, to)
  const before = state === 'empty' ? [] : slice(2 * from - to, from)
  const [step_s, series] = buckets(list, from, to, outcomes, (bucket, event) => (bucket[outcome(event)] += 1))
  const groups = groupBy(list.filter((event) => event.endpoint_id), (event) => event.endpoint_id)
  const top_endpoints = [...groups].sort((a, b) => b[1].length - a[1].length).slice(0, 10).map(([id, own]) => ({ id, method: own[0].method, host: own[0].host, template: own[0].template, requests: own.length, denied: own.filter((e) => outcome(e) === 'denied').length, errors: own.filter((e) => outcome(e) === 'errors').length, p95_us: quantile(own.map((e) => e.duration_us).sort((a, b) => a - b), 0.95) }))
  const checks = counts(list, (event) => event.check).map(({ value, count }) => ({ check: value, title: CHECKS.find((c) => c.id === value).title, severity: CHECKS.find((c) => c.id === value).severity, count }))
  const empty = state === 'empty'
  return {
    from: iso(from), to: iso(to), step_s, totals: totals(list), previous: totals(before), series, latency: latency(list, from, to), top_endpoints, top_checks: checks,
    new_endpoints: empty ? [] : allSummaries().filter((item) => Date.parse(item.first_seen) >= from && endpoints.find((e) => e.id === item.id).weight < 0.1).slice(0, 8),
    sources: [{ name: 'gateway', kind: 'gateway', state: empty ? 'idle' : 'ok', last_event: empty ? null : iso(events.at(-1).time), events: empty ? 0 : 57_430, detail: empty ? 'no request yet' : '' }, ...(empty ? [] : [{ name: 'edge-nginx', kind: 'access_log', state: 'idle', last_event: iso(started - 3.4 * 3_600_000), events: 2_212, detail: 'nothing since 3 h' }])],
    upstreams: empty ? [] : [{ name: 'core', targets: [{ address: '10.20.0.11:9000', healthy: true, detail: '' }, { address: '10.20.0.12:9000', healthy: true, detail: '' }] }, { name: 'identity', targets: [{ address: '10.20.1.11:9000', healthy: true, detail: '' }] }, { name: 'shop', targets: [{ address: '10.20.2.11:9000', healthy: true, detail: '' }, { address: '10.20.2.12:9000', healthy: false, detail: 'connection refused' }] }, { name: 'partners', targets: [{ address: '10.20.3.11:9000', healthy: true, detail: '' }] }],
    events: { written: empty ? 0 : 59_642, dropped: 0, queued: empty ? 0 : 12, queue_max: 65_536 }, store: { state: 'ok', detail: '', bytes: empty ? 4_096 : 41_236_992, segments: empty ? 0 : 212, quarantined: [] },
  }
}

function catalog(query, state) {
  const known = state === 'huge' ? hugeSummaries() : state === 'empty' ? [] : allSummaries()
  const q = (query.get('q') ?? '').toLowerCase()
  const wants = (name) => query.getAll(name)
  const statusOf = (item) => Object.entries(item.statuses).filter(([, count]) => count > 0).map(([word]) => word)
  const read = { api: (i) => i.api, method: (i) => i.method, host: (i) => i.host, auth: (i) => i.auth, status: statusOf }
  const holds = (item, but) => (!q || `${item.method} ${item.host}${item.template}`.toLowerCase().includes(q)) && Object.entries(read).every(([name, of]) => name === but || wants(name).length === 0 || [of(item)].flat().some((value) => wants(name).includes(value)))
  const list = known.filter((item) => holds(item))
  const sort = query.get('sort') ?? 'requests'
  const key = { requests: (i) => i.requests, last_seen: (i) => Date.parse(i.last_seen), first_seen: (i) => Date.parse(i.first_seen), errors: (i) => i.errors, template: (i) => i.template, callers: (i) => i.callers }[sort]
  const sign = query.get('order') === 'asc' ? 1 : -1
  list.sort((a, b) => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : a.id < b.id ? -1 : 1))
  const offset = Number(query.get('offset') ?? 0)
  return { total: list.length, facets: Object.fromEntries(Object.entries(read).map(([name, of]) => [name, counts(known.filter((item) => holds(item, name)), of)])), items: list.slice(offset, offset + Number(query.get('limit') ?? 100)) }
}

function endpointDetail(id) {
  const summary = allSummaries().find((item) => item.id === id)
  if (!summary) throw new Problem(404, 'not found', `no endpoint has the id \`${id}\``)
  const own = events.filter((event) => event.endpoint_id === id)
  const groups = groupBy(own.flatMap((event) => event.parameters), (parameter) => `${parameter.place} ${parameter.name}`)
  const parameter_list = [...groups.values()].map((seen) => ({ place: seen[0].place, name: seen[0].name, type: seen[0].kind === 'integer' ? 'integer' : 'string', kinds: counts(seen, (p) => p.kind).map(({ value, count }) => ({ kind: value, count })), seen: seen.length, share: seen.length / own.length }))
  const segments = summary.template.split('/').slice(1)
  return {
    ...summary, parameter_list, status_counts: counts(own, (e) => e.status || null).map(({ value, count }) => ({ status: Number(value), count })), request_types: counts(own, (e) => e.request_type), response_types: counts(own, (e) => e.response_type),
    auth_counts: counts(own, (e) => (e.auth.length ? e.auth : ['none'])), caller_list: [...groupBy(own, (e) => e.actor)].map(([actor, list]) => ({ kind: list[0].actor_kind, id: actor, count: list.length, last_seen: iso(list.at(-1).time) })).sort((a, b) => b.count - a.count).slice(0, 50),
    merges: segments.flatMap((segment, position) => (segment.startsWith('{') ? [{ position, name: segment.slice(1, -1), values_seen: new Set(own.map((e) => e.path.split('/')[position + 1])).size, sample: [...new Set(own.map((e) => e.path.split('/')[position + 1]))].slice(0, 6), undoable: position < 4 }] : [])),
    paths_sample: [...new Set(own.map((e) => e.path))].slice(0, 12),
  }
}

function endpointSeries(id, from, to) {
  const own = slice(from, to).filter((event) => event.endpoint_id === id)
  const [step_s, series] = buckets(own, from, to, () => ({ '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, denied: 0 }), (bucket, event) => {
    if (outcome(event) === 'denied') bucket.denied += 1
    else if (event.status >= 200) bucket[`${Math.floor(event.status / 100)}xx`] += 1
  })
  return { step_s, series, latency: latency(own, from, to) }
}

function search(query, state) {
  const [from, to] = [Date.parse(query.get('from')), Date.parse(query.get('to'))]
  let holds
  try {
    holds = compile(query.get('q'))
  } catch (error) {
    throw new Problem(400, 'bad query', error.message)
  }
  return { from, to, list: state === 'empty' ? [] : slice(from, to).filter(holds) }
}

function sql(text) {
  if (!/^\s*(select|with)\b/i.test(text)) throw new Problem(400, 'bad query', 'only SELECT is allowed; the table is `events`')
  if (/\bfrm\b/i.test(text)) throw new Problem(400, 'bad query', "SQL: expected FROM, found `frm` at line 1, column 12")
  const rows = counts(events, (event) => event.host).map(({ value, count }, at) => [value, count, Math.round(count / 61), 41_220 + at * 900.5])
  return { columns: [{ name: 'host', type: 'Utf8' }, { name: 'requests', type: 'Int64' }, { name: 'denied', type: 'Int64' }, { name: 'avg_us', type: 'Float64' }], rows, elapsed_ms: 38, truncated: false }
}

function live(request, response, query) {
  const holds = compile(query.get('q'))
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const random = generator(Date.now())
  const busy = endpoints.filter((endpoint) => endpoint.weight > 0.5)
  let sent = 0
  const timer = setInterval(() => {
    for (let i = 0; i < 3; i += 1) {
      const event = makeEvent(random, busy[Math.floor(random() * busy.length)], Date.now(), random() < 0.1 ? 'tor' : null)
      byId.set(event.id, event)
      if (holds(event)) response.write(`event: exchange\ndata: ${JSON.stringify(row(event))}\n\n`)
    }
    if ((sent += 1) === 12) response.write('event: lagged\ndata: {"missed":37}\n\n')
  }, 350)
  request.on('close', () => clearInterval(timer))
}

function diagnose(yaml) {
  const out = []
  yaml.split('\n').forEach((line, at) => {
    if (/kilobytes/.test(line)) out.push({ ...BAD[0], position: { line: at + 1, column: line.indexOf('64') + 1 } })
    const unknown = /^\s*(- )?(upstream_s|polices|limitz):/.exec(line)
    if (unknown) out.push({ severity: 'error', code: 'CFG-003', file: 'text', position: { line: at + 1, column: line.search(/\S/) + 1 }, path: unknown[2], message: `unknown key \`${unknown[2]}\``, help: 'did you mean `policies`?' })
  })
  return out
}

const session = { user: { name: 'mara', role: 'admin' }, csrf: 'fixture-csrf' }

async function answer(request, response, url, state) {
  const [, , , ...parts] = url.pathname.split('/')
  const query = url.searchParams
  const route = `${request.method} ${parts.map((part, at) => (at === 1 && (parts[0] === 'endpoints' || parts[0] === 'keys' || (parts[0] === 'events' && !['histogram', 'facets', 'live'].includes(part))) ? ':id' : part)).join('/')}`
  let body = {}
  if (request.method !== 'GET') {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    body = chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {}
    if (!['POST session', 'POST setup'].includes(route) && request.headers['x-bartizan-csrf'] !== session.csrf) throw new Problem(403, 'forbidden', 'the csrf token is missing or stale; load the page again')
  }
  const range = () => [Date.parse(query.get('from')), Date.parse(query.get('to'))]
  const nobody = (state === 'setup' || state === 'signedout') && !/bartizan_session=1/.test(request.headers.cookie ?? '')
  if (nobody && !['POST session', 'POST setup'].includes(route)) throw new Problem(401, 'unauthorized', 'sign in first', { setup_needed: state === 'setup' })
  switch (route) {
    case 'GET session':
      return session
    case 'POST session':
      if (body.password === 'wait') throw new Problem(429, 'too many attempts', 'wait 30 seconds, then try again', { retry_after: 30 })
      if (body.password !== 'correct horse') throw new Problem(401, 'unauthorized', 'name or password is wrong')
      response.setHeader('set-cookie', 'bartizan_session=1; HttpOnly; SameSite=Strict; Path=/')
      return session
    case 'POST setup':
      if (body.token !== 'one-time') throw new Problem(403, 'forbidden', 'the link has been used or is from an earlier start')
      response.setHeader('set-cookie', 'bartizan_session=1; HttpOnly; SameSite=Strict; Path=/')
      return session
    case 'DELETE session':
      response.setHeader('set-cookie', 'bartizan_session=; Max-Age=0; Path=/')
      return null
    case 'GET status': return { version: '0.1.0', started_at: iso(started - 3_600_000 * 30), generation: 48, data_directory: '/var/lib/bartizan', dropped: 0, address_data: [
      { name: 'world', kind: 'GeoLite2-City', networks: 5_312_000, built: iso(started - 86_400_000 * 12), age_days: 12, is_old: false },
      { name: 'operators', kind: 'GeoLite2-ASN', networks: 512_000, built: iso(started - 86_400_000 * 131), age_days: 131, is_old: true },
      { name: 'anonymizers', kind: 'CSV', networks: 8_204, built: null, age_days: null, is_old: false },
    ] }
    case 'GET checks': return CHECKS
  }
  if (state === 'slow') await new Promise((resolve) => setTimeout(resolve, 60_000))
  if (state === 'error') throw new Problem(503, 'store unavailable', 'events cannot be read: disk error on `/var/lib/bartizan/events`')
  switch (route) {
    case 'GET overview': return overview(...range(), state)
    case 'GET endpoints': return catalog(query, state)
    case 'GET endpoints/:id': return endpointDetail(parts[1])
    case 'GET endpoints/:id/series': return endpointSeries(parts[1], ...range())
    case 'POST endpoints/:id/unmerge': return {}
    case 'GET events': {
      const { list } = search(query, state)
      const [offset, limit] = [Number(query.get('cursor') ?? 0), Number(query.get('limit') ?? 100)]
      return { items: list.reverse().slice(offset, offset + limit).map(row), next: offset + limit < list.length ? String(offset + limit) : null }
    }
    case 'GET events/histogram': {
      const { from, to, list } = search(query, state)
      const [step_s, out] = buckets(list, from, to, outcomes, (bucket, event) => (bucket[outcome(event)] += 1))
      return { step_s, buckets: out }
    }
    case 'GET events/facets': {
      const { list } = search(query, state)
      return (query.get('fields') ?? '').split(',').length > 12 ? problem('too many fields') : Object.fromEntries((query.get('fields') ?? '').split(',').filter(Boolean).map((field) => [field, facet(list, field)]))
    }
    case 'GET events/:id':
      if (!byId.has(parts[1])) throw new Problem(404, 'not found', `no event has the id \`${parts[1]}\``)
      return explained(full(byId.get(parts[1])), config(state).policies, CHECKS)
    case 'GET keys': return state === 'empty' ? [] : listKeys()
    case 'POST keys':
      if (apiKeys.filter((key) => key.application === body.application && !key.revoked).length >= 2) throw new Problem(409, 'conflict', 'the application has two live keys; revoke one first')
      return makeKey({ application: body.application, owner: body.owner, plan: body.plan, scopes: body.scopes, roles: body.roles, quota: body.quota, expires: body.expires })
    case 'POST keys/:id/rotate': {
      const old = apiKeys.find((key) => key.id === parts[1])
      const made = makeKey({ application: old.application, owner: old.owner, plan: old.plan, scopes: old.scopes, roles: old.roles, quota: old.quota, expires: old.expires })
      Object.assign(old, { rotated: iso(Date.now()), expires: iso(Date.now() + body.grace_s * 1000) })
      return made
    }
    case 'POST keys/:id/revoke':
      Object.assign(apiKeys.find((key) => key.id === parts[1]), { revoked: iso(Date.now()), revoked_by: session.user.name })
      return null
    case 'POST sql': return sql(body.sql ?? '')
    case 'GET policies': return policiesReport(config(state).policies, state === 'empty' ? [] : slice(...range()), ...range(), CHECKS)
    case 'GET limits': return limitsReport(config(state).policies, state === 'empty' ? [] : slice(Date.now() - 900_000, Date.now()), Date.now() - 900_000, Date.now(), CHECKS)
    case 'GET config': return config(state)
    case 'GET config/revisions': return revisions.slice(0, state === 'empty' ? 1 : undefined).map(({ yaml: _y, diagnostics: _d, ...rest }) => rest).reverse()
    case 'POST config/check': return { diagnostics: diagnose(body.yaml ?? '') }
    case 'POST config/reload': reloads += 1; return { outcome: 'applied', revision: 6, diagnostics: [], restart_needed: ['listeners[0].address: the new address is used after a restart'] }
  }
  const revision = /^GET config\/revisions\/(\d+)$/.exec(route)
  if (revision && revisions[revision[1] - 1]) return revisions[revision[1] - 1]
  throw new Problem(404, 'not found', `nothing is at \`${url.pathname}\``)
}

function asset(response, path) {
  const file = normalize(join(DIST, path))
  const found = file.startsWith(DIST) && existsSync(file) && statSync(file).isFile() ? file : join(DIST, 'index.html')
  response.writeHead(200, { 'content-type': TYPES[extname(found)] ?? 'application/octet-stream', 'content-security-policy': CSP, 'x-content-type-options': 'nosniff' })
  if (found.endsWith('index.html')) response.end(readFileSync(found))
  else createReadStream(found).pipe(response)
}

/** Starts the fixture on `port` (0 = any free); resolves to the server. */
export function start(port = 0) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://fixture')
    if (!url.pathname.startsWith('/api/v1/')) return asset(response, decodeURIComponent(url.pathname))
    const state = request.headers['x-fixture'] ?? process.env.FIXTURE ?? 'full'
    try {
      if (url.pathname === '/api/v1/events/live') return live(request, response, url.searchParams)
      const result = await answer(request, response, url, state)
      response.writeHead(result === null ? 204 : 200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      response.end(result === null ? undefined : JSON.stringify(result))
    } catch (error) {
      const status = error.status ?? 500
      if (status === 500) console.error(error)
      response.writeHead(status, { 'content-type': 'application/problem+json', ...(error.extra?.retry_after ? { 'retry-after': error.extra.retry_after } : {}) })
      response.end(JSON.stringify({ type: 'about:blank', title: error.title ?? 'internal fault', status, detail: error.detail ?? String(error), ...error.extra }))
    }
  })
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await start(Number(process.argv[2] ?? 4600))
  console.log(`http://127.0.0.1:${server.address().port}`)
}
