// Line diff of two texts (longest common subsequence), folded to hunks with context.

export interface DiffLine {
  kind: 'same' | 'added' | 'removed' | 'gap'
  text: string
  before: number | null
  after: number | null
}

// LIMIT: lines of each side that are compared exactly; the table is quadratic. Beyond it, everything between the
// common beginning and end is shown as replaced.
const LINES_MAX = 2_000

export function diff(before: string, after: string, context = 3): DiffLine[] {
  const [a, b] = [before.split('\n'), after.split('\n')]
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1
  const lines: DiffLine[] = []
  for (let i = 0; i < head; i += 1) lines.push({ kind: 'same', text: a[i] ?? '', before: i + 1, after: i + 1 })
  lines.push(...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), head))
  for (let i = tail; i > 0; i -= 1) lines.push({ kind: 'same', text: a[a.length - i] ?? '', before: a.length - i + 1, after: b.length - i + 1 })
  return fold(lines, context)
}

function middle(a: string[], b: string[], offset: number): DiffLine[] {
  const removed = (i: number): DiffLine => ({ kind: 'removed', text: a[i] ?? '', before: offset + i + 1, after: null })
  const added = (j: number): DiffLine => ({ kind: 'added', text: b[j] ?? '', before: null, after: offset + j + 1 })
  if (a.length > LINES_MAX || b.length > LINES_MAX) return [...a.map((_, i) => removed(i)), ...b.map((_, j) => added(j))]
  const width = b.length + 1
  const common = new Uint16Array((a.length + 1) * width)
  const at = (i: number, j: number): number => common[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: DiffLine[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: 'same', text: a[i] ?? '', before: offset + i + 1, after: offset + j + 1 })
      i += 1
      j += 1
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(removed(i))
      i += 1
    } else {
      lines.push(added(j))
      j += 1
    }
  }
  return lines
}

/** Replaces long runs of unchanged lines by one gap. */
function fold(lines: DiffLine[], context: number): DiffLine[] {
  const near = new Array<boolean>(lines.length).fill(false)
  lines.forEach((line, at) => {
    if (line.kind !== 'same') near.fill(true, Math.max(0, at - context), Math.min(lines.length, at + context + 1))
  })
  if (!near.includes(true)) return []
  const out: DiffLine[] = []
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] as DiffLine
    if (near[at]) {
      out.push(line)
      continue
    }
    const from = at
    while (at + 1 < lines.length && !near[at + 1]) at += 1
    out.push({ kind: 'gap', text: at === from ? '1 unchanged line' : `${at - from + 1} unchanged lines`, before: null, after: null })
  }
  return out
}
