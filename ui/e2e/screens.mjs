// Looks at every page in both themes, three widths and four states against the fixture server: takes screenshots, runs
// axe-core, measures layout shift and collects console errors.
// Usage: node e2e/screens.mjs [--only NAME] [--quick] [--out DIR]; needs `npm run build`.

import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { start } from '../dev/fixture.mjs'
import { axe, faults, launch } from './browser.mjs'

const { values: args } = parseArgs({ options: { only: { type: 'string' }, quick: { type: 'boolean' }, out: { type: 'string' } } })
const OUT = args.out ?? fileURLToPath(new URL('../../artifacts/screens', import.meta.url))
const SHIFT_MAX = 0.03 // Core Web Vitals call 0.1 good; a tool should hardly move at all
const STATES = ['full', 'empty', 'error', 'slow']
const WIDTHS = args.quick ? [1280] : [1280, 1920, 768]
const THEMES = args.quick ? ['light'] : ['light', 'dark']

mkdirSync(OUT, { recursive: true })
const server = await start(0)
const base = `http://127.0.0.1:${server.address().port}`
const api = async (path) => (await fetch(`${base}/api/v1${path}`)).json()
const now = Date.now()
const range = `from=${new Date(now - 86_400_000).toISOString()}&to=${new Date(now).toISOString()}`
const endpoint = (await api('/endpoints?q=/v2/accounts/&limit=1&sort=requests')).items[0].id
const [observed, allowed] = await Promise.all(['decision:deny+applied:false', 'decision:allow+auth:jwt'].map(async (q) => (await api(`/events?${range}&q=${q}&limit=1`)).items[0].id))
const denied = (await api(`/events?${range}&q=decision:deny+applied:true&limit=1`)).items[0].id

const PAGES = [
  { name: 'overview', path: '/' },
  { name: 'apis', path: '/apis' },
  { name: 'endpoint-panel', path: `/apis?endpoint=${endpoint}`, states: ['full', 'error', 'slow'], shift: 0.05 },
  ...['overview', 'parameters', 'callers', 'authentication', 'paths'].map((tab) => ({ name: `endpoint-${tab}`, path: `/apis/${endpoint}?tab=${tab}`, states: ['full'] })),
  { name: 'traffic', path: '/traffic' },
  { name: 'traffic-filtered', path: `/traffic?q=endpoint_id:${endpoint}+status:4xx&range=6h`, states: ['full'] },
  { name: 'traffic-bad-query', path: '/traffic?q=metod:GET+status:', states: ['full'], shift: 0.05 },
  { name: 'traffic-tail', path: '/traffic?tail=1', states: ['full'], wait: 2_500 },
  { name: 'exchange-panel', path: `/traffic?q=decision:deny+applied:true&event=${denied}`, states: ['full', 'error', 'slow'] },
  { name: 'exchange-page', path: `/traffic/${denied}`, states: ['full'] },
  { name: 'exchange-observed', path: `/traffic/${observed}`, states: ['full'] },
  { name: 'exchange-allowed', path: `/traffic/${allowed}`, states: ['full'] },
  { name: 'sql', path: '/traffic?view=sql', states: ['full'], act: (page) => page.getByRole('button', { name: 'Run' }).click() },
  { name: 'policies', path: '/policies' },
  { name: 'policies-opened', path: '/policies?policy=per-client', states: ['full'], shift: 0.05 },
  { name: 'policies-quiet', path: '/policies?range=15m&policy=partner-plan', states: ['full'], shift: 0.05 },
  { name: 'policies-limits', path: '/policies?tab=limits' },
  { name: 'policies-reload', path: '/policies', states: ['full'], act: (page) => page.getByRole('button', { name: 'Reload from file' }).click() },
  { name: 'policies-yaml', path: '/policies?tab=yaml', states: ['full'] },
  { name: 'policies-revisions', path: '/policies?tab=revisions', states: ['full', 'error', 'slow'] },
  { name: 'policies-rejected', path: '/policies?tab=revisions&revision=3', states: ['full'] },
  {
    name: 'policies-check',
    path: '/policies?tab=check',
    states: ['full'],
    act: async (page) => {
      await page.getByRole('button', { name: 'Start from what runs' }).click()
      const area = page.getByLabel('Configuration to check')
      await area.fill((await area.inputValue()).replace('64KiB', '64 kilobytes').replace('policies:', 'polices:'))
      await page.getByRole('button', { name: 'Check', exact: true }).click()
    },
  },
  { name: 'keys', path: '/settings/keys' },
  { name: 'keys-open', path: '/settings/keys?ended=1&key=k7kq2xwz4mabc', states: ['full'] },
  { name: 'keys-new', path: '/settings/keys?new=1', states: ['full'] },
  { name: 'keys-rotate', path: '/settings/keys', states: ['full'], act: (page) => page.getByRole('button', { name: /^Rotate/ }).first().click() },
  { name: 'keys-revoke', path: '/settings/keys', states: ['full'], act: (page) => page.getByRole('button', { name: /^Revoke/ }).first().click() },
  {
    name: 'keys-made',
    path: '/settings/keys?new=1',
    states: ['full'],
    act: async (page) => {
      await page.getByLabel('Application').fill(`app-${Date.now()}`)
      await page.getByRole('button', { name: 'Make the key' }).click()
      await page.getByLabel('The key', { exact: true }).waitFor()
    },
  },
  { name: 'search', path: '/', states: ['full'], act: async (page) => { await page.keyboard.press('/'); await page.keyboard.type('198.51'); await page.waitForTimeout(600) } },
  { name: 'search-endpoint', path: '/', states: ['full'], act: async (page) => { await page.keyboard.press('Control+k'); await page.keyboard.type('transfer'); await page.waitForTimeout(600) } },
  { name: 'help', path: '/traffic', states: ['full'], act: (page) => page.keyboard.press('?') },
  { name: 'completion', path: '/traffic', states: ['full'], act: async (page) => { await page.keyboard.press('f'); await page.keyboard.type('method:GET sta'); await page.waitForTimeout(300) } },
  { name: 'range', path: '/', states: ['full'], act: (page) => page.getByRole('button', { name: /^Time range/ }).click() },
  { name: 'huge', path: '/apis', states: ['huge'] },
  { name: 'sign-in', path: '/traffic', states: ['signedout'] },
  { name: 'set-up', path: '/setup#token=one-time', states: ['setup'] },
  { name: 'set-up-no-token', path: '/', states: ['setup'] },
  { name: 'not-found', path: '/nowhere', states: ['full'] },
]

const browser = await launch()
let [passed, failed] = [0, 0]
let camera = Promise.resolve()

async function look(context, page_, state, theme, width) {
  const name = `${page_.name}-${state}-${theme}-${width}`
  const page = await context.newPage()
  const said = faults(page)
  await page.addInitScript(() => {
    globalThis.shifts = []
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shifts.push({ value: entry.value, nodes: entry.sources?.map((source) => source.node?.className || source.node?.nodeName) })
    }).observe({ type: 'layout-shift', buffered: true })
  })
  await page.goto(base + page_.path)
  if (state === 'slow') await page.waitForTimeout(700)
  else await page.waitForLoadState(page_.wait ? 'load' : 'networkidle')
  await page.waitForTimeout(page_.wait ?? 350)
  const shifts = page_.wait ? [] : await page.evaluate(() => globalThis.shifts)
  if (page_.act) {
    await page_.act(page)
    await page.waitForTimeout(350)
  }
  // one at a time: headless tabs share a compositor, and pictures taken at once can run into each other
  await (camera = camera.then(() => page.screenshot({ path: `${OUT}/${name}.png` })))
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  const shift = shifts.reduce((sum, one) => sum + one.value, 0)
  const problems = [...said, ...(width === 1920 ? [] : await axe(page))]
  if (shift > (page_.shift ?? SHIFT_MAX)) problems.push(`layout shift ${shift.toFixed(3)}: ${JSON.stringify(shifts.filter((one) => one.value > 0.005))}`)
  if (overflow > 0) problems.push(`the page is ${overflow} px wider than the window`)
  await page.close()
  if (problems.length > 0) {
    failed += 1
    console.log(`FAILED ${name}`)
    for (const problem of new Set(problems)) console.log(`  ${problem}`)
  } else passed += 1
}

for (const theme of THEMES) {
  for (const width of WIDTHS) {
    for (const state of [...STATES, 'huge', 'signedout', 'setup']) {
      const wanted = PAGES.filter((page) => (page.states ?? STATES).includes(state) && (!args.only || page.name.startsWith(args.only)))
      if (wanted.length === 0) continue
      const context = await browser.newContext({ viewport: { width, height: width === 768 ? 1024 : width === 1920 ? 1080 : 800 }, colorScheme: theme, extraHTTPHeaders: { 'x-fixture': state }, reducedMotion: 'reduce', timezoneId: 'Europe/Berlin' })
      await Promise.all([0, 1, 2].map(async (worker) => {
        for (const page of wanted.filter((_, at) => at % 3 === worker)) await look(context, page, state, theme, width)
      }))
      await context.close()
    }
  }
}
await browser.close()
server.closeAllConnections()
server.close()
console.log(`screenshots in ${OUT}`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
