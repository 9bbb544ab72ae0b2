import { type ExactQuantity, formatQuantity, parseQuantity } from '@outrigger/kube'
import { ExpressionError } from './expression-error.ts'
import { type Token, tokensOf } from './expression-lexer.ts'
import { combine, type ExpressionValue, minus, quantityOfThousandths } from './expression-value.ts'

/** What a resource expression is about; also the name of the variable it may use, in any case of letters. */
export type ExpressionResource = 'cpu' | 'memory'

type Node =
  | { readonly kind: 'value'; readonly value: ExpressionValue }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'minus'; readonly operand: Node }
  | {
      readonly kind: 'operation'
      readonly operator: '+' | '-' | '*' | '/' | 'max' | 'min'
      readonly left: Node
      readonly right: Node
    }

interface Parsed {
  readonly root: Node
  readonly usesVariable: boolean
  /** The first word that was meant as a number and is none. */
  readonly unreadable: string | undefined
}

const longest = 2_048
const deepest = 64
const remembered = 512
// Every pod that is created asks for the same few; the bound keeps a hostile client from growing it.
const known = new Map<string, Parsed>()

function parsed(text: string): Parsed {
  const found = known.get(text)
  if (found !== undefined) return found
  if (text.length > longest) throw new ExpressionError(`must be no longer than ${longest} characters`)
  const parser = new Parser(tokensOf(text))
  const result = parser.parse()
  if (known.size >= remembered) known.clear()
  known.set(text, result)
  return result
}

/** Recursive descent; `+ -` below `* /` below a sign, each to the left. */
class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0
  #usesVariable = false
  #unreadable: string | undefined

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  parse(): Parsed {
    const root = this.#sum()
    const rest = this.#tokens[this.#at]
    if (rest !== undefined) throw new ExpressionError(`unexpected ${JSON.stringify(rest.text)}`)
    return { root, usesVariable: this.#usesVariable, unreadable: this.#unreadable }
  }

  #sum(): Node {
    return this.#chain(['+', '-'], () => this.#product())
  }

  #product(): Node {
    return this.#chain(['*', '/'], () => this.#factor())
  }

  #chain(operators: readonly string[], operand: () => Node): Node {
    let left = operand()
    for (let length = 0; ; length++) {
      const operator = operators.find((sign) => this.#takes(sign))
      if (operator === undefined) return left
      if (length > 256) throw new ExpressionError('too long a chain of operators')
      left = { kind: 'operation', operator: operator as '+' | '-' | '*' | '/', left, right: operand() }
    }
  }

  #factor(): Node {
    if (++this.#depth > deepest) throw new ExpressionError(`nested deeper than ${deepest}`)
    try {
      if (this.#takes('-')) return { kind: 'minus', operand: this.#factor() }
      if (this.#takes('(')) {
        const inner = this.#sum()
        this.#expect(')')
        return inner
      }
      return this.#word()
    } finally {
      this.#depth--
    }
  }

  #word(): Node {
    const token = this.#tokens[this.#at++]
    switch (token?.kind) {
      case 'number':
        if (!token.isReadable) this.#unreadable ??= token.text
        return { kind: 'value', value: token.value }
      case 'quantity': {
        const value = parseQuantity(token.text)
        if (value === undefined) throw new ExpressionError(`${JSON.stringify(token.text)} is no quantity`)
        return { kind: 'value', value }
      }
      case 'name':
        if (this.#takes('(')) return this.#call(token.text)
        this.#usesVariable = true
        return { kind: 'variable', name: token.text }
      default:
        throw new ExpressionError(
          token === undefined ? 'unexpected end' : `unexpected ${JSON.stringify(token.text)}`,
        )
    }
  }

  #call(name: string): Node {
    const operator = name.toLowerCase()
    if (operator !== 'max' && operator !== 'min')
      throw new ExpressionError(`there is no function ${name}; use max or min`)
    const left = this.#sum()
    if (!this.#takes(',')) throw new ExpressionError(`${name} needs exactly two arguments`)
    const right = this.#sum()
    if (!this.#takes(')')) throw new ExpressionError(`${name} needs exactly two arguments`)
    return { kind: 'operation', operator, left, right }
  }

  #takes(sign: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'sign' || token.text !== sign) return false
    this.#at++
    return true
  }

  #expect(sign: string): void {
    if (!this.#takes(sign)) throw new ExpressionError(`${JSON.stringify(sign)} is missing`)
  }
}

function evaluated(node: Node, resource: ExpressionResource, amount: ExactQuantity): ExpressionValue {
  switch (node.kind) {
    case 'value':
      return node.value
    case 'variable':
      if (node.name.toLowerCase() === resource) return amount
      throw new ExpressionError(`there is no variable ${node.name} here; use ${resource}`)
    case 'minus':
      return minus(evaluated(node.operand, resource, amount))
    case 'operation':
      return combine(
        node.operator,
        evaluated(node.left, resource, amount),
        evaluated(node.right, resource, amount),
      )
  }
}

/**
 * What an expression of a resourcesPolicy comes to, as a canonical quantity, where the variable is `amount`.
 *
 * @throws ExpressionError for what is no expression, has no value, or is negative.
 */
export function evaluateResourceExpression(
  text: string,
  resource: ExpressionResource,
  amount: string,
): string {
  const variable = parseQuantity(amount)
  if (variable === undefined) throw new ExpressionError(`${JSON.stringify(amount)} is no quantity`)
  const value = evaluated(parsed(text).root, resource, variable)
  const quantity =
    typeof value !== 'number'
      ? value
      : text.includes('memory')
        ? quantityOfThousandths(Math.trunc(value) * 1000)
        : quantityOfThousandths(value * 1000)
  if (quantity.nanos < 0n) throw new ExpressionError(`the result is negative: ${formatQuantity(quantity)}`)
  return formatQuantity(quantity)
}

/** Whether the expression depends on the resources of other containers at all. @throws ExpressionError */
export function usesVariable(text: string): boolean {
  return parsed(text).usesVariable
}

const samples = ['0', '1m', '1', '1k', '1Gi', '1Pi']

/**
 * Why an expression can never give a sidecar this resource; `undefined` when it can for some amount. Unlike
 * OpenKruise, which tries the plain number 1, it knows that the variable is a quantity and of any size; and words
 * such as `10K`, which would silently count as 0, are refused.
 */
export function resourceExpressionProblem(text: string, resource: ExpressionResource): string | undefined {
  let problem: string | undefined
  try {
    const { unreadable } = parsed(text)
    if (unreadable !== undefined) return `${JSON.stringify(unreadable)} is neither a number nor a quantity`
    for (const amount of samples) {
      problem = problemWith(text, resource, amount)
      if (problem === undefined) return undefined
    }
    return problem
  } catch (error) {
    if (error instanceof ExpressionError) return error.message
    throw error
  }
}

function problemWith(text: string, resource: ExpressionResource, amount: string): string | undefined {
  try {
    evaluateResourceExpression(text, resource, amount)
    return undefined
  } catch (error) {
    if (error instanceof ExpressionError) return error.message
    throw error
  }
}
