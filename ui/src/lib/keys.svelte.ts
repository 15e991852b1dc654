// Keyboard: one table of shortcuts. Pages add theirs while they are on the screen; `?` shows what there is.

import { untrack } from 'svelte'

export interface Shortcut {
  /** `j`, `Enter`, `Escape`, `?`; two keys in a row as `g o` */
  keys: string
  what: string
  run: (event: KeyboardEvent) => void
}

class Keys {
  groups = $state.raw<{ title: string; shortcuts: Shortcut[] }[]>([])
  private first = ''
  private firstAt = 0

  /** Adds a group for as long as the calling component lives. */
  use(title: string, shortcuts: Shortcut[]): void {
    $effect(() => {
      const group = { title, shortcuts }
      untrack(() => (this.groups = [...this.groups, group]))
      return () => {
        this.groups = this.groups.filter((known) => known !== group)
      }
    })
  }

  handle = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.isComposing) return
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      this.run('Ctrl-K', event)
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const target = event.target as HTMLElement
    const typing = target.closest('input, textarea, select, [contenteditable]') !== null
    if (typing && event.key !== 'Escape') return
    if (document.querySelector('dialog[open]') !== null) return
    // Enter and space belong to a focused button or link
    if ((event.key === 'Enter' || event.key === ' ') && target.closest('a, button, summary, [role=tab]') !== null) return
    const pair = event.timeStamp - this.firstAt < 1_000 ? `${this.first} ${event.key}` : ''
    this.first = event.key
    this.firstAt = event.timeStamp
    if (pair !== '' && this.run(pair, event)) return
    this.run(event.key, event)
  }

  private run(keys: string, event: KeyboardEvent): boolean {
    // the group added last speaks first: an open panel closes before the page does anything
    for (const group of [...this.groups].reverse()) {
      const shortcut = group.shortcuts.find((known) => known.keys === keys)
      if (shortcut) {
        event.preventDefault()
        shortcut.run(event)
        return true
      }
    }
    return false
  }
}

export const keys = new Keys()
