// What one person prefers on this machine: theme, UTC or local, chart or table. Kept in localStorage when there is one.

export type Theme = 'system' | 'light' | 'dark'

function stored(name: string): string | null {
  try {
    return localStorage.getItem(`bartizan.${name}`)
  } catch {
    return null // storage is switched off
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(`bartizan.${name}`, value)
  } catch {
    // storage is switched off: the choice lasts until the page is closed
  }
}

const system = matchMedia('(prefers-color-scheme: dark)')
const themeOf = (text: string | null): Theme => (text === 'light' || text === 'dark' ? text : 'system')

class Prefs {
  theme = $state<Theme>(themeOf(stored('theme')))
  utc = $state(stored('zone') !== 'local')
  systemDark = $state(system.matches)
  dark = $derived(this.theme === 'system' ? this.systemDark : this.theme === 'dark')

  constructor() {
    system.addEventListener('change', () => {
      this.systemDark = system.matches
      this.apply()
    })
  }

  setTheme(theme: Theme): void {
    this.theme = theme
    store('theme', theme)
    this.apply()
  }

  setUtc(utc: boolean): void {
    this.utc = utc
    store('zone', utc ? 'utc' : 'local')
  }

  private apply(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light'
  }
}

export const prefs = new Prefs()
