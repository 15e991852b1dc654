// Series on one time axis.

import type { LatencyBucket } from './types'

/** One quantile for each of `times`: buckets without traffic may be left out by the server, or zero. */
export function quantile(times: number[], latency: LatencyBucket[], name: 'p50' | 'p95' | 'p99'): (number | null)[] {
  const known = new Map(latency.map((bucket) => [Date.parse(bucket.time), bucket[`${name}_us`]]))
  return times.map((time) => known.get(time) || null)
}
