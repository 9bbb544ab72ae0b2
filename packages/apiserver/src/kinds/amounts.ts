/** A quantity as a whole number of billionths, which is all the precision Kubernetes keeps. */
export type Nanos = bigint

const one = 1_000_000_000n
const pattern = /^([+-]?)(\d+)?(?:\.(\d*))?(?:([eE])([+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?$/
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'] as const
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const

interface Amount {
  readonly nanos: Nanos
  readonly format: 'decimal' | 'binary' | 'exponent'
}

// The same few texts come again and again; a bound keeps a hostile client from growing it.
const parsed = new Map<string, Amount | undefined>()
const canonical = new Map<string, string>()
const remembered = 4096

function parse(text: string): Amount | undefined {
  if (parsed.has(text)) return parsed.get(text)
  const amount = text.length > 64 ? undefined : parseFresh(text)
  if (parsed.size >= remembered) parsed.clear()
  parsed.set(text, amount)
  return amount
}

function parseFresh(text: string): Amount | undefined {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', exponentMark, exponent, suffix = ''] = match
  if (whole === '' && fraction === '') return undefined
  const digits = BigInt(`${whole}${fraction}` || '0')
  let numerator = digits * one
  let denominator = 10n ** BigInt(fraction.length)
  const binary = binarySuffixes.indexOf(suffix as 'Ki')
  if (exponentMark !== undefined) {
    const power = Number(exponent)
    if (Math.abs(power) > 30) return undefined
    if (power < 0) denominator *= 10n ** BigInt(-power)
    else numerator *= 10n ** BigInt(power)
  } else if (binary > 0) numerator *= 1024n ** BigInt(binary)
  else {
    const power = decimalSuffixes.indexOf(suffix as 'm') - 3
    if (power < 0) denominator *= 1000n ** BigInt(-power)
    else numerator *= 1000n ** BigInt(power)
  }
  // Anything finer than a billionth is rounded up (away from zero), as resource.Quantity does.
  const nanos = (numerator + denominator - 1n) / denominator
  return {
    nanos: sign === '-' ? -nanos : nanos,
    format: exponentMark !== undefined ? 'exponent' : binary > 0 ? 'binary' : 'decimal',
  }
}

/** The value of a quantity, or undefined when the text is none. */
export function parseNanos(quantity: unknown): Nanos | undefined {
  if (typeof quantity === 'number') return parse(String(quantity))?.nanos
  return typeof quantity === 'string' ? parse(quantity)?.nanos : undefined
}

/** The value of a quantity; what is no quantity counts as nothing. */
export function nanosOf(quantity: unknown): Nanos {
  return parseNanos(quantity) ?? 0n
}

/** `0.5` and `1024Mi` as Kubernetes writes them: `500m`, `1Gi`. Anything that is no quantity comes back as it was. */
export function canonicalQuantity(quantity: unknown): unknown {
  const text = typeof quantity === 'number' ? String(quantity) : quantity
  if (typeof text !== 'string') return quantity
  const known = canonical.get(text)
  if (known !== undefined) return known
  const amount = parse(text)
  if (amount === undefined) return quantity
  const written = formatAmount(amount)
  if (canonical.size >= remembered) canonical.clear()
  canonical.set(text, written)
  return written
}

/** The value in decimal form, or binary when it is whole and `like` was. */
export function formatNanos(nanos: Nanos, like: unknown): string {
  const format = (typeof like === 'string' ? parse(like)?.format : undefined) ?? 'decimal'
  return formatAmount({ nanos, format })
}

function formatAmount({ nanos, format }: Amount): string {
  if (nanos === 0n) return '0'
  const sign = nanos < 0n ? '-' : ''
  let rest = nanos < 0n ? -nanos : nanos
  if (format === 'binary' && rest % one === 0n && rest >= 1024n * one) {
    rest /= one
    let power = 0
    while (rest % 1024n === 0n && power < binarySuffixes.length - 1) {
      rest /= 1024n
      power++
    }
    return `${sign}${rest}${binarySuffixes[power]}`
  }
  let power = 0
  while (rest % 1000n === 0n && power < decimalSuffixes.length - 1) {
    rest /= 1000n
    power++
  }
  if (format !== 'exponent') return `${sign}${rest}${decimalSuffixes[power]}`
  return power === 3 ? `${sign}${rest}` : `${sign}${rest}e${(power - 3) * 3}`
}

/** Whole units, rounded up: bytes of memory, number of pods. */
export function unitsOf(quantity: unknown): number {
  const nanos = nanosOf(quantity)
  return Number(nanos > 0n ? (nanos + one - 1n) / one : nanos / one)
}

/** Whether a quantity is a whole number of units. */
export function isWhole(quantity: unknown): boolean {
  return nanosOf(quantity) % one === 0n
}
