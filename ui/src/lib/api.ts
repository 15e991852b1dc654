// The console's HTTP API: one function for all calls. Failures are ApiErrors that say what happened and carry what
// the server advised.

export const BASE = '/api/v1'

export class ApiError extends Error {
  override readonly name = 'ApiError'
  constructor(
    /** HTTP status; 0 when no answer came */
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly extra: Record<string, unknown> = {},
    /** Seconds until another try makes sense; from Retry-After */
    readonly retryAfter: number | null = null,
  ) {
    super(detail || title)
  }
}

/** Whatever was thrown, as an ApiError: one of ours as it is, anything else as a fault of this page. */
export function asApiError(thrown: unknown): ApiError {
  return thrown instanceof ApiError ? thrown : new ApiError(0, 'fault', String(thrown))
}

/** What went wrong, for people. */
export function faultWords(error: unknown): string {
  return error instanceof ApiError ? error.message : String(error)
}

let csrf = ''
let onExpired: () => void = () => undefined

export function setCsrf(token: string): void {
  csrf = token
}

/** Called when a call was refused because nobody is signed in any more. */
export function whenExpired(callback: () => void): void {
  onExpired = callback
}

interface Options {
  body?: unknown
  signal?: AbortSignal
}

export async function call<T>(method: 'GET' | 'POST' | 'DELETE', path: string, options: Options = {}): Promise<T> {
  let response: Response
  try {
    response = await fetch(BASE + path, {
      method,
      credentials: 'same-origin',
      headers: {
        accept: 'application/json',
        ...(method === 'GET' ? {} : { 'x-bartizan-csrf': csrf }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? null,
    })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'no answer', 'Bartizan does not answer. Traffic through the gateway does not depend on this page.')
  }
  if (response.ok) {
    if (response.status === 204) return undefined as T
    try {
      return (await response.json()) as T
    } catch {
      throw new ApiError(response.status, 'unreadable answer', `the answer to ${path.split('?')[0]} is not JSON`)
    }
  }
  const problem = await problemOf(response)
  if (response.status === 401 && !path.startsWith('/session') && !path.startsWith('/setup')) onExpired()
  throw problem
}

async function problemOf(response: Response): Promise<ApiError> {
  const wait = Number(response.headers.get('retry-after'))
  const retryAfter = Number.isFinite(wait) && wait > 0 ? wait : null
  try {
    const body = (await response.json()) as Record<string, unknown>
    return new ApiError(response.status, String(body['title'] ?? response.statusText), String(body['detail'] ?? ''), body, retryAfter)
  } catch {
    return new ApiError(response.status, response.statusText || `status ${response.status}`, '', {}, retryAfter)
  }
}

/** A path with query parameters; absent values are left out, lists repeat. */
export function url(path: string, params: Record<string, string | number | string[] | null | undefined>): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    if (Array.isArray(value)) for (const one of value) search.append(name, one)
    else if (value !== null && value !== undefined && value !== '') search.set(name, String(value))
  }
  const text = search.toString()
  return text === '' ? path : `${path}?${text}`
}
