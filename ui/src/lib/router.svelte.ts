// The page's address as state: path and parameters over the History API. Everything that can be sent to a colleague
// (time range, filters, sort, columns, what is open) lives here.

const STICKY = ['range', 'from', 'to', 'live'] // carried from page to page

class Router {
  path = $state(location.pathname)
  search = $state(location.search)
  params = $derived(new URLSearchParams(this.search))

  read(): void {
    this.path = location.pathname
    this.search = location.search
  }

  get(name: string): string {
    return this.params.get(name) ?? ''
  }

  all(name: string): string[] {
    return this.params.getAll(name)
  }
}

export const router = new Router()

export type Params = Record<string, string | number | string[] | null | undefined>

function write(into: URLSearchParams, changes: Params): URLSearchParams {
  for (const [name, value] of Object.entries(changes)) {
    into.delete(name)
    if (Array.isArray(value)) for (const one of value) into.append(name, one)
    else if (value !== null && value !== undefined && value !== '') into.set(name, String(value))
  }
  return into
}

function print(path: string, params: URLSearchParams): string {
  // the query language reads better in the address bar with these left as they are
  const text = params.toString().replaceAll('%3A', ':').replaceAll('%2F', '/').replaceAll('%2C', ',')
  return text === '' ? path : `${path}?${text}`
}

/** The address of `path`, keeping the time range of this page. */
export function to(path: string, params: Params = {}): string {
  const kept = new URLSearchParams()
  for (const name of STICKY) {
    const value = router.params.get(name)
    if (value !== null) kept.set(name, value)
  }
  return print(path, write(kept, params))
}

/** This page's address with some parameters changed. */
export function here(changes: Params): string {
  return print(router.path, write(new URLSearchParams(router.search), changes))
}

export function navigate(href: string, options: { replace?: boolean } = {}): void {
  if (href === location.pathname + location.search) return
  const before = router.path
  if (options.replace) history.replaceState(null, '', href)
  else history.pushState(null, '', href)
  router.read()
  if (router.path !== before) document.getElementById('main')?.focus({ preventScroll: true })
}

/** Changes parameters of this page; `replace` for typing and other steps nobody wants to go back to one by one. */
export function set(changes: Params, options: { replace?: boolean } = {}): void {
  navigate(here(changes), options)
}

/** Follows plain clicks on links within the console without loading the page again. */
function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const link = (event.target as Element | null)?.closest?.('a[href]')
  if (!(link instanceof HTMLAnchorElement) || link.target || link.origin !== location.origin || link.hasAttribute('download') || link.pathname.startsWith('/api/')) return
  event.preventDefault()
  navigate(link.pathname + link.search)
}

export function listen(): () => void {
  const read = (): void => router.read()
  addEventListener('popstate', read)
  document.addEventListener('click', follow)
  return () => {
    removeEventListener('popstate', read)
    document.removeEventListener('click', follow)
  }
}
