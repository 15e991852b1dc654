// Just enough of YAML to color it: keys, strings, numbers and words, comments. One line at a time.

export interface Token {
  kind: 'key' | 'string' | 'number' | 'comment' | 'plain'
  text: string
}

const PIECE = /(#.*$)|("(?:[^"\\]|\\.)*"|'[^']*')|([A-Za-z_][\w-]*)(?=\s*:(?:\s|$))|(?<![\w.:/-])(-?\d+(?:\.\d+)?(?:[a-zA-Z]{1,3})?|true|false|null|enforce|observe|off)(?![\w.:/-])/g

export function tokens(line: string): Token[] {
  const out: Token[] = []
  let end = 0
  for (const match of line.matchAll(PIECE)) {
    // a # begins a comment only at the start or after white space (YAML 1.2 §6.6)
    if (match[1] !== undefined && match.index > 0 && !/\s/.test(line[match.index - 1] ?? '')) continue
    if (match.index > end) out.push({ kind: 'plain', text: line.slice(end, match.index) })
    const kind = match[1] !== undefined ? 'comment' : match[2] !== undefined ? 'string' : match[3] !== undefined ? 'key' : 'number'
    out.push({ kind, text: match[0] })
    end = match.index + match[0].length
  }
  if (end < line.length) out.push({ kind: 'plain', text: line.slice(end) })
  return out
}
