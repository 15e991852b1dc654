// Columns and facets of the event list.

import type { Column } from '../../lib/table'

export const COLUMNS: Column[] = [
  { id: 'time', title: 'Time', width: 158 },
  { id: 'outcome', title: 'Outcome', width: 106 },
  { id: 'method', title: 'Method', width: 72 },
  { id: 'path', title: 'Path', widthMin: 200 },
  { id: 'template', title: 'Template', width: 260 },
  { id: 'host', title: 'Host', width: 160 },
  { id: 'status', title: 'Status', width: 72 },
  { id: 'duration_us', title: 'Duration', width: 84, number: true },
  { id: 'upstream_us', title: 'Upstream', width: 88, number: true },
  { id: 'client_ip', title: 'Client', width: 120 },
  { id: 'actor', title: 'Actor', width: 160 },
  { id: 'actor_kind', title: 'Actor kind', width: 96 },
  { id: 'application', title: 'Application', width: 140 },
  { id: 'credential_id', title: 'API key', width: 124 },
  { id: 'api', title: 'API', width: 96 },
  { id: 'check', title: 'Check', width: 92 },
  { id: 'policy', title: 'Policy', width: 130 },
  { id: 'findings_count', title: 'Findings', width: 80, number: true },
  { id: 'auth', title: 'Authentication', width: 132 },
  { id: 'user_agent', title: 'User agent', width: 220 },
  { id: 'ending', title: 'Ending', width: 180 },
  { id: 'upstream', title: 'Upstream name', width: 112 },
  { id: 'cache_status', title: 'Cache', width: 96 },
  { id: 'request_type', title: 'Request type', width: 140 },
  { id: 'response_type', title: 'Response type', width: 160 },
  { id: 'request_bytes', title: 'Request size', width: 96, number: true },
  { id: 'response_bytes', title: 'Response size', width: 104, number: true },
  { id: 'source', title: 'Source', width: 100 },
  { id: 'version', title: 'HTTP', width: 84 },
  { id: 'scheme', title: 'Scheme', width: 72 },
  { id: 'missing', title: 'Not seen', width: 160 },
  { id: 'id', title: 'Request id', width: 260 },
]

/** What is shown where there is room for little, and where there is more. */
export const NARROW = ['time', 'outcome', 'method', 'path', 'status', 'duration_us', 'client_ip']
export const WIDE = ['time', 'outcome', 'method', 'path', 'host', 'status', 'duration_us', 'client_ip', 'actor', 'auth', 'check']

/** LIMIT: the server counts at most twelve fields at once; the outcome comes from the histogram. */
export const FACETS: { field: string; title: string }[] = [
  { field: 'outcome', title: 'Outcome' },
  { field: 'method', title: 'Method' },
  { field: 'status', title: 'Status' },
  { field: 'host', title: 'Host' },
  { field: 'api', title: 'API' },
  { field: 'template', title: 'Endpoint template' },
  { field: 'check', title: 'Check' },
  { field: 'client_ip', title: 'Client' },
  { field: 'actor', title: 'Actor' },
  { field: 'auth', title: 'Authentication' },
  { field: 'ending', title: 'Ending' },
  { field: 'source', title: 'Source' },
  { field: 'user_agent', title: 'User agent' },
]
