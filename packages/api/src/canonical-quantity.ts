// Quantities as this room needs them: their canonical text, because hashes are made of it. Exact down
// to one billionth, which is the finest a quantity can be.

type Format = 'decimal' | 'binary' | 'exponent'

interface Quantity {
  /** The value in billionths. */
  readonly nano: bigint
  readonly format: Format
}

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d{1,3})$/
const decimalExponents: Readonly<Record<string, number>> = {
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
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/** The text Kubernetes prints for a quantity: `1000m` is `1`, `1.5Gi` is `1536Mi`. What is no quantity stays as it is. */
export function canonicalQuantity(value: string | number): string {
  const quantity = parse(String(value))
  return quantity === undefined ? String(value) : format(quantity)
}

/** Whether the text is a quantity. */
export function isQuantity(value: unknown): value is string | number {
  return (typeof value === 'string' || typeof value === 'number') && parse(String(value)) !== undefined
}

/** -1, 0 or 1 as `left` is less than, equal to or greater than `right`; both must be quantities. */
export function compareQuantities(left: string | number, right: string | number): number {
  const difference = (parse(String(left))?.nano ?? 0n) - (parse(String(right))?.nano ?? 0n)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The quantity rounded up to thousandths; the very value given if it is that coarse already or is no quantity. */
export function roundedUpToMilli(value: string | number): string | number {
  const quantity = parse(String(value))
  if (quantity === undefined || quantity.nano % 1_000_000n === 0n) return value
  const milli = quantity.nano / 1_000_000n + (quantity.nano > 0n ? 1n : 0n)
  return format({ ...quantity, nano: milli * 1_000_000n })
}

function parse(source: string): Quantity | undefined {
  const match = pattern.exec(source)
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match
  if (whole === '' && fraction === '') return undefined
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n)
  const binary = binarySuffixes.indexOf(suffix)
  if (binary > 0)
    return { nano: scaled(digits * 1024n ** BigInt(binary), 9 - fraction.length), format: 'binary' }
  const decimal = decimalExponents[suffix]
  if (decimal !== undefined) return { nano: scaled(digits, decimal + 9 - fraction.length), format: 'decimal' }
  return { nano: scaled(digits, Number(suffix.slice(1)) + 9 - fraction.length), format: 'exponent' }
}

/** `value * 10^exponent`, away from zero where that is no integer. */
function scaled(value: bigint, exponent: number): bigint {
  if (exponent >= 0) return value * 10n ** BigInt(exponent)
  const divisor = 10n ** BigInt(-exponent)
  const quotient = value / divisor
  if (value % divisor === 0n) return quotient
  return quotient + (value > 0n ? 1n : -1n)
}

const one = 1_000_000_000n

function format({ nano, format }: Quantity): string {
  if (nano === 0n) return '0'
  const isSmall = nano > -1024n * one && nano < 1024n * one
  if (format === 'binary' && !isSmall && nano % one === 0n) return formatBinary(nano / one)
  let value = nano
  let step = 0
  while (value % 1000n === 0n && step < decimalSuffixes.length - 1) {
    value /= 1000n
    step++
  }
  if (format !== 'exponent') return `${value}${decimalSuffixes[step]}`
  return step === 3 ? `${value}` : `${value}e${3 * step - 9}`
}

function formatBinary(units: bigint): string {
  let value = units
  let step = 0
  while (value % 1024n === 0n && step < binarySuffixes.length - 1) {
    value /= 1024n
    step++
  }
  return `${value}${binarySuffixes[step]}`
}
