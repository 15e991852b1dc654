// A long list by offset, loaded in pages as they come into sight.

import { asApiError, call, type ApiError } from './api'

export class Pages<T, R extends { items: T[]; total: number }> {
  /** The newest answer, for what else it carries (facets) */
  head = $state.raw<R | undefined>(undefined)
  error = $state.raw<ApiError | undefined>(undefined)
  loading = $state(true)
  total = $state(0)
  private rows = $state.raw<(T | undefined)[]>([])
  private asked = new Set<number>()
  private controller = new AbortController()
  private subject: string | undefined
  private again = $state(0)

  /** `address` gives the path for an offset; what it reads decides when to start anew. */
  constructor(
    private readonly address: (offset: number, limit: number) => string,
    private readonly limit = 200,
  ) {
    $effect(() => {
      const first = this.address(0, this.limit)
      void this.again
      // rows of another query must not show under this one; the same query asked again keeps its rows meanwhile
      const fresh = first !== this.subject
      this.subject = first
      this.controller.abort()
      this.controller = new AbortController()
      this.asked = new Set()
      this.loading = true
      this.load(0, fresh)
      return () => this.controller.abort()
    })
  }

  at = (index: number): T | undefined => this.rows[index]

  see = (first: number, last: number): void => {
    for (let page = Math.floor(first / this.limit); page * this.limit < last; page += 1) {
      if (page * this.limit < this.total && this.rows[page * this.limit] === undefined) this.load(page, false)
    }
  }

  retry = (): void => {
    this.again += 1
  }

  indexOf(test: (row: T) => boolean): number {
    return this.rows.findIndex((row) => row !== undefined && test(row))
  }

  private load(page: number, fresh: boolean): void {
    if (this.asked.has(page)) return
    this.asked.add(page)
    const { signal } = this.controller
    call<R>('GET', this.address(page * this.limit, this.limit), { signal }).then(
      (answer) => {
        if (signal.aborted) return
        const rows = page === 0 || fresh ? [] : [...this.rows]
        rows.length = answer.total
        answer.items.forEach((item, at) => (rows[page * this.limit + at] = item))
        this.rows = rows
        this.total = answer.total
        if (page === 0) this.head = answer
        this.error = undefined
        this.loading = false
      },
      (error: unknown) => {
        if (signal.aborted) return
        this.asked.delete(page)
        this.error = asApiError(error)
        this.loading = false
      },
    )
  }
}
