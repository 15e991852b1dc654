// The global time range and the clock behind it. All parts of a page ask for the same window; it moves only when
// somebody asks for it: a new range, a reload, or the live tick.

import { PRESETS, fromParams, iso, refreshEvery, resolve, toParams, type Range } from './range'
import { router, set } from './router.svelte'

class TimeRange {
  /** The end of relative ranges */
  now = $state(Date.now())
  /** For relative times on the screen; moves every ten seconds */
  clock = $state(Date.now())
  range = $derived<Range>(fromParams(router.params))
  window = $derived(resolve(this.range, this.now))
  from = $derived(iso(this.window.from))
  to = $derived(iso(this.window.to))
  live = $derived(router.get('live') === '1' && this.range.name !== 'custom')
  label = $derived(PRESETS.find((preset) => preset.name === this.range.name)?.label ?? '')

  /** Words for a sentence: `in the last 24 hours`. */
  words = $derived(this.range.name === 'custom' ? 'in this window' : `in the ${this.label.toLowerCase()}`)

  choose(range: Range): void {
    this.refresh()
    set({ ...toParams(range), live: range.name === 'custom' ? null : router.get('live') || null })
  }

  zoom(from: number, to: number): void {
    this.choose({ name: 'custom', window: { from: Math.floor(from), to: Math.ceil(to) } })
  }

  setLive(live: boolean): void {
    this.refresh()
    set({ live: live ? '1' : null }, { replace: true })
  }

  refresh(): void {
    this.now = Date.now()
    this.clock = this.now
  }

  /** Keeps the clocks going; call once. */
  run(): () => void {
    let last = Date.now()
    const timer = setInterval(() => {
      const at = Date.now()
      if (document.hidden) return
      if (at - this.clock >= 10_000) this.clock = at
      if (this.live && at - last >= refreshEvery(this.range)) {
        last = at
        this.refresh()
      }
    }, 1_000)
    return () => clearInterval(timer)
  }
}

export const time = new TimeRange()
