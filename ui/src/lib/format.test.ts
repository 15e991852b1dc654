import { describe, expect, it } from 'vitest'
import { axisTime, bytes, change, count, duration, limit, percent, plural, relative, span, stamp } from './format'

const plain = (text: string): string => text.replaceAll('\u00a0', ' ')

describe('numbers', () => {
  it('are exact below a thousand and have three digits above', () => {
    expect([0, 7, 999, 1_000, 12_345, 999_499, 1_234_567, 2e9].map(count).map(plain)).toEqual(['0', '7', '999', '1 k', '12.3 k', '999 k', '1.23 M', '2 G'])
  })
  it('never round up to a thousand of a unit', () => {
    expect(plain(count(999_950))).toBe('1 M')
    expect(plain(duration(999_999))).toBe('1 s')
    expect(plain(bytes(999_999))).toBe('1 MB')
  })
  it('that are none are a dash', () => {
    expect(count(NaN)).toBe('–')
    expect(duration(null)).toBe('–')
  })
  it('that are limits are written as in a configuration', () => {
    expect([10 * 2 ** 20, 65_536, 1_000_000].map(limit).map(plain)).toEqual(['10 MiB', '64 KiB', '1 MB'])
  })
  it('agree with their noun', () => {
    expect(plain(plural(1, 'endpoint'))).toBe('1 endpoint')
    expect(plain(plural(2_000, 'entry', 'entries'))).toBe('2 k entries')
  })
})

describe('durations', () => {
  it('take the unit that fits', () => {
    expect([0, 850, 12_340, 1_240_000, 125_000_000].map((us) => plain(duration(us)))).toEqual(['0 µs', '850 µs', '12.3 ms', '1.24 s', '2 min 5 s'])
    expect(plain(duration(100_000_000))).toBe('100 s')
  })
  it('of a longer time have two units at most', () => {
    expect(plain(span(90_061))).toBe('1 d 1 h')
    expect(plain(span(3_600))).toBe('1 h')
    expect(plain(span(0))).toBe('0 s')
  })
})

describe('shares and changes', () => {
  it('say when something is almost nothing', () => {
    expect(plain(percent(0.00001))).toBe('<0.01 %')
    expect(plain(percent(0.1234))).toBe('12.3 %')
    expect(percent(0 / 0)).toBe('–')
  })
  it('compare with the window before', () => {
    expect(plain(change(150, 100))).toBe('+50 %')
    expect(plain(change(50, 100))).toBe('−50 %')
    expect(change(5, 0)).toBe('new')
    expect(change(0, 0)).toBe('')
    expect(change(2_300, 100)).toBe('×23')
  })
})

describe('times', () => {
  const at = Date.parse('2026-11-22T03:04:05.678Z')
  it('are exact with their zone', () => {
    expect(stamp(at, { utc: true })).toBe('2026-11-22 03:04:05.678 UTC')
    expect(stamp(NaN, { utc: true })).toBe('–')
  })
  it('are relative to now', () => {
    expect(plain(relative(at, at + 1_000))).toBe('now')
    expect(plain(relative(at, at + 59_000))).toBe('59 s ago')
    expect(plain(relative(at, at + 3_599_000))).toBe('59 min ago')
    expect(plain(relative(at, at - 7_200_000))).toBe('in 2 h')
  })
  it('on an axis show the date at midnight', () => {
    expect(axisTime(Date.parse('2026-11-22T00:00:00Z'), 3_600, { utc: true })).toBe('11-22')
    expect(axisTime(at, 3_600, { utc: true })).toBe('03:04')
    expect(axisTime(at, 5, { utc: true })).toBe('03:04:05')
  })
})
