// The event query language as the fixture understands it: space-separated terms, all must hold. Development only.

export const FIELDS = ['id', 'time', 'source', 'client_ip', 'actor_kind', 'actor', 'scheme', 'version', 'host', 'method', 'path', 'api', 'endpoint_id', 'template', 'auth', 'user_agent', 'request_type', 'response_type', 'ending', 'status', 'request_bytes', 'response_bytes', 'duration_us', 'upstream_us', 'upstream', 'decision', 'applied', 'decision_status', 'check', 'policy', 'findings_count', 'missing', 'application', 'credential_id']

/** allowed, observed, denied and errors partition the events. */
export function outcome(event) {
  if (event.decision === 'deny') return event.applied ? 'denied' : 'observed'
  if ((event.ending !== 'answered' && event.ending !== 'stopped') || event.status >= 500) return 'errors'
  return 'allowed'
}

/** Splits on spaces outside double quotes. */
const terms = (q) => q.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []

/** Values outside double quotes part at commas; an unquoted star stands for anything. */
function values(text) {
  return (text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? []).map((written) => {
    const glob = written.replace(/"[^"]*"/g, '').includes('*')
    const parts = written.split(/("[^"]*")/).map((part) => (part.startsWith('"') ? escape(part.slice(1, -1)) : part.split('*').map(escape).join('.*')))
    return { text: written.replaceAll('"', ''), pattern: glob ? new RegExp(`^${parts.join('')}$`) : null }
  })
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

function test(event, field, { text: wanted, pattern }) {
  const actual = event[field]
  if (Array.isArray(actual)) return actual.length === 0 ? wanted === 'none' : actual.includes(wanted)
  const compare = /^(>=|<=|>|<)(\d+)$/.exec(wanted)
  if (compare) {
    const [number, limit] = [Number(actual), Number(compare[2])]
    return { '>=': number >= limit, '<=': number <= limit, '>': number > limit, '<': number < limit }[compare[1]]
  }
  if (field === 'status' && /^[1-5]xx$/.test(wanted)) return Math.floor(actual / 100) === Number(wanted[0])
  if (pattern) return pattern.test(String(actual ?? ''))
  return String(actual ?? '') === wanted // an empty value finds events without one
}

/** Compiles `q` to a predicate; throws an Error naming the bad term. */
export function compile(q) {
  const tests = terms(q ?? '').map((term) => {
    const match = /^(-?)([a-z_]+):(.*)$/s.exec(term)
    if (!match) {
      const text = term.replace(/^"|"$/g, '').toLowerCase()
      return (event) => [event.path, event.host, event.user_agent, event.actor, event.id].some((part) => part?.toLowerCase().includes(text))
    }
    const [, not, field, rest] = match
    if (!FIELDS.includes(field)) throw new Error(`term \`${term}\`: no field is called \`${field}\`; fields are ${FIELDS.slice(0, 12).join(', ')}, …`)
    if (rest === '') throw new Error(`term \`${term}\`: a value must follow the colon`)
    const wanted = values(rest)
    return (event) => wanted.some((value) => test(event, field, value)) !== (not === '-')
  })
  return (event) => tests.every((holds) => holds(event))
}
