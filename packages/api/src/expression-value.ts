import type { ExactQuantity } from '@outrigger/kube'
import { ExpressionError } from './expression-error.ts'

/** A plain number, or an exact quantity with the family of suffixes it is shown in. */
export type ExpressionValue = number | ExactQuantity

export type Operator = '+' | '-' | '*' | '/' | 'max' | 'min'

const milli = 1_000_000n
/** What Kubernetes can count in thousandths. */
const most = 2n ** 63n - 1n

/** The result of `left operator right`. @throws ExpressionError for what has none. */
export function combine(operator: Operator, left: ExpressionValue, right: ExpressionValue): ExpressionValue {
  if (typeof left === 'number' && typeof right === 'number') return combineNumbers(operator, left, right)
  switch (operator) {
    case '+':
      return sum(asQuantity(left), asQuantity(right))
    case '-':
      return sum(asQuantity(left), negated(asQuantity(right)))
    case 'max':
    case 'min': {
      const [one, two] = [asQuantity(left), asQuantity(right)]
      const isFirst = operator === 'max' ? one.nanos >= two.nanos : one.nanos <= two.nanos
      return isFirst ? one : two
    }
    case '*':
      if (typeof left === 'number') return scaled(right as ExactQuantity, (thousandths) => thousandths * left)
      if (typeof right === 'number') return scaled(left, (thousandths) => thousandths * right)
      throw new ExpressionError('two quantities cannot be multiplied')
    case '/':
      if (typeof right !== 'number') throw new ExpressionError('nothing can be divided by a quantity')
      if (right === 0) throw new ExpressionError('division by zero')
      return scaled(left as ExactQuantity, (thousandths) => thousandths / right)
  }
}

function combineNumbers(operator: Operator, left: number, right: number): number {
  if (operator === '/' && right === 0) throw new ExpressionError('division by zero')
  const results: Record<Operator, () => number> = {
    '+': () => left + right,
    '-': () => left - right,
    '*': () => left * right,
    '/': () => left / right,
    max: () => Math.max(left, right),
    min: () => Math.min(left, right),
  }
  return results[operator]()
}

/** The value with the other sign. */
export function minus(value: ExpressionValue): ExpressionValue {
  return typeof value === 'number' ? -value : negated(value)
}

/** A quantity of so many thousandths, the fraction cut off. @throws ExpressionError beyond 63 bits. */
export function quantityOfThousandths(
  thousandths: number,
  format: ExactQuantity['format'] = 'decimal',
): ExactQuantity {
  if (!Number.isFinite(thousandths) || Math.abs(thousandths) > Number(most))
    throw new ExpressionError('the result is too large')
  return { nanos: BigInt(Math.trunc(thousandths)) * milli, format }
}

function asQuantity(value: ExpressionValue): ExactQuantity {
  return typeof value === 'number' ? quantityOfThousandths(value * 1000) : value
}

const negated = (quantity: ExactQuantity): ExactQuantity => ({ ...quantity, nanos: -quantity.nanos })

/** Shown like the left one, unless that is zero. */
function sum(left: ExactQuantity, right: ExactQuantity): ExactQuantity {
  return { nanos: left.nanos + right.nanos, format: left.nanos === 0n ? right.format : left.format }
}

/** Fractions are cut off in thousandths after floating-point arithmetic: 57% of 100m are 56m, as in OpenKruise. */
function scaled(quantity: ExactQuantity, change: (thousandths: number) => number): ExactQuantity {
  const size = quantity.nanos < 0n ? -quantity.nanos : quantity.nanos
  const roundedAway = (size + milli - 1n) / milli
  const thousandths = Number(quantity.nanos < 0n ? -roundedAway : roundedAway)
  return quantityOfThousandths(change(thousandths), quantity.format)
}
