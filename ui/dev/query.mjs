// The event query language as the fixture understands it: space-separated terms, all must hold. Development only.

export const FIELDS = ['id', 'time', 'source', 'client_ip', 'actor_kind', 'actor', 'scheme', 'version', 'host', 'method', 'path', 'api', 'endpoint_id', 'template', 'auth', 'user_agent', 'request_type', 'response_type', 'ending', 'status', 'request_bytes', 'response_bytes', 'duration_us', 'upstream_us', 'upstream', 'decision', 'applied', 'decision_status', 'check', 'policy', 'findings_count', 'missing', 'outcome']

/** allowed, observed, denied and errors partition the events. */
export function outcome(event) {
  if (event.decision === 'deny') return event.applied ? 'denied' : 'observed'
  if ((event.ending !== 'answered' && event.ending !== 'stopped') || event.status >= 500) return 'errors'
  return 'allowed'
}

/** Splits on spaces outside double quotes. */
function terms(q) {
  return q.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? []
}

function values(text) {
  return (text.match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? ['']).map((value) => (value.startsWith('"') ? JSON.parse(value) : value))
}

function test(event, field, wanted) {
  const actual = field === 'outcome' ? outcome(event) : event[field]
  if (Array.isArray(actual)) return actual.length === 0 ? wanted === 'none' : actual.includes(wanted)
  const compare = /^(>=|<=|>|<)(\d+)$/.exec(wanted)
  if (compare) {
    const [number, limit] = [Number(actual), Number(compare[2])]
    return { '>=': number >= limit, '<=': number <= limit, '>': number > limit, '<': number < limit }[compare[1]]
  }
  if (field === 'status' && /^[1-5]xx$/.test(wanted)) return Math.floor(actual / 100) === Number(wanted[0])
  if (field === 'path' && wanted.includes('*')) return new RegExp(`^${wanted.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`).test(actual)
  return String(actual ?? '') === wanted
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
