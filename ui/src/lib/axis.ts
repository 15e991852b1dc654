// Which labels a time axis of buckets shows: whole steps of the clock, as many as there is room for. Pure.

const NICE = [5, 10, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800]

/** Seconds between labels for `count` buckets of `step` seconds with room for `labels` of them. */
export function labelStep(count: number, step: number, labels: number): number {
  const wanted = (count * step) / Math.max(1, labels)
  return NICE.find((nice) => nice >= wanted && nice % step === 0) ?? NICE.find((nice) => nice >= wanted) ?? 604_800
}

/** Whether the bucket at `time` (milliseconds) carries a label, in a zone `offset` milliseconds ahead of UTC. */
export function isLabelled(time: number, every: number, offset: number): boolean {
  return (time + offset) % (every * 1000) === 0
}
