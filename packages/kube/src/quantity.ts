/**
 * A resource quantity: an exact number and the family of suffixes it is written in. Kept in billionths,
 * the finest step Kubernetes knows. Source: apimachinery `resource.Quantity`.
 */
export interface ExactQuantity {
  readonly nanos: bigint
  readonly format: 'decimal' | 'binary' | 'exponent'
}

const one = 1_000_000_000n
const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?$/
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/** Longer texts than any honest quantity are refused unread. */
const longest = 64
/** The largest amount, as in Kubernetes: beyond it everything is the same. */
const most = (2n ** 63n - 1n) * one
const remembered = 4_096
// The same few texts come again and again; the bound keeps a hostile client from growing it.
const known = new Map<string, ExactQuantity | undefined>()

/** The quantity a text or number stands for, rounded up to billionths; undefined when it stands for none. */
export function parseQuantity(value: string | number): ExactQuantity | undefined {
  const text = typeof value === 'number' ? String(value).replace('e+', 'e') : value
  if (known.has(text)) return known.get(text)
  const quantity = text.length > longest ? undefined : parse(text)
  if (known.size >= remembered) known.clear()
  if (text.length <= longest) known.set(text, quantity)
  return quantity
}

function parse(text: string): ExactQuantity | undefined {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', exponent, suffix = ''] = match
  if (whole === '' && fraction === '') return undefined
  const scale = scaleOf(exponent, suffix)
  if (scale === undefined) return undefined
  const numerator = BigInt(`${whole}${fraction}`) * one * scale.times
  const denominator = 10n ** BigInt(fraction.length) * scale.over
  // Rounded away from zero: a request is never made smaller than it was written.
  const rounded = (numerator + denominator - 1n) / denominator
  const nanos = rounded > most ? most : rounded
  return { nanos: sign === '-' ? -nanos : nanos, format: scale.format }
}

interface Scale {
  readonly times: bigint
  readonly over: bigint
  readonly format: ExactQuantity['format']
}

function scaleOf(exponent: string | undefined, suffix: string): Scale | undefined {
  if (exponent !== undefined) {
    const power = Number(exponent)
    if (Math.abs(power) > 36) return undefined
    return { ...powerOfTen(power), format: 'exponent' }
  }
  const binary = binarySuffixes.indexOf(suffix)
  if (binary > 0) return { times: 1024n ** BigInt(binary), over: 1n, format: 'binary' }
  return { ...powerOfTen((decimalSuffixes.indexOf(suffix) - 3) * 3), format: 'decimal' }
}

function powerOfTen(power: number): { readonly times: bigint; readonly over: bigint } {
  return power < 0 ? { times: 1n, over: 10n ** BigInt(-power) } : { times: 10n ** BigInt(power), over: 1n }
}

/**
 * The canonical text: the largest suffix of its family that leaves a whole number. A binary quantity
 * below 1024, or with a fraction, is written in the decimal family.
 */
export function formatQuantity(quantity: ExactQuantity): string {
  const { nanos, format } = quantity
  if (nanos === 0n) return '0'
  const sign = nanos < 0n ? '-' : ''
  const size = nanos < 0n ? -nanos : nanos
  if (format === 'binary' && size >= 1024n * one && size % one === 0n) {
    let units = size / one
    let step = 0
    while (units % 1024n === 0n && step < binarySuffixes.length - 1) {
      units /= 1024n
      step++
    }
    return `${sign}${units}${binarySuffixes[step]}`
  }
  let units = size
  let step = 0
  while (units % 1000n === 0n && step < decimalSuffixes.length - 1) {
    units /= 1000n
    step++
  }
  if (format !== 'exponent') return `${sign}${units}${decimalSuffixes[step]}`
  const power = (step - 3) * 3
  return power === 0 ? `${sign}${units}` : `${sign}${units}e${power}`
}

/** The canonical text of a quantity given as text, or undefined when it is none. */
export function canonicalQuantity(value: string | number): string | undefined {
  const quantity = parseQuantity(value)
  return quantity && formatQuantity(quantity)
}

/** Negative, zero or positive as `left` is less than, equal to or more than `right`. Unreadable counts as zero. */
export function compareQuantities(left: string | number, right: string | number): number {
  const difference = nanosOf(left) - nanosOf(right)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The sum, written in the family of the first that is not zero. Unreadable counts as zero. */
export function addQuantities(left: string | number, right: string | number): string {
  return combine(left, right, nanosOf(left) + nanosOf(right))
}

/** The difference, written in the family of `left` unless that is zero. Unreadable counts as zero. */
export function subtractQuantities(left: string | number, right: string | number): string {
  return combine(left, right, nanosOf(left) - nanosOf(right))
}

/** The larger of two. */
export function maxQuantity(left: string | number, right: string | number): string | number {
  return compareQuantities(left, right) >= 0 ? left : right
}

/** Whole units, rounded up: bytes, pods, devices. 0 when it is no quantity. */
export function quantityToNumber(value: string | number): number {
  return Number(divideUp(nanosOf(value), one))
}

/** Units with their fraction, as near as a number comes: cores. 0 when it is no quantity. */
export function quantityToFraction(value: string | number): number {
  return Number(nanosOf(value)) / 1e9
}

/** Thousandths, rounded up, as CPU is counted. 0 when it is no quantity. */
export function quantityMillis(value: string | number): number {
  return Number(divideUp(nanosOf(value), 1_000_000n))
}

function combine(left: string | number, right: string | number, nanos: bigint): string {
  const first = parseQuantity(left)
  const format =
    (first === undefined || first.nanos === 0n ? parseQuantity(right)?.format : first.format) ?? 'decimal'
  return formatQuantity({ nanos, format })
}

function nanosOf(value: string | number): bigint {
  return parseQuantity(value)?.nanos ?? 0n
}

function divideUp(nanos: bigint, by: bigint): bigint {
  if (nanos >= 0n) return (nanos + by - 1n) / by
  // Away from zero on this side as well.
  return -((-nanos + by - 1n) / by)
}

/** What the real server says about a text that is no quantity. */
export const quantityFormMessage =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
