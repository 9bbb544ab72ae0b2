import type { Clock } from './clock.ts'

/** The machine's clock. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  after(delay: number, action: () => void): () => void {
    const timer = setTimeout(action, Math.max(0, delay))
    timer.unref()
    return () => clearTimeout(timer)
  }

  sleep(delay: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        Math.max(0, delay),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}
