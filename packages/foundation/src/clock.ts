/**
 * The only way time enters the program. A component that waits, measures or stamps is handed a
 * `Clock`; `SystemClock` is chosen in `apps/`, `ManualClock` (`@outrigger/foundation/testing`) in tests.
 */
export interface Clock {
  /** Wall time in milliseconds since 1970. May jump; use it for stamps, never for durations. */
  now(): number
  /** Milliseconds on a clock that never jumps. Only differences mean anything. */
  monotonic(): number
  /**
   * Calls `action` once after `delay` milliseconds (0 or less: in a later turn of the event loop).
   * The returned function cancels it and may be called at any time, repeatedly. A pending timer
   * does not keep the process alive by itself.
   */
  after(delay: number, action: () => void): () => void
  /**
   * Resolves after `delay` milliseconds. Rejects with the signal's reason as soon as `signal` aborts.
   */
  sleep(delay: number, signal?: AbortSignal): Promise<void>
}

/** RFC 3339 in whole seconds, as Kubernetes' `metav1.Time` is written: `2026-01-02T03:04:05Z`. */
export function formatTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
}

/** RFC 3339 with microseconds, as Kubernetes' `metav1.MicroTime` is written. */
export function formatMicroTime(milliseconds: number): string {
  const whole = Math.floor(milliseconds)
  const micros = Math.floor((milliseconds - whole) * 1000)
  return `${new Date(whole).toISOString().slice(0, 23)}${String(micros).padStart(3, '0')}Z`
}

/** Milliseconds since 1970 of an RFC 3339 text; NaN when it is not one. */
export function parseTime(text: string): number {
  return Date.parse(text)
}
