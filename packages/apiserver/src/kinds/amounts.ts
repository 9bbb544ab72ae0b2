import {
  type ExactQuantity,
  formatQuantity,
  canonicalQuantity as known,
  parseQuantity,
} from '@outrigger/kube'

/** A quantity as a whole number of billionths, which is all the precision Kubernetes keeps. */
export type Nanos = bigint

const one = 1_000_000_000n
const remembered = 4096
// Every write has its quantities written anew, and the same few come again and again.
const written = new Map<string | number, string>()

const parse = (quantity: unknown): ExactQuantity | undefined =>
  typeof quantity === 'string' || typeof quantity === 'number' ? parseQuantity(quantity) : undefined

/** The value of a quantity; what is no quantity counts as nothing. */
export function nanosOf(quantity: unknown): Nanos {
  return parse(quantity)?.nanos ?? 0n
}

/** `0.5` and `1024Mi` as Kubernetes writes them: `500m`, `1Gi`. Anything that is no quantity comes back as it was. */
export function canonicalQuantity(quantity: unknown): unknown {
  if (typeof quantity !== 'string' && typeof quantity !== 'number') return quantity
  const before = written.get(quantity)
  if (before !== undefined) return before
  const text = known(quantity)
  if (text === undefined) return quantity
  if (written.size >= remembered) written.clear()
  written.set(quantity, text)
  return text
}

/** The value in the form `like` is written in; in decimal form when that is none. */
export function formatNanos(nanos: Nanos, like: unknown): string {
  return formatQuantity({ nanos, format: parse(like)?.format ?? 'decimal' })
}

/** Whether a quantity is a whole number of units. */
export function isWhole(quantity: unknown): boolean {
  return nanosOf(quantity) % one === 0n
}
