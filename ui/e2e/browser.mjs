// Debian's Chromium under playwright-core, and axe-core: shared by the visual checks and the end-to-end test.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS })
}

/** Serious and critical findings of axe-core on `page`, as short lines. */
export async function axe(page) {
  // evaluated through the debugger, so the page's CSP stays as strict as it is
  await page.evaluate(AXE)
  const violations = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ['violations'] })).violations)
  return violations
    .filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .flatMap((one) => one.nodes.slice(0, 4).map((node) => `${one.id} (${one.impact}): ${node.target.join(' ')} – ${node.any[0]?.message ?? one.help}`))
}

/** Collects console errors, page errors and CSP reports of `page` into the list it returns. */
export function faults(page) {
  const list = []
  page.on('console', (message) => {
    // a failed fetch is logged by the browser itself; the page says it in words
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) list.push(message.text())
  })
  page.on('pageerror', (error) => list.push(String(error)))
  return list
}
