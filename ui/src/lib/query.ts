// The event query language, as crates/console reads it: space-separated terms that must all hold;
// `field:value`, `field:a,b`, `-field:value`, `status:>=400`, `path:/users/*`, or free text. Pure functions only.

export interface Term {
  negated: boolean
  /** Empty for free text */
  field: string
  values: string[]
}

/** Fields that can be asked for, with what they mean. The order is the order of completion. */
export const FIELDS: Record<string, string> = {
  outcome: 'allowed, observed, denied or errors',
  method: 'request method',
  path: 'path; * matches any run',
  status: 'status to the client: 404, 4xx, >=500',
  host: 'host name',
  api: 'API of the route',
  endpoint_id: 'endpoint',
  template: 'path template',
  decision: 'allow or deny',
  applied: 'whether the decision was carried out',
  decision_status: 'status the deny answers with',
  check: 'check that decided',
  policy: 'policy that decided',
  findings_count: 'findings: >=1',
  client_ip: 'client address',
  actor: 'whom it is charged to',
  actor_kind: 'credential, session, network or unknown',
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
  missing: 'what was not seen',
  id: 'request id',
}

/** Words a field is known to take, for completion before any data is there. */
export const WORDS: Record<string, string[]> = {
  outcome: ['allowed', 'observed', 'denied', 'errors'],
  decision: ['allow', 'deny'],
  applied: ['true', 'false'],
  status: ['2xx', '3xx', '4xx', '5xx', '>=400', '>=500'],
  scheme: ['http', 'https'],
  version: ['HTTP/1.0', 'HTTP/1.1', 'HTTP/2', 'HTTP/3'],
  source: ['gateway', 'exchanges', 'har', 'access_log'],
  actor_kind: ['credential', 'session', 'network', 'unknown'],
  auth: ['none', 'bearer', 'jwt', 'basic', 'digest', 'other_authorization', 'key_header', 'key_query', 'session_cookie', 'client_certificate'],
  ending: ['answered', 'stopped', 'client_closed', 'malformed', 'no_route', 'upstream_unreachable', 'upstream_timeout', 'upstream_failed', 'internal_fault'],
  missing: ['time', 'client', 'headers', 'request_body', 'response', 'response_body'],
}

const PIECE = /(?:[^\s"]|"(?:[^"\\]|\\.)*"?)+/g
const TERM = /^(-?)([a-z][a-z_0-9]*):(.*)$/s

/** A value as it stands in a query: quoted when it holds white space, a comma or a quote. */
export function quote(value: string): string {
  return value === '' || /[\s,"\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text
  const end = text.length > 1 && text.endsWith('"') ? -1 : undefined
  return text.slice(1, end).replace(/\\(.)/g, '$1')
}

/** Splits `a,"b,c"` into its values. */
function splitValues(text: string): string[] {
  return (text.match(/"(?:[^"\\]|\\.)*"?|[^,]+/g) ?? []).map(unquote)
}

export function parse(q: string): Term[] {
  return (q.match(PIECE) ?? []).map((piece) => {
    const match = TERM.exec(piece)
    if (!match || !((match[2] ?? '') in FIELDS)) return { negated: false, field: '', values: [unquote(piece)] }
    return { negated: match[1] === '-', field: match[2] ?? '', values: splitValues(match[3] ?? '') }
  })
}

export function print(terms: Term[]): string {
  return terms
    .filter((term) => term.values.length > 0 || term.field !== '')
    .map((term) => (term.field === '' ? quote(term.values[0] ?? '') : `${term.negated ? '-' : ''}${term.field}:${term.values.map(quote).join(',')}`))
    .join(' ')
}

const sameKind = (term: Term, field: string, negated: boolean): boolean => term.field === field && term.negated === negated

/** Adds one value: the first narrows, more of the same field widen (`method:GET,POST`). */
export function add(q: string, field: string, value: string, negated = false): string {
  const terms = parse(q).map((term) => ({ ...term, values: term.field === field && term.negated !== negated ? term.values.filter((known) => known !== value) : term.values })).filter((term) => term.field === '' || term.values.length > 0)
  const there = terms.find((term) => sameKind(term, field, negated))
  if (there) {
    if (!there.values.includes(value)) there.values = [...there.values, value]
  } else {
    terms.push({ negated, field, values: [value] })
  }
  return print(terms)
}

export function remove(q: string, field: string, value: string, negated = false): string {
  return print(
    parse(q)
      .map((term) => (sameKind(term, field, negated) ? { ...term, values: term.values.filter((known) => known !== value) } : term))
      .filter((term) => term.field === '' || term.values.length > 0),
  )
}

export function has(q: string, field: string, value: string, negated = false): boolean {
  return parse(q).some((term) => sameKind(term, field, negated) && term.values.includes(value))
}

export function toggle(q: string, field: string, value: string, negated = false): string {
  return has(q, field, value, negated) ? remove(q, field, value, negated) : add(q, field, value, negated)
}

/** A query from plain pairs: `query({ outcome: 'denied', policy: 'a b' })`. */
export function query(pairs: Record<string, string | number | boolean | null | undefined>): string {
  return print(
    Object.entries(pairs)
      .filter(([, value]) => value !== null && value !== undefined && value !== '')
      .map(([field, value]) => ({ negated: false, field, values: [String(value)] })),
  )
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

/** The events of one outcome: the query behind every number and bar of that color. */
export function outcomeQuery(outcome: 'allowed' | 'observed' | 'denied' | 'errors', more: Record<string, string | null | undefined> = {}): string {
  return query({ outcome, ...more })
}
