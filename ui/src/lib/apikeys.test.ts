import { describe, expect, it } from 'vitest'
import { isAccepted, quotaWords, words } from './apikeys'
import type { ApiKey } from './types'

describe('an API key', () => {
  it('is accepted while it is live or being rotated', () => {
    const accepted = (['live', 'rotating', 'expired', 'revoked'] as const).map((state) => isAccepted({ state } as ApiKey))
    expect(accepted).toEqual([true, true, false, false])
  })
  it('has a quota that reads as people say it', () => {
    expect(quotaWords({ requests: 10_000, per_s: 86_400 })).toBe('10,000 a day')
    expect(quotaWords({ requests: 5, per_s: 3_600 })).toBe('5 an hour')
    expect(quotaWords({ requests: 50, per_s: 300 })).toMatch(/^50 in 5/)
  })
  it('has scopes however they are separated', () => {
    expect(words(' a:read, b:write\n a:read ')).toEqual(['a:read', 'b:write'])
  })
})
