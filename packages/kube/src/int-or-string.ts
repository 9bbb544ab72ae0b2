/** What is no number and no percentage. The message is the one of `k8s.io/apimachinery/pkg/util/intstr`. */
export class IntOrStringError extends Error {
  override readonly name = 'IntOrStringError'
}

/**
 * A number as it is, a percentage (`25%`) of `total`, rounded up or down.
 *
 * @throws IntOrStringError for any other text.
 */
export function scaledValue(value: number | string, total: number, rounding: 'up' | 'down'): number {
  if (typeof value === 'number') return value
  const percent = parsePercent(value)
  // Multiplied first, as in Go: 7% of 100 must be 7, not 7.000000000000001.
  const exact = (percent * total) / 100
  return rounding === 'up' ? Math.ceil(exact) : Math.floor(exact)
}

/** The number before the percent sign. @throws IntOrStringError */
export function parsePercent(value: string): number {
  if (!value.endsWith('%'))
    throw new IntOrStringError('invalid value for IntOrString: invalid type: string is not a percentage')
  const digits = value.slice(0, -1)
  if (!/^[+-]?\d{1,10}$/.test(digits))
    throw new IntOrStringError(
      `invalid value for IntOrString: invalid value ${JSON.stringify(value)}: strconv.Atoi: parsing ${JSON.stringify(digits)}: invalid syntax`,
    )
  return Number(digits)
}

/** `25%`, `100%`: digits and a percent sign. */
export function isPercentage(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9]+%$/.test(value)
}
