// Who is signed in.

import { ApiError, asApiError, call, setCsrf, whenExpired } from './api'
import type { Session } from './types'

type State = 'loading' | 'setup' | 'signed_out' | 'signed_in' | 'unreachable'

class Who {
  state = $state<State>('loading')
  user = $state.raw<Session['user'] | null>(null)
  /** Why the person has to sign in again, if they were signed in before */
  expired = $state(false)
  fault = $state.raw<ApiError | null>(null)

  constructor() {
    whenExpired(() => {
      if (this.state !== 'signed_in') return
      this.expired = true
      this.state = 'signed_out'
    })
  }

  private enter(session: Session): void {
    setCsrf(session.csrf)
    this.user = session.user
    this.expired = false
    this.state = 'signed_in'
  }

  async load(): Promise<void> {
    this.state = 'loading'
    try {
      this.enter(await call<Session>('GET', '/session'))
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.state = error.extra['setup_needed'] === true ? 'setup' : 'signed_out'
      } else {
        this.fault = asApiError(error)
        this.state = 'unreachable'
      }
    }
  }

  async signIn(name: string, password: string): Promise<void> {
    this.enter(await call<Session>('POST', '/session', { body: { name, password } }))
  }

  async setUp(token: string, name: string, password: string): Promise<void> {
    this.enter(await call<Session>('POST', '/setup', { body: { token, name, password } }))
  }

  async signOut(): Promise<void> {
    try {
      await call('DELETE', '/session')
    } finally {
      this.user = null
      this.state = 'signed_out'
    }
  }
}

export const who = new Who()
