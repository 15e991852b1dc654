// The event query language, as crates/console reads it: space-separated terms that must all hold;
// `field:value`, `field:a,b`, `-field:value`, `status:>=400`, `path:/users/*`, or free text. Pure functions only.

import type { Outcome } from './types'

export interface Term {
  negated: boolean
  /** Empty for free text */
  field: string
  /** As written, quotation marks and all */
  values: string[]
}

/** Fields that can be asked for, with what they mean. The order is the order of completion. */
export const FIELDS: Record<string, string> = {
  method: 'request method',
  path: 'path; * matches any run',
  status: 'status to the client: 404, 4xx, >=500',
  host: 'host name',
  api: 'API of the route',
  endpoint_id: 'endpoint',
  template: 'path template',
  decision: 'allow or deny; applied says whether it was carried out',
  applied: 'whether the decision was carried out',
  decision_status: 'status the deny answers with',
  check: 'check that decided',
  policy: 'policy that decided',
  findings_count: 'findings: >=1',
  client_ip: 'client address',
  actor: 'whom it is charged to',
  actor_kind: 'principal, credential, session, network or unknown',
  application: 'application that called, verified',
  credential_id: 'id of the API key',
  auth: 'credential kinds seen, or none',
  user_agent: 'user agent',
  ending: 'how the exchange ended',
  source: 'gateway, exchanges, har or access_log',
  scheme: 'http or https',
  version: 'HTTP version',
  request_type: 'media type of the request',
  response_type: 'media type of the response',
  request_bytes: 'request body bytes: >10000',
  response_bytes: 'response body bytes: >10000',
  duration_us: 'microseconds in all: >500000',
  upstream_us: 'microseconds until the upstream answered',
  upstream: 'upstream',
  cache_status: 'what the cache did: hit, stale_hit, revalidated, stale, miss, bypass or would_hit',
  missing: 'what was not seen',
  id: 'request id',
}

/** Words a field is known to take, for completion before any data is there. */
export const WORDS: Record<string, string[]> = {
  decision: ['allow', 'deny'],
  applied: ['true', 'false'],
  status: ['2xx', '3xx', '4xx', '5xx', '>=400', '>=500'],
  scheme: ['http', 'https'],
  version: ['HTTP/1.0', 'HTTP/1.1', 'HTTP/2', 'HTTP/3'],
  source: ['gateway', 'exchanges', 'har', 'access_log'],
  actor_kind: ['principal', 'credential', 'session', 'network', 'unknown'],
  auth: ['none', 'bearer', 'jwt', 'basic', 'digest', 'other_authorization', 'key_header', 'key_query', 'session_cookie', 'client_certificate'],
  ending: ['answered', 'stopped', 'client_closed', 'malformed', 'no_route', 'upstream_unreachable', 'upstream_timeout', 'upstream_failed', 'internal_fault'],
  cache_status: ['hit', 'stale_hit', 'revalidated', 'stale', 'miss', 'bypass', 'would_hit'],
  missing: ['time', 'client', 'headers', 'request_body', 'response', 'response_body'],
}

const PIECE = /(?:[^\s"]|"[^"]*"?)+/g
const VALUE = /(?:[^,"]|"[^"]*"?)+/g
const TERM = /^(-?)([a-z][a-z_0-9]*):(.*)$/s

/**
 * A value as it stands in a query, taken literally. Quotation marks take away the meaning of every other character;
 * a quotation mark itself cannot be written, so a star stands in for it.
 */
export function quote(value: string): string {
  if (value.includes('"')) return `"${value.split('"').join('"*"')}"`
  return value === '' || /^-|[\s,*]/.test(value) ? `"${value}"` : value
}

/** What a written value means, without its quotation marks. */
export function plain(written: string): string {
  return written.replaceAll('"', '')
}

export function parse(q: string): Term[] {
  return (q.match(PIECE) ?? []).map((piece) => {
    const match = TERM.exec(piece)
    if (!match || !((match[2] ?? '') in FIELDS)) return { negated: false, field: '', values: [piece] }
    return { negated: match[1] === '-', field: match[2] ?? '', values: match[3]?.match(VALUE) ?? [] }
  })
}

export function print(terms: Term[]): string {
  return terms.map((term) => (term.field === '' ? (term.values[0] ?? '') : `${term.negated ? '-' : ''}${term.field}:${term.values.join(',')}`)).join(' ')
}

const isOf = (term: Term, field: string, negated: boolean): boolean => term.field === field && term.negated === negated
const without = (terms: Term[], drop: (term: Term, written: string) => boolean): Term[] =>
  terms.map((term) => ({ ...term, values: term.values.filter((written) => !drop(term, written)) })).filter((term) => term.values.length > 0)

/** Adds one value: the first narrows, more of the same field widen (`method:GET,POST`). */
export function add(q: string, field: string, value: string, negated = false): string {
  const terms = without(parse(q), (term, written) => isOf(term, field, !negated) && plain(written) === value)
  const there = terms.find((term) => isOf(term, field, negated))
  if (!there) terms.push({ negated, field, values: [quote(value)] })
  else if (!there.values.some((written) => plain(written) === value)) there.values = [...there.values, quote(value)]
  return print(terms)
}

export function remove(q: string, field: string, value: string, negated = false): string {
  return print(without(parse(q), (term, written) => isOf(term, field, negated) && plain(written) === value))
}

export function has(q: string, field: string, value: string, negated = false): boolean {
  return parse(q).some((term) => isOf(term, field, negated) && term.values.some((written) => plain(written) === value))
}

export function toggle(q: string, field: string, value: string, negated = false): string {
  return has(q, field, value, negated) ? remove(q, field, value, negated) : add(q, field, value, negated)
}

type Pairs = Record<string, string | number | boolean | null | undefined>

/** A query from plain pairs: `query({ policy: 'a b', method: 'GET' })`. */
export function query(pairs: Pairs): string {
  return print(
    Object.entries(pairs)
      .filter(([, value]) => value !== null && value !== undefined && value !== '')
      .map(([field, value]) => ({ negated: false, field, values: [quote(String(value))] })),
  )
}

/**
 * What finds the events of one outcome. The first three are exact. The language has no `or` across fields, so the last
 * finds errors by status; exchanges that ended with a 4xx of ours (malformed, no route) are found by `ending`.
 */
const OUTCOMES: Record<Outcome, string> = {
  allowed: 'decision:allow ending:answered,stopped status:<500',
  observed: 'decision:deny applied:false',
  denied: 'decision:deny applied:true',
  errors: 'decision:allow status:0,>=500',
}

/** The events of one outcome: the query behind every number and bar of that color. */
export function outcomeQuery(outcome: Outcome, more: Pairs = {}): string {
  return [OUTCOMES[outcome], query(more)].filter((part) => part !== '').join(' ')
}

/** The outcome that a query asks for, if it does. */
export function outcomeIn(q: string): Outcome | '' {
  const pieces = new Set(q.match(PIECE) ?? [])
  return (Object.keys(OUTCOMES) as Outcome[]).find((outcome) => OUTCOMES[outcome].split(' ').every((piece) => pieces.has(piece))) ?? ''
}

/** Asks for `outcome` instead of any other, or no longer when it is asked for already. */
export function toggleOutcome(q: string, outcome: Outcome): string {
  const now = outcomeIn(q)
  const old = new Set(now === '' ? [] : OUTCOMES[now].split(' '))
  const rest = (q.match(PIECE) ?? []).filter((piece) => !old.has(piece))
  return [...(now === outcome ? [] : [OUTCOMES[outcome]]), ...rest].join(' ')
}

export interface Completion {
  /** Where the text being completed begins and ends */
  start: number
  end: number
  /** The field whose value is being typed; empty while a field is */
  field: string
  /** What has been typed of it */
  typed: string
}

/** What the caret at `at` stands in. */
export function completionAt(q: string, at: number): Completion {
  let start = at
  while (start > 0 && !/\s/.test(q[start - 1] ?? '')) start -= 1
  let end = at
  while (end < q.length && !/\s/.test(q[end] ?? '')) end += 1
  const piece = q.slice(start, end)
  const bare = piece.startsWith('-') ? piece.slice(1) : piece
  const skipped = piece.length - bare.length
  const colon = bare.indexOf(':')
  const field = colon < 0 ? '' : bare.slice(0, colon)
  if (colon < 0 || !(field in FIELDS) || at <= start + skipped + colon) {
    return { start: start + skipped, end, field: '', typed: q.slice(start + skipped, at) }
  }
  const from = Math.max(start + skipped + colon + 1, q.lastIndexOf(',', at - 1) + 1)
  const comma = q.slice(at, end).indexOf(',')
  return { start: from, end: comma < 0 ? end : at + comma, field, typed: q.slice(from, at) }
}
