/** A number, or a percentage such as `25%`. */
export type IntOrPercent = number | string

/** Whether the text is a percentage: digits and a `%`. */
export function isPercent(value: IntOrPercent): boolean {
  return typeof value === 'string' && /^\d+%$/.test(value)
}

/**
 * The whole number that `value` means of `total`: a number is itself, a percentage is rounded up or down.
 * NaN for any other text. Source: apimachinery `GetScaledValueFromIntOrPercent`.
 */
export function scaledValue(value: IntOrPercent, total: number, rounding: 'up' | 'down'): number {
  if (typeof value === 'number') return value
  if (!isPercent(value)) return Number.NaN
  const exact = (Number(value.slice(0, -1)) * total) / 100
  return rounding === 'up' ? Math.ceil(exact) : Math.floor(exact)
}
