import { describe, expect, it } from 'vitest'
import { fromParams, parseTime, resolve, toParams } from './range'

const now = Date.parse('2026-11-22T12:00:00Z')

describe('a time range', () => {
  it('comes from the URL and goes back to it', () => {
    for (const text of ['', 'range=7d', 'from=2026-11-22T01:00:00.000Z&to=2026-11-22T02:00:00.000Z']) {
      const params = new URLSearchParams()
      for (const [name, value] of Object.entries(toParams(fromParams(new URLSearchParams(text))))) if (value !== null) params.set(name, value)
      expect(decodeURIComponent(params.toString())).toBe(text)
    }
  })
  it('that is nonsense is the default', () => {
    for (const text of ['range=9y', 'from=x&to=y', 'from=2026-11-22T02:00:00Z&to=2026-11-22T01:00:00Z']) expect(fromParams(new URLSearchParams(text))).toEqual({ name: '24h' })
  })
  it('ends now unless it says otherwise', () => {
    expect(resolve({ name: '1h' }, now)).toEqual({ from: now - 3_600_000, to: now })
    expect(resolve({ name: 'custom', window: { from: 1, to: 2 } }, now)).toEqual({ from: 1, to: 2 })
  })
})

describe('a time that somebody typed', () => {
  it('may be plain, relative or RFC 3339', () => {
    expect(parseTime('2026-11-22 03:04', now, true)).toBe(Date.parse('2026-11-22T03:04:00Z'))
    expect(parseTime(' -2h ', now, true)).toBe(now - 7_200_000)
    expect(parseTime('now', now, true)).toBe(now)
    expect(parseTime('2026-11-22T03:04:05+02:00', now, true)).toBe(Date.parse('2026-11-22T01:04:05Z'))
  })
  it('that is no time is not a number', () => {
    expect(parseTime('yesterday', now, true)).toBeNaN()
  })
})
