import { ExpressionError } from './expression-error.ts'

/** A word of a resource expression. */
export type Token =
  /** `isReadable` is false for digits that make no number, such as `10K`; they count as 0, as in OpenKruise. */
  | { readonly kind: 'number'; readonly text: string; readonly value: number; readonly isReadable: boolean }
  | { readonly kind: 'quantity' | 'name' | 'sign'; readonly text: string }

const units = new Set(['m', 'k', 'M', 'G', 'T', 'P', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'])
const signs = '+-*/(),'
const isDigit = (character: string) => character >= '0' && character <= '9'
const isLetter = (character: string) => /\p{L}/u.test(character)

/** Cuts a resource expression into words. @throws ExpressionError at the first character that belongs to none. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    const character = text[at] as string
    if (/\s/.test(character)) at++
    else if (signs.includes(character)) {
      tokens.push({ kind: 'sign', text: character })
      at++
    } else if (isDigit(character) || character === '.') {
      const end = endOfNumber(text, at)
      tokens.push(numericToken(text.slice(at, end)))
      at = end
    } else if (isLetter(character)) {
      const start = at
      while (at < text.length && (isLetter(text[at] as string) || /[\w]/.test(text[at] as string))) at++
      tokens.push({ kind: 'name', text: text.slice(start, at) })
    } else throw new ExpressionError(`unexpected character ${JSON.stringify(character)} at ${at + 1}`)
  }
  return tokens
}

/** Where the number that begins at `start` ends: digits, one point, one exponent, one percent sign, one unit. */
function endOfNumber(text: string, start: number): number {
  let hasPoint = false
  let hasExponent = false
  let hasPercent = false
  let at = start
  const wrong = () =>
    new ExpressionError(`${JSON.stringify(text.slice(start, at + 1))} is neither a number nor a quantity`)
  for (; at < text.length; at++) {
    const character = text[at] as string
    if (isDigit(character)) continue
    if (character === '.') {
      if (hasPoint || hasExponent || hasPercent) throw wrong()
      hasPoint = true
    } else if (character === '%') {
      if (hasPercent) throw wrong()
      hasPercent = true
    } else if ((character === 'e' || character === 'E') && !hasExponent && !hasPercent) {
      hasExponent = true
      if (text[at + 1] === '+' || text[at + 1] === '-') at++
    } else if (isLetter(character)) {
      if (/[eE]/.test(text[at - 1] ?? '') && hasExponent) throw wrong()
      while (at < text.length && isLetter(text[at] as string)) at++
      return at
    } else break
  }
  return at
}

const decimal = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

function numericToken(text: string): Token {
  const unit = /[^0-9.eE+-].*$/su.exec(text)?.[0]
  if (unit !== undefined && units.has(unit)) return { kind: 'quantity', text }
  const isPercentage = text.endsWith('%')
  const digits = isPercentage ? text.slice(0, -1) : text
  const number = decimal.test(digits) ? Number(digits) : Number.NaN
  const isReadable = Number.isFinite(number)
  const value = isReadable ? (isPercentage ? number / 100 : number) : 0
  return { kind: 'number', text, value, isReadable }
}
