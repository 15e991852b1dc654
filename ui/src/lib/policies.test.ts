import { describe, expect, it } from 'vitest'
import { advice, demand, effectOf, policyQuery, voices } from './policies'
import type { Finding, FullEvent, RateLimit } from './types'

const plainly = (text: string): string => text.replaceAll('\u00a0', ' ')
const policy = (mode: 'enforce' | 'observe' | 'off', more: object = {}) => ({ mode, requests: 12_300 as number | null, denied: 0, observed: 0, beside: 0, clients: 0, ...more })

describe('a policy', () => {
  it('that observes says what it would have blocked, of how many, and whose', () => {
    expect(plainly(effectOf(policy('observe', { observed: 400, beside: 12, clients: 17 })))).toBe('Would have blocked 412 of 12.3 k requests (3.35 %), 17 clients.')
    expect(plainly(effectOf(policy('observe', { observed: 1, clients: 1, requests: null })))).toBe('Would have blocked 1 request, 1 client.')
  })
  it('that observes and would have blocked nothing says that nothing would change', () => {
    expect(plainly(effectOf(policy('observe')))).toBe('Would have blocked none of 12.3 k requests.')
    expect(advice(policy('observe'))).toContain('changed nothing')
    expect(advice(policy('observe', { requests: 0 }))).toContain('Nothing to judge by')
    expect(effectOf(policy('observe', { requests: 0 }))).toBe('No request in its scope.')
  })
  it('that is enforced says what it blocked, and what it let through before it was', () => {
    expect(plainly(effectOf(policy('enforce', { denied: 123, observed: 4, clients: 2 })))).toBe('Blocked 123 of 12.3 k requests (1 %), 2 clients. 4 more went through while it observed.')
    expect(advice(policy('enforce', { denied: 123 }))).toBe('')
  })
  it('that is off judges nothing, but may have', () => {
    expect(effectOf(policy('off'))).toBe('Off: it judges nothing.')
    expect(effectOf(policy('off', { denied: 3 }))).toBe('Off now. It blocked 3 while it was enforced.')
  })
  it('leads to its events', () => {
    expect(policyQuery('body size', false)).toBe('policy:"body size" applied:false')
  })
})

describe('a limit', () => {
  const limit = (kind: string, most: number, per_ms: number | null, more: object = {}): RateLimit => ({ kind, check: '', most, per_ms, is_calendar: false, burst: null, state: null, ...more })
  it('says what it demands', () => {
    const of = (one: RateLimit): string => plainly(demand(one))
    expect(of(limit('spike_arrest', 20, 1000, { burst: 40 }))).toBe('20 requests in 1 s, 40 at once')
    expect(of(limit('quota', 100_000, null, { is_calendar: true }))).toBe('100 k requests each calendar month')
    expect(of(limit('quota', 1, 3_600_000))).toBe('1 request in any 1 h')
    expect(of(limit('quota', 500, 7 * 86_400_000, { is_calendar: true }))).toBe('500 requests each 7 d, by the calendar')
    expect(of(limit('concurrency', 50, null))).toBe('50 at once')
    expect(of(limit('bandwidth', 10 * 2 ** 30, 86_400_000))).toBe('10 GiB in any 1 d')
    expect(of(limit('logins of an account', 5, 900_000))).toBe('5 attempts in any 15 min')
    expect(of(limit('spike_arrest', 1, 250, { burst: 1 }))).toBe('1 request in 250 ms, 1 at once')
  })
})

describe('the trace of a decision', () => {
  const finding = (check: string, name?: string, mode: 'enforce' | 'observe' = 'observe'): Finding => ({ check, severity: 'low', confidence: 'high', location: 'body', evidence: '', ...(name ? { policy: { name, mode } } : {}) })
  const event = (findings: Finding[], check: string | null, by: string | null): Pick<FullEvent, 'findings' | 'decision'> => ({ findings, decision: { action: check ? 'deny' : 'allow', applied: true, status: 403, check, policy: by } })
  const spoken = (one: Pick<FullEvent, 'findings' | 'decision'>): string[] => voices(one).map((voice) => `${voice.policy || '-'} ${voice.verdict} ${voice.findings.length}`)

  it('has each policy once, in the order in which it spoke, and the one that decided', () => {
    expect(spoken(event([finding('A', 'size'), finding('B', 'rate', 'enforce'), finding('C', 'size')], 'B', 'rate'))).toEqual(['size outweighed 2', 'rate decided 1'])
  })
  it('tells two policies apart whose checks are the same', () => {
    expect(spoken(event([finding('A', 'loose'), finding('A', 'strict', 'enforce')], 'A', 'strict'))).toEqual(['loose outweighed 1', 'strict decided 1'])
  })
  it('keeps what is only noted apart from what the engine itself refused', () => {
    expect(spoken(event([finding('N'), finding('E')], 'E', null))).toEqual(['- noted 1', '- decided 1'])
    expect(spoken(event([finding('N'), finding('M')], null, null))).toEqual(['- noted 2'])
  })
  it('takes the deciding policy of an older event from its decision', () => {
    expect(spoken(event([finding('N'), finding('A'), finding('A')], 'A', 'size'))).toEqual(['- noted 2', 'size decided 1'])
  })
})
