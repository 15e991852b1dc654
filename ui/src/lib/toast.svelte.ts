// Short notices at the lower edge: what was done, in one sentence.

export interface Toast {
  id: number
  kind: 'done' | 'failed'
  text: string
}

class Toasts {
  list = $state.raw<Toast[]>([])
  private next = 1

  show(kind: Toast['kind'], text: string): void {
    const toast = { id: this.next, kind, text }
    this.next += 1
    this.list = [...this.list, toast].slice(-3)
    setTimeout(() => this.dismiss(toast.id), kind === 'done' ? 4_000 : 8_000)
  }

  dismiss(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id)
  }
}

export const toasts = new Toasts()

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    toasts.show('done', `Copied ${what}`)
  } catch {
    toasts.show('failed', `The browser did not allow copying ${what}`)
  }
}
