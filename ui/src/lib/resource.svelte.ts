// One GET as state. The address is a function: when what it reads changes, the old call is given up and a new one
// made. What was there stays on the screen meanwhile, unless the subject itself changed.

import { asApiError, call, type ApiError } from './api'

export class Resource<T> {
  data = $state.raw<T | undefined>(undefined)
  error = $state.raw<ApiError | undefined>(undefined)
  loading = $state(true)
  private again = $state(0)
  private subject: string | undefined

  /** `subjectOf` names what the data is about; a new subject clears the old one's data at once. */
  constructor(address: () => string | null, subjectOf: () => string = () => '') {
    $effect(() => {
      const path = address()
      void this.again
      const subject = subjectOf()
      if (subject !== this.subject) {
        this.subject = subject
        this.data = undefined
        this.error = undefined
      }
      if (path === null) {
        this.loading = false
        return
      }
      const controller = new AbortController()
      this.loading = true
      call<T>('GET', path, { signal: controller.signal }).then(
        (data) => {
          if (controller.signal.aborted) return
          this.data = data
          this.error = undefined
          this.loading = false
        },
        (error: unknown) => {
          if (controller.signal.aborted) return
          this.error = asApiError(error)
          this.loading = false
        },
      )
      return () => controller.abort()
    })
  }

  retry = (): void => {
    this.again += 1
  }
}
