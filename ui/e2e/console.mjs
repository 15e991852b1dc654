// End to end against a real Bartizan with traffic in it: signs in, finds an endpoint by search, opens it, filters
// events by a facet, opens an exchange, asks in SQL, reloads the configuration; axe-core on each page.
//
// Environment: BASE_URL (http://127.0.0.1:8600), and SETUP_URL (the one-time link) or both CONSOLE_USER and
// CONSOLE_PASSWORD. Optional: SEARCH (what to look for, default `accounts`), HAR (path to save a HAR of the session),
// SCREENS (directory for screenshots), WAIT_SECONDS (how long to wait for the first events, default 20).
// Prints one line a step and at the end `N passed, N failed`; exits 0 only if nothing failed.

import { mkdirSync } from 'node:fs'
import { axe, faults, launch } from './browser.mjs'

const setupUrl = process.env.SETUP_URL ?? ''
const base = (process.env.BASE_URL ?? (setupUrl === '' ? 'http://127.0.0.1:8600' : new URL(setupUrl).origin)).replace(/\/$/, '')
const user = process.env.CONSOLE_USER ?? 'engineer'
const password = process.env.CONSOLE_PASSWORD ?? (setupUrl === '' ? '' : 'a turret on the corner of a wall')
const search = process.env.SEARCH ?? 'accounts'
const waitMs = Number(process.env.WAIT_SECONDS ?? 20) * 1_000
const screens = process.env.SCREENS ?? ''
if (screens !== '') mkdirSync(screens, { recursive: true })

const browser = await launch()
const context = await browser.newContext({
  viewport: { width: 1440, height: 900 },
  reducedMotion: 'reduce',
  ...(process.env.HAR ? { recordHar: { path: process.env.HAR, mode: 'full', content: 'embed' } } : {}),
})
context.setDefaultTimeout(10_000)
const page = await context.newPage()
const said = faults(page)
let [passed, failed] = [0, 0]

/** One step; a step that fails does not keep the next from being tried. */
async function step(name, run) {
  try {
    await run()
    passed += 1
    console.log(`ok     ${name}`)
  } catch (error) {
    failed += 1
    console.log(`FAILED ${name}\n  ${String(error?.message ?? error).split('\n').slice(0, 6).join('\n  ')}`)
    if (screens !== '') await page.screenshot({ path: `${screens}/failed-${failed}.png` }).catch(() => undefined)
  }
}

function check(holds, what) {
  if (!holds) throw new Error(what)
}

async function shot(name) {
  if (screens === '') return
  await page.waitForTimeout(400) // charts are drawn after their chunk has come
  await page.screenshot({ path: `${screens}/${name}.png` })
}

async function isAccessible() {
  const found = await axe(page)
  check(found.length === 0, found.join('\n'))
}

/** Loads again with the page's own key until `ready` or the time is up: events are written once a second. */
async function until(ready, what) {
  const end = Date.now() + waitMs
  while (!(await ready())) {
    check(Date.now() < end, what)
    await page.keyboard.press('r')
    await page.waitForTimeout(1_000)
  }
}

const rows = () => page.locator('tbody tr[data-at]')
const go = (name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name }).click()

async function signIn() {
  await page.getByLabel('Name').fill(user)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Pages' }).waitFor()
}

if (setupUrl !== '') {
  await step('the one-time link makes the first user', async () => {
    await page.goto(setupUrl)
    await page.getByLabel('Name').fill(user)
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByLabel('Password again').fill(password)
    await shot('set-up')
    await isAccessible()
    await page.getByRole('button', { name: /Make the user/ }).click()
    await page.getByRole('navigation', { name: 'Pages' }).waitFor()
    check(!page.url().includes('token'), 'the token stays in the address')
  })
} else {
  await step('a user signs in', async () => {
    await page.goto(base)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await shot('sign-in')
    await isAccessible()
    await signIn()
  })
}

await step('the overview counts requests', async () => {
  await page.goto(`${base}/`)
  await page.getByRole('navigation', { name: 'Pages' }).waitFor()
  await until(async () => /\d.* requests? /.test((await page.locator('.lead').allTextContents()).join().replaceAll('\u00a0', ' ')), 'no request is counted')
  await shot('overview')
  await isAccessible()
})

await step('the search finds an endpoint and opens it', async () => {
  await page.keyboard.press('/')
  await page.getByRole('combobox', { name: /^Search/ }).fill(search)
  const hit = page.locator('#hits [role=option]').filter({ has: page.locator('.method') }).first()
  await hit.waitFor()
  await shot('search')
  await hit.click()
  await page.getByRole('complementary', { name: 'Endpoint' }).getByRole('heading', { level: 1 }).waitFor()
  await page.getByRole('heading', { name: 'Statuses over time' }).waitFor()
  check(new URL(page.url()).searchParams.get('endpoint') !== null, 'the address does not name the endpoint')
  await shot('endpoint-panel')
  await isAccessible()
})

await step('the endpoint as a page shows parameters, callers, authentication and paths', async () => {
  await page.getByRole('link', { name: 'Open as a page' }).click()
  for (const name of ['Parameters', 'Callers', 'Authentication', 'Paths & merges', 'Overview']) {
    await page.getByRole('tab', { name }).click()
    await page.locator(`[role=tab][aria-selected=true]`, { hasText: name }).waitFor()
  }
  await shot('endpoint')
  await isAccessible()
})

await step('the catalog lists endpoints and narrows by a facet', async () => {
  await go('APIs')
  await rows().first().waitFor()
  const before = await page.locator('.total').first().textContent()
  await page.locator('.rail li button.value').first().click()
  await page.locator('.rail li.on').first().waitFor()
  await rows().first().waitFor()
  check(new URL(page.url()).search.length > 1, 'the facet is not in the address')
  console.log(`       ${before?.trim()}`)
  await shot('apis')
  await isAccessible()
})

await step('a click on a facet filters the events', async () => {
  await go('Traffic')
  await rows().first().waitFor()
  await page.getByRole('region', { name: 'Facets' }).getByRole('button', { name: /^Method/ }).waitFor()
  const value = page.locator('.rail section').filter({ has: page.getByRole('button', { name: /^Method/ }) }).locator('li button.value').first()
  const method = (await value.locator('.name').textContent())?.trim() ?? ''
  await value.click()
  await page.waitForURL((url) => (url.searchParams.get('q') ?? '').includes(`method:${method}`))
  await page.waitForLoadState('networkidle')
  await rows().first().waitFor()
  const shown = await rows().locator('.method').evaluateAll((badges) => badges.map((badge) => badge.getAttribute('title')))
  check(shown.length > 0 && shown.every((one) => one === method), `asked for ${method}, shown are ${[...new Set(shown)].join(', ')}`)
  await shot('traffic')
  await isAccessible()
})

await step('an exchange opens in full', async () => {
  await rows().first().locator('td').first().click()
  const panel = page.getByRole('complementary', { name: 'Exchange' })
  await panel.getByText('As stored (JSON)').click()
  const stored = JSON.parse((await panel.locator('pre').textContent()) ?? '')
  check(/^[0-9a-f]{32}$/.test(stored.id), 'the stored event has no request id')
  await shot('exchange')
  await isAccessible()
  await page.keyboard.press('Escape')
  await panel.waitFor({ state: 'detached' })
})

await step('a bad query is answered with the term that is bad', async () => {
  await page.getByRole('combobox', { name: 'Filter events' }).fill('colour:red')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'colour' }).waitFor()
  await page.getByRole('button', { name: 'Clear the filter' }).click()
  await rows().first().waitFor()
})

await step('SQL answers', async () => {
  await page.getByRole('link', { name: 'SQL', exact: true }).click()
  await page.getByLabel('SQL').fill('SELECT method, count(*) AS requests FROM events GROUP BY method ORDER BY requests DESC')
  await page.getByRole('button', { name: 'Run', exact: true }).click()
  await rows().first().waitFor()
  await shot('sql')
  await isAccessible()
})

await step('a reload from the file says what came of it', async () => {
  await go('Policies')
  await page.getByRole('heading', { name: 'Listeners' }).waitFor()
  await page.getByRole('button', { name: 'Reload from file' }).click()
  const result = page.getByRole('status')
  await result.waitFor()
  const text = (await result.textContent())?.trim().replace(/\s+/g, ' ') ?? ''
  check(/Applied|Unchanged/.test(text), text)
  console.log(`       ${text}`)
  await shot('policies')
  await isAccessible()
})

await step('policies say what they blocked and would have, and limits whom they count', async () => {
  await page.getByRole('tab', { name: /^Running/ }).click()
  const row = (name) => page.locator('main tbody tr').filter({ hasText: name }).first()
  const effect = (name, said) => row(name).locator('td.wide p').filter({ hasText: said }).first().waitFor()
  await effect('large-bodies', /Would have blocked [\d,.]+ of/)
  await effect('common-methods', /^Blocked/)
  await row('large-bodies').getByRole('link', { name: 'large-bodies' }).click()
  await page.locator('#opened-policy').getByText('body at most 1024 B').waitFor()
  await shot('policy')
  await isAccessible()
  const [, said] = /Would have blocked ([\d,.]+) of/.exec((await row('large-bodies').locator('td.wide p').first().textContent()) ?? '') ?? []
  await row('large-bodies').getByRole('link', { name: said, exact: true }).click()
  await rows().first().locator('td').first().click()
  await page.getByRole('complementary', { name: 'Exchange' }).getByText('decided, but only observes').waitFor()
  await shot('trace')
  await isAccessible()
  await page.keyboard.press('Escape')
  await go('Policies')
  await page.getByRole('tab', { name: 'Limits' }).click()
  const quota = page.getByRole('region', { name: 'Limits of calls' }).locator('tbody tr').first()
  await quota.waitFor()
  // The page shows this moment, anew every 5 s; on a busy machine nobody may be calling in one of them.
  const counted = quota.locator('td').nth(2).filter({ hasText: /[1-9]/ })
  await counted.waitFor({ timeout: 60_000 }).catch(() => check(false, 'nobody is counted'))
  await shot('limits')
  await isAccessible()
})

await step('the running YAML, the revisions and the validator are there', async () => {
  await page.getByRole('tab', { name: 'As written' }).click()
  await page.getByRole('region', { name: 'Configuration as running' }).waitFor()
  await page.getByRole('tab', { name: /^Revisions/ }).click()
  await page.getByRole('list', { name: /^Revisions/ }).getByRole('link').first().waitFor()
  await shot('revisions')
  await page.getByRole('tab', { name: 'Check a text' }).click()
  await page.getByLabel('Configuration to check').fill('polices: []\n')
  await page.getByRole('button', { name: 'Check', exact: true }).click()
  await page.getByText(/this text would be rejected/).waitFor()
  await isAccessible()
})

await step('an API key is made, shown once, rotated and revoked', async () => {
  await page.goto(`${base}/settings/keys`)
  await page.getByRole('link', { name: 'Make a key' }).click()
  await page.getByLabel('Application').fill('warehouse')
  await page.getByLabel('Owner').fill('team-stock')
  await page.getByLabel('Scopes').fill('stock:read, stock:write')
  await page.getByRole('spinbutton', { name: 'Quota' }).fill('500')
  await page.getByRole('button', { name: 'Make the key' }).click()
  const made = page.getByLabel('The key', { exact: true })
  const text = await made.inputValue()
  check(/^bz_[a-z2-7]{13}_[a-z2-7]{52}_[0-9a-f]{8}$/.test(text), 'what is shown is no key') // never the text itself: it would end in a log
  await isAccessible()
  await page.getByRole('button', { name: 'I have it' }).click()
  check(!(await page.content()).includes(text), 'the key is still on the page')
  const all = page.getByRole('region', { name: 'API keys' }).getByRole('row').filter({ hasText: 'warehouse' })
  const [, id] = text.split('_')
  const old = all.filter({ hasText: id })
  check((await old.innerText()).includes('500 a day'), 'the list does not have the new key')

  await old.getByRole('button', { name: /^Rotate/ }).click()
  await page.getByRole('button', { name: 'Make the new key' }).click()
  await page.getByRole('button', { name: 'I have it' }).waitFor()
  const next = await made.inputValue()
  check(next.startsWith('bz_') && next !== text, 'the new key is the old one')
  await page.getByRole('button', { name: 'I have it' }).click()
  await old.filter({ hasText: 'rotating' }).waitFor()
  await shot('keys')
  await isAccessible()

  await old.getByRole('button', { name: /^Revoke/ }).click()
  await page.getByRole('button', { name: 'Revoke it' }).click()
  await page.getByText(/^Revoked the key/).waitFor()
  await old.waitFor({ state: 'detached' })
  check((await all.count()) === 1, 'the other key is not listed')
  await page.getByLabel('Ended keys too').check()
  await old.filter({ hasText: 'revoked' }).waitFor()
  const kept = await (await page.request.get(`${base}/api/v1/keys`)).text()
  check(!kept.includes(text.split('_')[2]) && !kept.includes(next.split('_')[2]), 'the API tells a secret again')
})

await step('signing out ends the session, signing in goes on', async () => {
  await page.getByRole('button', { name: /^User/ }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  const answer = await page.request.get(`${base}/api/v1/overview?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z`)
  check(answer.status() === 401, `the API answers ${answer.status()} after signing out`)
  await signIn()
})

await step('the browser has nothing to complain about', async () => check(said.length === 0, [...new Set(said)].join('\n')))

await context.close() // writes the HAR
await browser.close()
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
