// Build of the console: one entry, charts as a lazy chunk, nothing inline (the page runs under a strict CSP).

import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 900,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { port: 4601, proxy: { '/api': process.env.BARTIZAN_API ?? 'http://127.0.0.1:4600' } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
