// Words for the closed sets of the API: what a person reads instead of an identifier.

export const AUTH: Record<string, string> = {
  none: 'None',
  bearer: 'Bearer token',
  jwt: 'JWT',
  basic: 'Basic',
  digest: 'Digest',
  other_authorization: 'Other scheme',
  key_header: 'Key in header',
  key_query: 'Key in query',
  session_cookie: 'Session cookie',
  client_certificate: 'Client certificate',
}

export const ENDING: Record<string, string> = {
  answered: 'Answered by the upstream',
  stopped: 'Stopped by Bartizan',
  client_closed: 'Client went away first',
  malformed: 'Malformed request, answered 400',
  no_route: 'No route, answered 404',
  upstream_unreachable: 'Upstream unreachable, answered 502',
  upstream_timeout: 'Upstream too slow, answered 504',
  upstream_failed: 'Upstream broke off',
  internal_fault: 'Fault of Bartizan, answered 500',
}

export const SOURCE: Record<string, string> = {
  gateway: 'Gateway',
  exchanges: 'Exchanges file',
  har: 'HAR file',
  access_log: 'Access log',
}

export const ACTOR: Record<string, string> = {
  principal: 'Verified caller',
  credential: 'Credential',
  session: 'Session',
  network: 'Network',
  unknown: 'Unknown',
}

export const CREDENTIAL: Record<string, string> = {
  jwt: 'JWT',
  introspected_token: 'Introspected token',
  api_key: 'API key',
  basic: 'Basic',
  certificate: 'Certificate',
  signature: 'Signature',
  external: 'External authorizer',
}

/** What a policy that keeps answers did for a request. */
export const CACHE: Record<string, string> = {
  hit: 'Answered from the cache',
  stale_hit: 'Answered from the cache, with an answer past its time',
  revalidated: 'Answered from the cache, once the upstream confirmed it',
  stale: 'What was kept was too old; the upstream answered anew',
  miss: 'Nothing was kept for it',
  bypass: 'Passed the cache by',
  would_hit: 'Would have been answered from the cache',
}

export const MISSING: Record<string, string> = {
  time: 'No time was recorded; the time of reading stands in',
  client: 'No client address',
  headers: 'Header fields, or some of them',
  request_body: 'Request body',
  response: 'Response',
  response_body: 'Response body',
}

export const OUTCOME = {
  allowed: 'Allowed',
  observed: 'Would have been denied',
  denied: 'Denied',
  errors: 'Errors',
} as const

export const CAUSE: Record<string, string> = {
  start: 'Start',
  signal: 'Signal',
  file: 'File changed',
  console: 'Console',
}

/** How much a credential proves. */
export const STRENGTH: Record<string, string> = {
  shared: 'whoever knows it is let in',
  bearer: 'whoever holds it is let in',
  proof_of_possession: 'only the holder of its private key is let in',
}

export const LIMIT: Record<string, string> = {
  spike_arrest: 'Spike arrest',
  quota: 'Quota',
  concurrency: 'In flight',
  bandwidth: 'Bandwidth',
  'logins of an account': 'Failed logins at an account',
  'logins of a source': 'Failed logins from a network',
}

export const FIELD: Record<string, string> = {
  outcome: 'Outcome',
  time: 'Time',
  method: 'Method',
  path: 'Path',
  status: 'Status',
  host: 'Host',
  api: 'API',
  endpoint_id: 'Endpoint',
  template: 'Template',
  decision: 'Decision',
  applied: 'Applied',
  decision_status: 'Deny status',
  check: 'Check',
  policy: 'Policy',
  findings_count: 'Findings',
  client_ip: 'Client',
  actor: 'Actor',
  actor_kind: 'Actor kind',
  auth: 'Authentication',
  user_agent: 'User agent',
  ending: 'Ending',
  source: 'Source',
  scheme: 'Scheme',
  version: 'HTTP',
  request_type: 'Request type',
  response_type: 'Response type',
  request_bytes: 'Request size',
  response_bytes: 'Response size',
  duration_us: 'Duration',
  upstream_us: 'Upstream time',
  upstream: 'Upstream',
  cache_status: 'Cache',
  missing: 'Not seen',
  application: 'Application',
  credential_id: 'API key',
  id: 'Request id',
}

/** The word for a value of a field, where there is one. */
export function word(field: string, value: string): string {
  if (value === '') return 'none'
  const words: Record<string, Record<string, string>> = { auth: AUTH, ending: ENDING, source: SOURCE, actor_kind: ACTOR, missing: MISSING, cache_status: CACHE, outcome: OUTCOME }
  const known = words[field]
  // several credentials in one request come as one value: `jwt,session_cookie`
  return known ? value.split(',').map((one) => known[one] ?? one).join(', ') : value
}
