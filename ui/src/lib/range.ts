// Time ranges as they stand in the URL: `range=24h`, or `from=…&to=…`. Pure; the clock is an argument.

export interface Window {
  from: number
  to: number
}

export interface Range {
  /** A preset's name, or `custom` */
  name: string
  /** Set for `custom` only */
  window?: Window
}

export const PRESETS: { name: string; label: string; seconds: number }[] = [
  { name: '15m', label: 'Last 15 minutes', seconds: 900 },
  { name: '1h', label: 'Last hour', seconds: 3_600 },
  { name: '6h', label: 'Last 6 hours', seconds: 21_600 },
  { name: '24h', label: 'Last 24 hours', seconds: 86_400 },
  { name: '7d', label: 'Last 7 days', seconds: 604_800 },
  { name: '30d', label: 'Last 30 days', seconds: 2_592_000 },
]

export const DEFAULT = '24h'

export function fromParams(params: URLSearchParams): Range {
  const [from, to] = [Date.parse(params.get('from') ?? ''), Date.parse(params.get('to') ?? '')]
  if (Number.isFinite(from) && Number.isFinite(to) && to > from) return { name: 'custom', window: { from, to } }
  const name = params.get('range') ?? ''
  return { name: PRESETS.some((preset) => preset.name === name) ? name : DEFAULT }
}

/** The parameters of `range`, ready to be set: absent ones are null. The default leaves the URL clean. */
export function toParams(range: Range): Record<'range' | 'from' | 'to', string | null> {
  if (range.window) return { range: null, from: iso(range.window.from), to: iso(range.window.to) }
  return { range: range.name === DEFAULT ? null : range.name, from: null, to: null }
}

export function resolve(range: Range, now: number): Window {
  if (range.window) return range.window
  const seconds = PRESETS.find((preset) => preset.name === range.name)?.seconds ?? 86_400
  return { from: now - seconds * 1000, to: now }
}

/** How often a live page asks again, in milliseconds. */
export function refreshEvery(range: Range): number {
  return range.name === '15m' || range.name === '1h' ? 5_000 : 15_000
}

export function iso(time: number): string {
  return new Date(time).toISOString()
}

/** What a person typed as a time: RFC 3339, `2026-11-22 03:04`, or `-2h`. NaN when it is none of these. */
export function parseTime(text: string, now: number, utc: boolean): number {
  const trimmed = text.trim()
  if (trimmed === 'now') return now
  const ago = /^-\s*(\d+)\s*(s|m|min|h|d)$/.exec(trimmed)
  if (ago) return now - Number(ago[1]) * { s: 1, m: 60, min: 60, h: 3_600, d: 86_400 }[ago[2] as 's' | 'm' | 'min' | 'h' | 'd'] * 1000
  const plain = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?$/.exec(trimmed)
  if (plain) return Date.parse(`${plain[1]}T${plain[2] ?? '00:00'}${utc ? 'Z' : ''}`)
  return Date.parse(trimmed)
}
