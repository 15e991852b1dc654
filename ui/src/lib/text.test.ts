import { describe, expect, it } from 'vitest'
import { isLabelled, labelStep } from './axis'
import { diff } from './diff'
import { tokens } from './yaml'

const shown = (before: string, after: string): string[] => diff(before, after, 1).map((line) => `${{ same: ' ', added: '+', removed: '-', gap: '…' }[line.kind]}${line.text}`)

describe('a diff', () => {
  it('of equal texts is empty', () => {
    expect(diff('a\nb', 'a\nb')).toEqual([])
  })
  it('shows what changed with its neighbors', () => {
    expect(shown('a\nb\nc\nd\ne', 'a\nb\nC\nd\ne')).toEqual(['…1 unchanged line', ' b', '-c', '+C', ' d', '…1 unchanged line'])
  })
  it('rebuilds both sides', () => {
    const [before, after] = ['x\na\nb\nc\ny\nz', 'a\nq\nb\ny\nz\nw']
    const lines = diff(before, after, 99)
    expect(lines.filter((line) => line.kind !== 'added').map((line) => line.text).join('\n')).toBe(before)
    expect(lines.filter((line) => line.kind !== 'removed').map((line) => line.text).join('\n')).toBe(after)
  })
})

describe('the coloring of YAML', () => {
  it('loses no character', () => {
    for (const line of ['', '  - name: "a b" # why', 'targets: ["10.20.0.11:9000"]', 'x: 64KiB', 'url: http://a.example/#top', "k: 'it''s'"]) expect(tokens(line).map((token) => token.text).join('')).toBe(line)
  })
  it('knows keys, strings and comments', () => {
    expect(tokens('mode: enforce # yet').map((token) => token.kind)).toEqual(['key', 'plain', 'number', 'plain', 'comment'])
    expect(tokens('url: http://a.example/#top').some((token) => token.kind === 'comment')).toBe(false)
  })
})

describe('a time axis', () => {
  it('labels whole steps of the clock', () => {
    expect(labelStep(48, 1_800, 8)).toBe(10_800)
    expect(isLabelled(Date.parse('2026-11-22T03:00:00Z'), 10_800, 0)).toBe(true)
    expect(isLabelled(Date.parse('2026-11-22T03:30:00Z'), 10_800, 0)).toBe(false)
  })
})
