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
    return startTimer(delay, action, { keepsProcess: false })
  }

  sleep(delay: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        cancel()
        reject(signal?.reason)
      }
      const onTime = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const cancel = startTimer(delay, onTime, { keepsProcess: true })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}

/** Node takes a delay that does not fit 31 bits (25 days) for none at all. */
const longestTimer = 2 ** 31 - 1

/** Waits in stages where one timer is not enough. Answers with what takes it back. */
function startTimer(
  delay: number,
  action: () => void,
  { keepsProcess }: { readonly keepsProcess: boolean },
): () => void {
  let timer: ReturnType<typeof setTimeout>
  const wait = (left: number) => {
    const isLast = left <= longestTimer
    timer = setTimeout(
      isLast ? action : () => wait(left - longestTimer),
      isLast ? Math.max(0, left) : longestTimer,
    )
    if (!keepsProcess) timer.unref()
  }
  wait(delay)
  return () => clearTimeout(timer)
}
