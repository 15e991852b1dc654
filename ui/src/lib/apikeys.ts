// What the console says of API keys: their states and quotas in words. Pure functions only.

import { exact, span } from './format'
import type { ApiKey, KeyQuota } from './types'

/** Whether requests with it are let in. */
export function isAccepted(key: ApiKey): boolean {
  return key.state === 'live' || key.state === 'rotating'
}

const UNITS: [string, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
]

/** `10,000 a day`, `50 in 5 min`. */
export function quotaWords(quota: KeyQuota): string {
  const unit = UNITS.find(([, seconds]) => quota.per_s === seconds)
  return unit ? `${exact(quota.requests)} ${unit[0] === 'hour' ? 'an' : 'a'} ${unit[0]}` : `${exact(quota.requests)} in ${span(quota.per_s)}`
}

/** Words of a text field, split at spaces and commas, each once. */
export function words(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((word) => word !== ''))]
}
