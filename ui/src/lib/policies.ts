// What policies and limits did, in words. Pure functions only.

import { count, exact, limit, percent, plural, span } from './format'
import { query } from './query'
import type { Finding, FullEvent, Mode, PolicyHits, PolicyReport, RateLimit } from './types'

/** Requests that went through and would not, were the policy enforced. */
export function wouldBlock(hits: Pick<PolicyHits, 'observed' | 'beside'>): number {
  return hits.observed + hits.beside
}

type Judged = Pick<PolicyReport, 'mode' | 'requests' | 'denied' | 'observed' | 'beside' | 'clients'>

/** `412 of 12.3 k requests (3.3 %), 17 clients`. */
function outOf(hits: number, { requests, clients }: Judged): string {
  const share = requests !== null && requests >= hits ? ` of ${plural(requests, 'request')} (${percent(hits / requests)})` : hits === 1 ? ' request' : ' requests'
  return `${count(hits)}${share}, ${plural(clients, 'client')}`
}

const ofNone = (requests: number | null): string => (requests === null ? 'no request' : `none of ${plural(requests, 'request')}`)

/** What a policy did, in one sentence: for one that observes, what speaks for and against enforcing it. */
export function effectOf(policy: Judged): string {
  if (policy.requests === 0 && policy.denied + wouldBlock(policy) === 0) return 'No request in its scope.'
  if (policy.mode === 'enforce') {
    const before = wouldBlock(policy) > 0 ? ` ${count(wouldBlock(policy))} more went through while it observed.` : ''
    return policy.denied === 0 ? `Blocked ${ofNone(policy.requests)}.${before}` : `Blocked ${outOf(policy.denied, policy)}.${before}`
  }
  const earlier = policy.denied > 0 ? ` It blocked ${count(policy.denied)} while it was enforced.` : ''
  if (policy.mode === 'off') {
    return earlier === '' && wouldBlock(policy) === 0 ? 'Off: it judges nothing.' : `Off now.${wouldBlock(policy) > 0 ? ` It would have blocked ${count(wouldBlock(policy))} while it observed.` : ''}${earlier}`
  }
  return wouldBlock(policy) === 0 ? `Would have blocked ${ofNone(policy.requests)}.${earlier}` : `Would have blocked ${outOf(wouldBlock(policy), policy)}.${earlier}`
}

/** What follows from it for whoever thinks of enforcing the policy; empty when there is nothing to weigh. */
export function advice(policy: Judged): string {
  if (policy.mode !== 'observe') return ''
  if (policy.requests === 0) return 'Nothing to judge by in this time range; choose a longer one.'
  const hits = wouldBlock(policy)
  if (hits === 0) return 'Enforcing it would have changed nothing in this time range.'
  return `Enforcing it would have stopped ${hits === 1 ? 'this one' : `these ${count(hits)}`}. If they are unwanted, set mode: enforce in the file and reload; if not, narrow its scope first.`
}

/** The query behind a policy's numbers. */
export function policyQuery(policy: string, applied?: boolean, more: Record<string, string> = {}): string {
  return query({ policy, applied, ...more })
}

/** What a limit demands: `100 requests in 1 h`, `50 in flight`. */
export function demand(one: RateLimit): string {
  const per = one.per_ms === null ? '' : one.per_ms < 1_000 ? `${one.per_ms}\u00a0ms` : span(one.per_ms / 1000)
  const window = one.per_ms === null ? 'each calendar month' : one.is_calendar ? `each ${per}, by the calendar` : `in any ${per}`
  switch (one.kind) {
    case 'spike_arrest':
      return `${plural(one.most, 'request')} in ${per}, ${exact(one.burst ?? 1)} at once`
    case 'concurrency':
      return `${exact(one.most)} at once`
    case 'bandwidth':
      return `${limit(one.most)} ${window}`
    case 'quota':
      return `${plural(one.most, 'request')} ${window}`
    default:
      return `${plural(one.most, 'attempt')} ${window}`
  }
}

/** One voice in the trace of a decision: a policy, or the engine itself, with what its checks noticed. */
export interface Voice {
  /** Empty for the engine's own checks and for what is only noted */
  policy: string
  /** At the time; unknown for events of older versions */
  mode: Mode | null
  findings: Finding[]
  decided: boolean
  /** What the voice said */
  verdict: 'decided' | 'outweighed' | 'noted'
}

/** Who spoke, in the order in which they first did. */
export function voices(event: Pick<FullEvent, 'findings' | 'decision'>): Voice[] {
  const { decision } = event
  const list: Voice[] = []
  // an event of a version that did not keep it yet: the deciding check's first finding is the deciding policy's
  const knows = event.findings.some((finding) => finding.policy)
  const first = knows || !decision.policy ? -1 : event.findings.findIndex((finding) => finding.check === decision.check)
  event.findings.forEach((finding, at) => {
    const policy = finding.policy?.name ?? (at === first ? (decision.policy ?? '') : '')
    const decides = decision.action === 'deny' && finding.check === decision.check && policy === (decision.policy ?? '')
    const last = list.find((voice) => voice.policy === policy && (policy !== '' || voice.decided === decides))
    const voice = last ?? { policy, mode: finding.policy?.mode ?? null, findings: [], decided: false, verdict: 'noted' as const }
    if (!last) list.push(voice)
    voice.findings.push(finding)
    voice.decided ||= decides
    voice.verdict = voice.decided ? 'decided' : policy === '' ? 'noted' : 'outweighed'
  })
  return list
}

/** Where a finding is: `query.id`, `body`. */
export function place(location: Finding['location']): string {
  return typeof location === 'string' ? location : location.name ? `${location.part}.${location.name}` : location.part
}
