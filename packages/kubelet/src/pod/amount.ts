import type { Quantity } from '@outrigger/kube'

const factors: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A quantity as a plain number: cores, bytes or pieces. 0 for none and for one that is not understood. */
export function amountOf(quantity: Quantity | undefined): number {
  if (quantity === undefined) return 0
  const match = /^([+-]?[\d.]+)(?:[eE]([+-]?\d+))?([A-Za-z]*)$/.exec(String(quantity))
  if (match === null) return 0
  const factor = factors[match[3] ?? '']
  return factor === undefined ? 0 : Number(match[1]) * 10 ** Number(match[2] ?? 0) * factor
}

/** Thousandths of a CPU, rounded up. */
export function millisOf(quantity: Quantity | undefined): number {
  return Math.ceil(Number((amountOf(quantity) * 1000).toFixed(6)))
}
