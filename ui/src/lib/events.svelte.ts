// Events as a list that grows downwards by cursor, and the live tail that grows upwards.

import { asApiError, BASE, call, url, type ApiError } from './api'
import { word } from './words'
import type { EventFacets, EventPage, EventRow, FacetValue, Outcome } from './types'

const LIMIT = 200

/** allowed, observed, denied and errors partition all events: the same rule as the server's. */
export function outcomeOf(event: Pick<EventRow, 'decision' | 'applied' | 'ending' | 'status'>): Outcome {
  if (event.decision === 'deny') return event.applied ? 'denied' : 'observed'
  if ((event.ending !== 'answered' && event.ending !== 'stopped') || event.status >= 500) return 'errors'
  return 'allowed'
}

/** The value of a row's field as the query language writes it; null when there is none to filter by. */
export function fieldValue(row: EventRow, field: string): string | null {
  if (field === 'outcome') return outcomeOf(row)
  const value = row[field as keyof EventRow]
  if (Array.isArray(value)) return value[0] ?? (field === 'auth' ? 'none' : null)
  return value === null || value === undefined || value === '' ? null : String(value)
}

/** The values of a facet as the query language writes them; events without a value are `none` or empty. */
export function facetValues(facets: EventFacets, field: string): FacetValue[] {
  const absent = field === 'auth' || field === 'missing' ? 'none' : ''
  return (facets[field] ?? []).map(({ value, count }) => ({ value: value === null || value === '' ? absent : String(value), count }))
}

export function fieldText(row: EventRow, field: string): string {
  const value = row[field as keyof EventRow]
  if (Array.isArray(value)) return value.length === 0 ? (field === 'auth' ? 'None' : '–') : value.map((one) => word(field, one)).join(', ')
  return value === null || value === undefined || value === '' ? '–' : word(field, String(value))
}

export class EventList {
  rows = $state.raw<EventRow[]>([])
  next = $state<string | null>(null)
  error = $state.raw<ApiError | undefined>(undefined)
  /** The first page of this question has not come yet */
  loading = $state(true)
  loaded = $state(false)
  private more = false
  private again = $state(0)
  private subject: string | undefined
  private controller = new AbortController()

  constructor(
    private readonly params: () => { from: string; to: string; q: string } | null,
    subjectOf: () => string,
  ) {
    $effect(() => {
      const asked = this.params()
      void this.again
      const subject = subjectOf()
      if (subject !== this.subject) {
        this.subject = subject
        this.rows = []
        this.loaded = false
      }
      this.controller.abort()
      this.controller = new AbortController()
      this.more = false
      if (asked === null) return
      this.loading = true
      this.load(asked, null)
      return () => this.controller.abort()
    })
  }

  at = (index: number): EventRow | undefined => this.rows[index]

  see = (_first: number, last: number): void => {
    const asked = this.params()
    if (asked === null || this.next === null || this.more || this.loading || last < this.rows.length - 40) return
    this.more = true
    this.load(asked, this.next)
  }

  retry = (): void => {
    this.again += 1
  }

  private load(asked: { from: string; to: string; q: string }, cursor: string | null): void {
    const { signal } = this.controller
    call<EventPage>('GET', url('/events', { ...asked, limit: LIMIT, cursor }), { signal }).then(
      (page) => {
        if (signal.aborted) return
        this.rows = cursor === null ? page.items : [...this.rows, ...page.items]
        this.next = page.next
        this.error = undefined
        this.loading = false
        this.loaded = true
        this.more = false
      },
      (error: unknown) => {
        if (signal.aborted) return
        this.error = asApiError(error)
        this.loading = false
        this.more = false
        this.next = null
      },
    )
  }
}

// LIMIT: rows kept by the live tail; older ones leave at the end.
const TAIL_MAX = 1_000

export class Tail {
  rows = $state.raw<EventRow[]>([])
  /** Rows that came while paused */
  waiting = $state(0)
  missed = $state(0)
  paused = $state(false)
  state = $state<'connecting' | 'open' | 'broken'>('connecting')
  private held: EventRow[] = []

  constructor(on: () => boolean, q: () => string) {
    $effect(() => {
      if (!on()) return
      const query = q()
      this.rows = []
      this.held = []
      this.waiting = 0
      this.missed = 0
      this.paused = false
      this.state = 'connecting'
      const source = new EventSource(BASE + url('/events/live', { q: query }))
      source.addEventListener('open', () => (this.state = 'open'))
      source.addEventListener('error', () => (this.state = 'broken')) // the browser tries again by itself
      source.addEventListener('exchange', (event) => this.held.push(JSON.parse((event as MessageEvent<string>).data) as EventRow))
      source.addEventListener('lagged', (event) => (this.missed += Number((JSON.parse((event as MessageEvent<string>).data) as { missed: number }).missed)))
      // a few times a second is enough for eyes, whatever the traffic
      const timer = setInterval(() => {
        if (this.held.length > TAIL_MAX) {
          this.missed += this.held.length - TAIL_MAX
          this.held = this.held.slice(-TAIL_MAX)
        }
        if (this.paused) this.waiting = this.held.length
        else this.flush()
      }, 250)
      return () => {
        source.close()
        clearInterval(timer)
      }
    })
  }

  at = (index: number): EventRow | undefined => this.rows[index]

  toggle(): void {
    this.paused = !this.paused
    if (!this.paused) this.flush()
  }

  private flush(): void {
    this.waiting = 0
    if (this.held.length === 0) return
    this.rows = [...this.held.reverse(), ...this.rows].slice(0, TAIL_MAX)
    this.held = []
  }
}
