/**
 * Amounts of resources: `100m`, `1.5Gi`, `2e3`. Held exactly, as a whole number of nanos, the smallest step
 * Kubernetes knows; what is finer is rounded up.
 */
export interface Quantity {
  readonly nanos: bigint
  readonly format: QuantityFormat
}

export type QuantityFormat = 'BinarySI' | 'DecimalSI' | 'DecimalExponent'

/** A text that is no quantity. The message is the one of the real server. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError'
}

const formError =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
const nanosPerUnit = 1_000_000_000n
const nanosPerMilli = 1_000_000n
/** The largest amount, as in Kubernetes: beyond it everything is the same. */
const maxNanos = (2n ** 63n - 1n) * nanosPerUnit

const binaryPowers: Readonly<Record<string, bigint>> = {
  Ki: 10n,
  Mi: 20n,
  Gi: 30n,
  Ti: 40n,
  Pi: 50n,
  Ei: 60n,
}
const decimalPowers: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'] as const
const expression = /^([+-]?)(\d*)(?:\.(\d*))?((?:[KMGTPE]i)|[numkMGTPE]?|(?:[eE][+-]?\d{1,9}))$/
/** More digits than this are no amount of anything. */
const maxLength = 100

/** @throws QuantityError */
export function parseQuantity(value: string | number): Quantity {
  const text = typeof value === 'number' ? formatNumber(value) : value
  if (text === '') throw new QuantityError(formError)
  const match = text.length > maxLength ? null : expression.exec(text)
  const whole = match?.[2] ?? ''
  const fraction = match?.[3] ?? ''
  if (match === null || (whole === '' && fraction === '')) throw new QuantityError(formError)
  const suffix = match[4] ?? ''
  const digits = BigInt(whole + fraction)
  const places = -fraction.length
  const isNegative = match[1] === '-'
  const binary = binaryPowers[suffix]
  if (binary !== undefined) return quantityOf(scaled(digits << binary, places), isNegative, 'BinarySI')
  const decimal = decimalPowers[suffix]
  if (decimal !== undefined) return quantityOf(scaled(digits, places + decimal), isNegative, 'DecimalSI')
  const exponent = Number(suffix.slice(1))
  return quantityOf(scaled(digits, places + exponent), isNegative, 'DecimalExponent')
}

/** The quantity, or undefined for what is none. */
export function tryParseQuantity(value: unknown): Quantity | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  try {
    return parseQuantity(value)
  } catch {
    return undefined
  }
}

function formatNumber(value: number): string {
  return Number.isFinite(value) ? String(value).replace('e+', 'e') : ''
}

/** `digits` times ten to the power of `power`, in nanos, rounded up. */
function scaled(digits: bigint, power: number): bigint {
  const shift = power + 9
  if (digits === 0n) return 0n
  if (shift > 60) return maxNanos
  if (shift >= 0) return digits * 10n ** BigInt(shift)
  if (-shift > maxLength * 2) return 1n
  const divisor = 10n ** BigInt(-shift)
  return (digits + divisor - 1n) / divisor
}

function quantityOf(nanos: bigint, isNegative: boolean, format: QuantityFormat): Quantity {
  const capped = nanos > maxNanos ? maxNanos : nanos
  return { nanos: isNegative ? -capped : capped, format }
}

/** The canonical text: no fraction, the largest suffix that keeps it exact. */
export function formatQuantity(quantity: Quantity): string {
  const { nanos } = quantity
  if (nanos === 0n) return '0'
  if (quantity.format === 'BinarySI' && isWhole(nanos) && abs(nanos) >= 1024n * nanosPerUnit)
    return formatBinary(nanos / nanosPerUnit)
  const { digits, power } = decimalForm(nanos)
  if (quantity.format === 'DecimalExponent') return power === 0 ? `${digits}` : `${digits}e${power}`
  return `${digits}${decimalSuffixes[power / 3 + 3]}`
}

function formatBinary(whole: bigint): string {
  let amount = whole
  let step = 0
  while (amount !== 0n && amount % 1024n === 0n && step < binarySuffixes.length - 1) {
    amount /= 1024n
    step++
  }
  return `${amount}${binarySuffixes[step]}`
}

/** Digits and a power of ten that is a multiple of three, at most 18. */
function decimalForm(nanos: bigint): { digits: bigint; power: number } {
  let digits = nanos
  let power = -9
  while (power < 18 && digits % 1000n === 0n) {
    digits /= 1000n
    power += 3
  }
  return { digits, power }
}

/** Parses and formats: `1000m` becomes `1`, `0.5Gi` becomes `512Mi`. @throws QuantityError */
export function canonicalQuantity(value: string | number): string {
  return formatQuantity(parseQuantity(value))
}

/** Less than, equal to or greater than zero. */
export function compareQuantities(one: Quantity, two: Quantity): number {
  return one.nanos < two.nanos ? -1 : one.nanos > two.nanos ? 1 : 0
}

/** The sum, in the format of the first unless that is zero. */
export function addQuantities(one: Quantity, two: Quantity): Quantity {
  return { nanos: one.nanos + two.nanos, format: one.nanos === 0n ? two.format : one.format }
}

/** The difference, in the format of the first unless that is zero. */
export function subtractQuantities(one: Quantity, two: Quantity): Quantity {
  return { nanos: one.nanos - two.nanos, format: one.nanos === 0n ? two.format : one.format }
}

/** The amount as a number of units (cores, bytes), as near as a number comes. @throws QuantityError */
export function quantityToNumber(value: string | number): number {
  const { nanos } = parseQuantity(value)
  return isWhole(nanos) ? Number(nanos / nanosPerUnit) : Number(nanos) / 1e9
}

/** The amount in thousandths, rounded up as Kubernetes does. @throws QuantityError */
export function quantityMillis(value: string | number): number {
  return Number(divideUp(parseQuantity(value).nanos, nanosPerMilli))
}

/** The amount in whole units, rounded up as `Quantity.Value()` does. @throws QuantityError */
export function quantityValue(value: string | number): number {
  return Number(divideUp(parseQuantity(value).nanos, nanosPerUnit))
}

/** An amount of whole units. */
export function quantityOfUnits(units: number | bigint, format: QuantityFormat = 'DecimalSI'): Quantity {
  return { nanos: BigInt(units) * nanosPerUnit, format }
}

/** An amount of thousandths. */
export function quantityOfMillis(millis: number | bigint): Quantity {
  return { nanos: BigInt(millis) * nanosPerMilli, format: 'DecimalSI' }
}

function isWhole(nanos: bigint): boolean {
  return nanos % nanosPerUnit === 0n
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value
}

/** Away from zero, so that a limit is never lost to rounding. */
function divideUp(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor
  if (value % divisor === 0n) return quotient
  return value > 0n ? quotient + 1n : quotient - 1n
}
