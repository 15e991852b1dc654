// Numbers, sizes, durations and times as people read them: compact, tabular, always with a unit.

const NBSP = '\u00a0'
const SCALES: [number, string][] = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

const GROUPED = new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 }) // PERF: making one costs more than using it

/** Three significant digits without trailing zeros: 12.3, 1.2, 123. */
function short(value: number): string {
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2
  return String(Number(value.toFixed(digits)))
}

function scaled(value: number, scales: [number, string][], base: string): string {
  // 999,950 must not become `1000 k`: a scale is taken from where the smaller one would round up to it
  for (const [scale, unit] of scales) {
    if (Math.abs(value) >= scale * 0.9995) return `${short(value / scale)}${NBSP}${unit}`
  }
  return base === '' ? short(value) : `${short(value)}${NBSP}${base}`
}

/** 12,345 → `12.3 k`; below 1,000 exact. */
export function count(value: number): string {
  return Number.isFinite(value) ? scaled(value, SCALES, '') : '–'
}

/** Every digit, grouped: `12,345`. */
export function exact(value: number): string {
  return GROUPED.format(value)
}

/** Bytes with decimal units: `1.23 kB`. */
export function bytes(value: number): string {
  return scaled(value, [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']], 'B')
}

/** A limit as people write it: powers of two as `10 MiB`, anything else as bytes. */
export function limit(value: number): string {
  for (const [size, unit] of [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']] as const) {
    if (value > 0 && value % size === 0) return `${value / size}${NBSP}${unit}`
  }
  return bytes(value)
}

/** Microseconds as `850 µs`, `12.3 ms`, `1.24 s`, `2 min 5 s`. */
export function duration(us: number | null | undefined): string {
  if (us === null || us === undefined || !Number.isFinite(us)) return '–'
  if (us >= 119_950_000) return span(us / 1e6)
  return scaled(us, [[1e6, 's'], [1e3, 'ms']], 'µs')
}

/** Seconds as at most two units: `2 d 3 h`, `5 min`. */
export function span(seconds: number): string {
  const units: [number, string][] = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']]
  let rest = Math.round(seconds)
  const parts: string[] = []
  for (const [size, unit] of units) {
    const whole = Math.floor(rest / size)
    if (whole > 0) parts.push(`${whole}${NBSP}${unit}`)
    else if (parts.length > 0) break
    rest -= whole * size
    if (parts.length === 2) break
  }
  return parts.length > 0 ? parts.join(' ') : `0${NBSP}s`
}

/** A share: `12.3 %`, `<0.01 %`. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return '–'
  if (share > 0 && share < 0.0001) return `<0.01${NBSP}%`
  return `${short(share * 100)}${NBSP}%`
}

/** Change against a former value: `+12 %`, `−3.4 %`, `new` when there was none, empty when both are 0. */
export function change(now: number, before: number): string {
  if (before === 0) return now === 0 ? '' : 'new'
  const share = (now - before) / before
  if (Math.abs(share) < 0.0005) return `±0${NBSP}%`
  if (share > 9.99) return `×${short(now / before)}`
  return `${share > 0 ? '+' : '−'}${short(Math.abs(share) * 100)}${NBSP}%`
}

/** `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`; `in 5 min` for the future. */
export function relative(time: number, now: number): string {
  const seconds = Math.round((now - time) / 1000)
  const size = Math.abs(seconds)
  if (size < 3) return 'now'
  const text =
    size < 60 ? `${size}${NBSP}s` : size < 3_600 ? `${Math.floor(size / 60)}${NBSP}min` : size < 86_400 ? `${Math.floor(size / 3_600)}${NBSP}h` : `${Math.floor(size / 86_400)}${NBSP}d`
  return seconds > 0 ? `${text} ago` : `in ${text}`
}

export interface TimeStyle {
  utc: boolean
}

const pad = (value: number, digits = 2): string => String(value).padStart(digits, '0')

function fields(time: number, { utc }: TimeStyle): { date: string; clock: string; millis: string } {
  const at = new Date(time)
  const [year, month, day, hour, minute, second] = utc
    ? [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()]
    : [at.getFullYear(), at.getMonth(), at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()]
  return {
    date: `${year}-${pad(month + 1)}-${pad(day)}`,
    clock: `${pad(hour)}:${pad(minute)}:${pad(second)}`,
    millis: pad(at.getUTCMilliseconds(), 3),
  }
}

/** `UTC`, or the local zone's offset: `+02:00`. */
export function zone(time: number, style: TimeStyle): string {
  if (style.utc) return 'UTC'
  const offset = -new Date(time).getTimezoneOffset()
  return `${offset < 0 ? '−' : '+'}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`
}

/** `2026-11-22 03:04:05.678 UTC`. */
export function stamp(time: number, style: TimeStyle): string {
  if (!Number.isFinite(time)) return '–'
  const { date, clock, millis } = fields(time, style)
  return `${date} ${clock}.${millis} ${zone(time, style)}`
}

/** For a log line: `11-22 03:04:05.678`. */
export function logTime(time: number, style: TimeStyle): string {
  const { date, clock, millis } = fields(time, style)
  return `${date.slice(5)} ${clock}.${millis}`
}

/** For an axis with steps of `step` seconds: clock within a day, date beyond. */
export function axisTime(time: number, step: number, style: TimeStyle): string {
  const { date, clock } = fields(time, style)
  if (step >= 86_400) return date.slice(5)
  if (clock.startsWith('00:00') && step >= 600) return date.slice(5)
  return step < 60 ? clock : clock.slice(0, 5)
}

/** For a range: `11-22 03:04`. */
export function minuteTime(time: number, style: TimeStyle): string {
  const { date, clock } = fields(time, style)
  return `${date.slice(5)} ${clock.slice(0, 5)}`
}

/** `1 endpoint`, `2 endpoints`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}
