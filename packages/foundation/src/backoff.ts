import type { Random } from './random.ts'

export interface BackoffOptions {
  /** The first pause, in milliseconds. */
  readonly initial: number
  /** No pause is longer, in milliseconds. */
  readonly max: number
  /** Each pause is this many times the one before. Defaults to 2. */
  readonly factor?: number
  /** Share of a pause that is drawn by chance, 0 to 1: pauses lie in [p, p * (1 + jitter)]. Defaults to 0. */
  readonly jitter?: number
}

/**
 * The pause before attempt number `failures + 1`, in milliseconds, where `failures` >= 1 counts the
 * failures in a row so far.
 */
export function backoffDelay(options: BackoffOptions, failures: number, random?: Random): number {
  const factor = options.factor ?? 2
  const plain = Math.min(options.max, options.initial * factor ** Math.max(0, failures - 1))
  return plain * (1 + (options.jitter ?? 0) * (random?.next() ?? 0))
}
