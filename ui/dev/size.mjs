// States the size of the build: raw and gzip, per file and in total; fails over the budget.

import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const BUDGET = 400_000 // bytes, gzip, everything including charts
const folder = new URL('../dist/assets/', import.meta.url)
const files = readdirSync(folder).map((name) => {
  const bytes = readFileSync(new URL(name, folder))
  return { name, raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length }
})
files.sort((a, b) => b.gzip - a.gzip)
const total = files.reduce((sum, file) => sum + file.gzip, 0)
const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`
for (const file of files) console.log(`${kb(file.gzip).padStart(10)} gz ${kb(file.raw).padStart(10)}  ${file.name}`)
console.log(`${kb(total).padStart(10)} gz in total; budget ${kb(BUDGET)}`)
if (total > BUDGET) {
  console.error('the bundle is over its budget')
  process.exit(1)
}
