import { formatQuantity, parseQuantity } from '@outrigger/kube'

const milli = 1_000_000n

/** The quantity rounded up to thousandths; the very value given if it is that coarse already or is no quantity. */
export function roundedUpToMilli(value: string | number): string | number {
  const quantity = parseQuantity(value)
  if (quantity === undefined || quantity.nanos % milli === 0n) return value
  const thousandths = quantity.nanos / milli + (quantity.nanos > 0n ? 1n : 0n)
  return formatQuantity({ ...quantity, nanos: thousandths * milli })
}
