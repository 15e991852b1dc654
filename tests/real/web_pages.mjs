// Pages in a real Chromium that call a bank's API: its own, those of a friend (same site, another origin), of a neighbor and
// of a stranger. Each line says what was tried and what the page got of it.
//
// Names below `localhost` are loopback addresses that browsers trust, so that `Sec-Fetch-Site` is sent (Fetch Metadata
// §2.1); names below `example` are resolved to the loopback address, and get none.
// Usage: node web_pages.mjs API_PORT PAGES_PORT

import http from 'node:http'
import { load } from './npm.mjs'

const { chromium } = (await load('playwright-core')).default
const [api, pages] = process.argv.slice(2).map(Number)
const at = (host, port, path = '/') => `http://${host}:${port}${path}`
const bank = (path) => at('bank.localhost', api, path)

const server = http
  .createServer((request, response) => response.setHeader('content-type', 'text/html').end(`<title>${request.headers.host}</title>`))
  .listen(pages, '127.0.0.1')

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP *.example 127.0.0.1'],
})
const context = await browser.newContext()
context.setDefaultTimeout(20_000)
const session = { name: 'session', value: '5f1c2d', path: '/', httpOnly: true }
await context.addCookies([
  { ...session, domain: 'bank.localhost', sameSite: 'None', secure: true }, // the worst that a bank can do
  { ...session, domain: 'bank.example' },
])
const tell = (name, said) => console.log(`${name}: ${said}`)

/** What a page gets of a call by script. */
async function call(name, page, url, options = {}) {
  const said = await page.evaluate(async ([url, options]) => {
    try {
      const answer = await fetch(url, options)
      const shown = ['x-shown', 'x-hidden'].filter((name) => answer.headers.has(name))
      return `${answer.status} ${(await answer.text()).slice(0, 11)} ${shown.join(' ')}`.trim()
    } catch (error) {
      return error.name
    }
  }, [url, options])
  tell(name, said)
}

/** What the browser shows of an image. */
async function show(name, page, url) {
  const said = await page.evaluate((url) => new Promise((resolve) => {
    const image = new Image()
    image.onload = () => resolve('an image')
    image.onerror = () => resolve('nothing')
    image.src = url
  }), url)
  tell(name, said)
}

/** How a navigation that `act` causes is answered. */
async function navigate(name, page, path, act) {
  const answer = page.waitForResponse((response) => new URL(response.url()).pathname === path)
  const [response] = await Promise.all([answer, page.evaluate(act)])
  tell(name, `${response.status()} ${response.headers()['x-bartizan-check'] ?? '-'}`)
}

const form = (action, target) => `(() => {
  const form = document.createElement('form')
  Object.assign(form, { method: 'POST', action: '${action}', target: '${target}' })
  const field = Object.assign(document.createElement('input'), { name: 'amount', value: '5000' })
  form.append(field)
  document.documentElement.append(form)
  form.submit()
})()`
const frame = (sandbox, content) => `(() => {
  const frame = document.createElement('iframe')
  frame.setAttribute('sandbox', '${sandbox}')
  frame.srcdoc = ${JSON.stringify(`<script>${content}</script>`)}
  document.documentElement.append(frame)
})()`
const link = (target) => `(() => {
  const link = Object.assign(document.createElement('a'), { href: '${target}' })
  document.documentElement.append(link)
  link.click()
})()`

const open = async (url) => {
  const page = await context.newPage()
  await page.goto(url)
  return page
}
const json = { 'content-type': 'application/json' }

const friend = await open(at('app.bank.localhost', pages))
await call('friend reads', friend, bank('/orders'))
await call('friend reads with cookies', friend, bank('/orders?with'), { credentials: 'include' })
await call('friend reads without cookies', friend, bank('/orders?without'), { credentials: 'omit' })
await call('friend changes', friend, bank('/orders?changed'), { method: 'PUT', headers: { ...json, 'x-trace': '1' }, body: '{}' })
await call('friend sends another field', friend, bank('/orders?field'), { headers: { 'x-other': '1' } })
await call('friend uses another method', friend, bank('/orders?method'), { method: 'DELETE' })
await call('friend reads why', friend, bank('/private/orders'))

const stranger = await open(at('stranger.localhost', pages))
await call('stranger reads', stranger, bank('/orders?stranger'))
await call('stranger reads with cookies', stranger, bank('/orders?stranger'), { credentials: 'include' })
await call('stranger changes', stranger, bank('/orders?stranger'), { method: 'PUT', headers: json, body: '{}' })
await call('stranger sends blindly', stranger, bank('/orders?stranger'), { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'amount=1' })
await show('stranger shows an image', stranger, bank('/move?amount=5000'))
await navigate('stranger sandboxes a form', stranger, '/move', frame('allow-scripts allow-forms', form(bank('/move'), '_self')))
await navigate('stranger sends a form', stranger, '/move', form(bank('/move'), '_self'))
const neighbor = await open(at('blog.bank.localhost', pages))
await navigate('neighbor sends a form', neighbor, '/move', form(bank('/move'), '_self'))
const other = await open(at('stranger.localhost', pages))
await navigate('stranger links', other, '/orders', link(bank('/orders?linked')))

const own = await open(bank('/orders?own'))
await call('bank moves', own, '/move', { method: 'POST', headers: json, body: '{}' })
await navigate('bank sends a form', own, '/move', form('/move', '_self'))

const old = await open(at('stranger.example', pages))
await show('stranger without fetch metadata shows an image', old, at('bank.example', api, '/move?amount=5000'))
await navigate('stranger without fetch metadata sends a form', old, '/move', form(at('bank.example', api, '/move'), '_self'))
const plain = await open(at('bank.example', api, '/orders?plain'))
await navigate('bank without fetch metadata sends a form', plain, '/move', form('/move', '_self'))

await browser.close()
server.closeAllConnections()
server.close()
