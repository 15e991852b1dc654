// The shapes of the console HTTP API (crates/console). Times are RFC 3339 UTC, durations microseconds.

export interface Session {
  user: { name: string; role: string }
  csrf: string
}

export interface Outcomes {
  allowed: number
  observed: number
  denied: number
  errors: number
}

export interface Totals extends Outcomes {
  requests: number
  clients: number
}

export interface OutcomeBucket extends Outcomes {
  time: string
}

export interface LatencyBucket {
  time: string
  p50_us: number | null
  p95_us: number | null
  p99_us: number | null
}

export type Severity = 'info' | 'low' | 'medium' | 'high' | 'critical'
export type Mode = 'enforce' | 'observe' | 'off'
export type Outcome = keyof Outcomes

export interface SourceHealth {
  name: string
  kind: string
  state: 'ok' | 'idle' | 'error'
  last_event: string | null
  events: number
  detail: string | null
}

export interface UpstreamHealth {
  name: string
  targets: { address: string; healthy: boolean; detail: string | null }[]
}

export interface Overview {
  from: string
  to: string
  step_s: number
  totals: Totals
  previous: Totals
  series: OutcomeBucket[]
  latency: LatencyBucket[]
  top_endpoints: TopEndpoint[]
  top_checks: { check: string; title: string; severity: Severity; count: number }[]
  new_endpoints: EndpointSummary[]
  sources: SourceHealth[]
  upstreams: UpstreamHealth[]
  events: { written: number; dropped: number; queued: number; queue_max: number }
  store: { state: 'ok' | 'error'; detail: string | null; bytes: number; segments: number; quarantined: unknown }
}

export interface TopEndpoint {
  id: string
  method: string
  host: string
  template: string
  requests: number
  denied: number
  errors: number
  p95_us: number | null
}

export type StatusClass = '2xx' | '3xx' | '4xx' | '5xx'

export interface EndpointSummary {
  id: string
  method: string
  host: string
  template: string
  api: string | null
  state: 'candidate' | 'discovered'
  first_seen: string
  last_seen: string
  requests: number
  denied: number
  errors: number
  statuses: Partial<Record<StatusClass, number>>
  auth: string[]
  callers: number
  parameters: number
}

export interface FacetValue {
  value: string
  count: number
}

/** A facet of events: numbers stay numbers, an absent value is null. */
export type EventFacets = Record<string, { value: string | number | boolean | null; count: number }[]>

export interface EndpointList {
  total: number
  facets: Record<string, FacetValue[]>
  items: EndpointSummary[]
}

export interface EndpointDetail extends EndpointSummary {
  parameter_list: {
    place: string
    name: string
    type: string
    kinds: { kind: string; count: number }[]
    seen: number
    share: number
  }[]
  status_counts: { status: number; count: number }[]
  request_types: FacetValue[]
  response_types: FacetValue[]
  auth_counts: FacetValue[]
  caller_list: { kind: string; id: string; count: number; last_seen: string }[]
  merges: { position: number; name: string; values_seen: number; sample: string[]; undoable: boolean }[]
  paths_sample: string[]
}

export interface EndpointSeries {
  step_s: number
  series: ({ time: string; denied: number } & Record<StatusClass, number>)[]
  latency: LatencyBucket[]
}

export interface EventRow {
  id: string
  time: string
  source: string
  client_ip: string | null
  actor_kind: string
  actor: string
  scheme: string
  version: string
  host: string
  method: string
  path: string
  api: string | null
  endpoint_id: string | null
  template: string | null
  auth: string[]
  user_agent: string | null
  request_type: string | null
  response_type: string | null
  ending: string
  status: number
  request_bytes: number
  response_bytes: number
  duration_us: number
  upstream_us: number | null
  upstream: string | null
  decision: 'allow' | 'deny'
  applied: boolean
  decision_status: number
  check: string | null
  policy: string | null
  findings_count: number
  missing: string[]
  application: string | null
  credential_id: string | null
  cache_status: string | null
}

export interface EventPage {
  items: EventRow[]
  next: string | null
}

export interface Histogram {
  step_s: number
  buckets: OutcomeBucket[]
}

export interface Location {
  part: string
  name: string | null
}

export interface Finding {
  check: string
  severity: Severity
  confidence: 'low' | 'medium' | 'high'
  location: Location | string
  evidence: string
  /** The policy it speaks under, with its mode at the time; absent when it is only noted, or the engine's own */
  policy?: { name: string; mode: Mode }
}

export interface CheckInfo {
  id: string
  title: string
  severity: Severity
  owasp: string
  why: string
  fix: string
}

/** One event as stored, with what its checks say about themselves. */
export interface FullEvent {
  id: string
  time: string
  source: string
  client: { ip: string | null; via: string | null; tls_version: string | null }
  actor: { kind: string; id: string }
  scheme: string
  version: string
  host: string
  method: string
  path: string
  api: string | null
  endpoint: { id: string; template: string } | null
  parameters: { place: string; name: string; kind: string }[]
  principal: { subject: string; application: string | null; credential_id?: string; scopes: string[]; roles: string[]; credential: string; strength: string } | null
  auth: string[]
  user_agent: string | null
  request_type: string | null
  response_type: string | null
  ending: string
  status: number
  request_bytes: number
  response_bytes: number
  duration_us: number
  upstream_us: number | null
  upstream: string | null
  findings: Finding[]
  decision: { action: 'allow' | 'deny'; applied: boolean; status: number; check: string | null; policy: string | null }
  missing: Record<string, boolean>
  /** What a policy that keeps answers did for it; absent where none concerns it */
  cache_status?: string
  checks?: Record<string, CheckInfo>
}

export interface Diagnostic {
  severity: 'error' | 'warning'
  code: string
  file: string
  position: { line: number; column: number } | null
  path: string
  message: string
  help: string
}

export interface Policy {
  name: string
  kind: string
  mode: Mode
  scope: { apis: string[]; methods: string[]; paths: string[] }
  summary: string
  denied_24h: number
  observed_24h: number
}

/** What a policy did in a window of time. */
export interface PolicyHits {
  policy: string
  denied: number
  observed: number
  /** Went through as well; another policy that observes decided */
  beside: number
  clients: number
  last_hit: string | null
  series: { time: string; denied: number; observed: number }[]
  endpoints: { id: string; method: string; host: string; template: string; hits: number }[]
  checks: { check: string; title: string; severity: Severity; count: number }[]
}

export interface PolicyReport extends PolicyHits {
  name: string
  kind: string
  mode: Mode
  scope: { apis: string[]; methods: string[]; paths: string[] }
  /** Finds the requests it applies to; empty for all */
  scope_query: string
  summary: string
  /** Requests it applies to; null when they were not counted */
  requests: number | null
}

export interface PoliciesReport {
  from: string
  to: string
  step_s: number
  policies: PolicyReport[]
  former: PolicyHits[]
}

export interface LimitState {
  keys: number
  near: number
  spent: number
  bytes: number
  overflowed_total: number
}

export interface RateLimit {
  kind: string
  check: string
  most: number
  per_ms: number | null
  is_calendar: boolean
  burst: number | null
  state: LimitState | null
}

export interface RatePolicy extends PolicyReport {
  key: string
  keys_max: number
  limits: RateLimit[]
}

export interface LimitsReport {
  from: string
  to: string
  step_s: number
  policies: RatePolicy[]
}

export interface RunningConfig {
  revision: number
  generation: number
  applied_at: string
  file: string
  yaml: string
  policies: Policy[]
  plans: { name: string; summary: string }[]
  apis: {
    name: string
    hosts: string[]
    path_prefix: string
    upstream: string
    body_bytes_max: number
    streaming: string[]
  }[]
  upstreams: Record<string, unknown>[]
  listeners: { address: string; tls: boolean; http2: boolean }[]
  restart_needed: string[]
}

export interface Revision {
  revision: number
  time: string
  author: string
  cause: 'start' | 'signal' | 'file' | 'console'
  outcome: 'applied' | 'rejected'
  message: string | null
  yaml_sha256: string
}

export interface RevisionDetail extends Revision {
  yaml: string
  diagnostics: Diagnostic[]
}

export interface ReloadResult {
  outcome: 'applied' | 'rejected' | 'unchanged'
  revision: number | null
  diagnostics: Diagnostic[]
  restart_needed: string[]
}

export interface SqlResult {
  columns: { name: string; type: string }[]
  rows: unknown[][]
  elapsed_ms: number
  truncated: boolean
}

export interface Status {
  version: string
  started_at: string
  generation: number
  data_directory: string
  dropped: number
  address_data: AddressDataFile[]
}

/** A file that says where addresses are, or on which list. */
export interface AddressDataFile {
  name: string
  kind: string
  networks: number | null
  built: string | null
  age_days: number | null
  is_old: boolean
}

export interface KeyQuota {
  requests: number
  per_s: number
}

export interface ApiKey {
  id: string
  application: string
  owner: string | null
  plan: string | null
  scopes: string[]
  roles: string[]
  quota: KeyQuota | null
  state: 'live' | 'rotating' | 'expired' | 'revoked'
  created: string
  created_by: string
  expires: string | null
  rotated: string | null
  revoked: string | null
  revoked_by: string | null
  last_used: string | null
  calls: number
  requests_24h: number
  denied_24h: number
}

/** The only answer that has a key's text. */
export interface MadeKey {
  text: string
  key: ApiKey
}
