import { parseQuantity, quantityMillis } from '@outrigger/kube'

/** A quantity as the API writes it. */
export type Amount = string | number

/** A quantity as a plain number: cores, bytes or pieces. 0 for none and for one that is not understood. */
export function amountOf(quantity: Amount | undefined): number {
  return quantity === undefined ? 0 : Number(parseQuantity(quantity)?.nanos ?? 0n) / 1e9
}

/** Thousandths, rounded up, as CPUs are counted. 0 for none and for one that is not understood. */
export function millisOf(quantity: Amount | undefined): number {
  return quantity === undefined ? 0 : quantityMillis(quantity)
}
