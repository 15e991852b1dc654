// What policies and limits did, from the generated events: the fixture's part for the policies page. Development only.

import { outcome } from './query.mjs'

const STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400]
const iso = (time) => new Date(time).toISOString().replace('Z', '000Z')

function tally(list, of) {
  const groups = new Map()
  for (const item of list) groups.set(of(item), [...(groups.get(of(item)) ?? []), item])
  return [...groups].sort((a, b) => b[1].length - a[1].length)
}

function hitsOf(name, list, from, to, checks) {
  const own = list.filter((event) => event.policy === name)
  const step = STEPS.find((one) => (to - from) / 1000 / one <= 48) ?? 86400
  const first = Math.floor(from / 1000 / step) * step * 1000
  const series = Array.from({ length: Math.ceil((to - first) / 1000 / step) }, (_, at) => ({ time: iso(first + at * step * 1000), denied: 0, observed: 0 }))
  for (const event of own) series[Math.floor((event.time - first) / 1000 / step)][outcome(event)] += 1
  const note = (id) => checks.find((check) => check.id === id)
  return [step, {
    policy: name, denied: own.filter((event) => event.applied).length, observed: own.filter((event) => !event.applied).length, beside: name === 'target-size' && own.length > 3 ? 2 : 0,
    clients: new Set(own.map((event) => event.client_ip)).size, last_hit: own.length ? iso(own.at(-1).time) : null, series,
    endpoints: tally(own.filter((event) => event.endpoint_id), (event) => event.endpoint_id).slice(0, 5).map(([id, some]) => ({ id, method: some[0].method, host: some[0].host, template: some[0].template, hits: some.length })),
    checks: tally(own, (event) => event.check).slice(0, 5).map(([check, some]) => ({ check, title: note(check).title, severity: note(check).severity, count: some.length })),
  }]
}

const inScope = ({ apis, methods, paths }) => (event) => (apis.length === 0 || apis.includes(event.api)) && (methods.length === 0 || methods.includes(event.method)) && (paths.length === 0 || paths.some((path) => event.path.startsWith(path.replace('/**', ''))))
const scopeQuery = ({ apis, methods, paths }) => [apis.length ? `api:${apis.join(',')}` : '', methods.length ? `method:${methods.join(',')}` : '', paths.length ? `path:${paths.flatMap((path) => (path.endsWith('/**') ? [path.slice(0, -3), `${path.slice(0, -3)}/*`] : [path])).join(',')}` : ''].filter(Boolean).join(' ')

function reportOf({ name, kind, mode, scope, summary }, list, from, to, checks) {
  const [step, hits] = hitsOf(name, list, from, to, checks)
  return [step, { ...hits, name, kind, mode, scope, scope_query: scopeQuery(scope), summary, requests: list.filter(inScope(scope)).length }]
}

export function policiesReport(policies, list, from, to, checks) {
  const reports = policies.map((policy) => reportOf(policy, list, from, to, checks))
  const known = new Set(policies.map((policy) => policy.name))
  const former = [...new Set(list.map((event) => event.policy))].filter((name) => name && !known.has(name)).map((name) => hitsOf(name, list, from, to, checks)[1])
  return { from: iso(from), to: iso(to), step_s: reports[0]?.[0] ?? 60, policies: reports.map(([, report]) => report), former }
}

const state = (keys, near, spent, overflowed_total = 0) => ({ keys, near, spent, bytes: keys * 96 + 18_000, overflowed_total })
const limit = (kind, check, most, per_ms, live, more = {}) => ({ kind, check, most, per_ms, is_calendar: false, burst: null, state: live, ...more })
const LIMITS = {
  'per-client': { key: 'principal and endpoint', keys_max: 200_000, limits: [limit('spike_arrest', 'LIM-201', 20, 1_000, state(1_204, 3, 0), { burst: 40 }), limit('quota', 'LIM-202', 600, 3_600_000, state(8_412, 31, 4))] },
  'partner-plan': { key: 'api_key', keys_max: 1_000, limits: [limit('quota', 'LIM-202', 100_000, null, state(1_000, 2, 0, 41), { is_calendar: true }), limit('concurrency', 'LIM-203', 50, null, state(12, 0, 0)), limit('bandwidth', 'LIM-204', 10 * 2 ** 30, 86_400_000, state(118, 0, 0))] },
  'login-guard': { key: '', keys_max: 100_000, limits: [limit('logins of an account', 'LIM-207', 5, 900_000, state(212, 9, 6)), limit('logins of a source', 'LIM-207', 50, 900_000, state(88, 1, 0))] },
}

export function limitsReport(policies, list, from, to, checks) {
  const rates = policies.filter((policy) => policy.kind === 'rate').map((policy) => {
    const [step, report] = reportOf(policy, list, from, to, checks)
    return [step, { ...report, ...LIMITS[policy.name] }]
  })
  return { from: iso(from), to: iso(to), step_s: rates[0]?.[0] ?? 30, policies: rates.map(([, rate]) => rate) }
}

/** Names the policies in an event's findings, and lets another one speak beside the one that decided. */
export function explained(event, policies, checks) {
  const mode = (name) => policies.find((policy) => policy.name === name)?.mode ?? 'observe'
  const { decision } = event
  const findings = event.findings.map((finding) => ({ ...finding, policy: { name: decision.policy, mode: decision.applied ? 'enforce' : mode(decision.policy) } }))
  if (decision.policy === 'no-tor-exits') {
    findings.push({ check: 'LIM-202', severity: 'medium', confidence: 'high', location: { part: 'connection', name: null }, evidence: 'more than 600 requests in 1h by principal and endpoint', policy: { name: 'per-client', mode: 'observe' } })
    findings.push({ check: 'WAF-913100', severity: 'low', confidence: 'medium', location: { part: 'header', name: 'user-agent' }, evidence: 'name of a scanner: `aaaaaa-aaaaaaaa`' })
  }
  const named = new Set(findings.map((finding) => finding.check))
  return { ...event, findings, checks: Object.fromEntries(checks.filter((check) => named.has(check.id)).map((check) => [check.id, check])) }
}
