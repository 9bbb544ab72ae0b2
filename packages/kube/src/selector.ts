import type { LabelSelector } from './generated/kinds.ts'
import { labelValueProblems, qualifiedNameProblems } from './names.ts'
import { lexSelector, type SelectorToken } from './selector-lexer.ts'

/** A selector that cannot be used; the message is the one of the real server. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError'
}

export type SelectorOperator = '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt'

/** One condition of a selector; all conditions of a selector must hold. */
export interface LabelRequirement {
  readonly key: string
  readonly operator: SelectorOperator
  /** One value for `=`, `!=`, `gt`, `lt`; any number for `in`, `notin`; none otherwise. */
  readonly values: readonly string[]
}

/** Labels or annotations of an object. */
export type Labels = Readonly<Record<string, string>>

/** A selector ready to be asked. */
export interface CompiledSelector {
  matches(labels: Labels | undefined): boolean
}

/** A selector ready to be asked that still knows what it was made of. */
export interface LabelMatcher extends CompiledSelector {
  readonly requirements: readonly LabelRequirement[]
  /** Whether it selects all labels there can be. */
  readonly isEverything: boolean
}

/**
 * Parses the text of a label selector: `a=b,c!=d,e in (x,y),!f,g>1`. The empty text selects everything.
 *
 * @throws SelectorError
 */
export function parseLabelSelector(text: string): LabelMatcher {
  return matcherOf(new Parser(lexSelector(text)).parse())
}

/**
 * The matcher of a LabelSelector object. As everywhere in Kubernetes, no selector selects nothing, an empty
 * selector everything.
 *
 * @throws SelectorError
 */
export function compileLabelSelector(selector: LabelSelector | null | undefined): LabelMatcher {
  if (selector === undefined || selector === null) return nothing
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) =>
    requirement(key, '=', [value]),
  )
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const mapped = objectOperators[operator]
    if (mapped === undefined) throw new SelectorError(`"${operator}" is not a valid label selector operator`)
    requirements.push(requirement(key, mapped, values ?? []))
  }
  return matcherOf(requirements)
}

const objectOperators: Readonly<Record<string, SelectorOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
}

/** A matcher of requirements made before, all of which must hold. */
export function compileRequirements(requirements: readonly LabelRequirement[]): LabelMatcher {
  return matcherOf(requirements)
}

/** The text of a matcher's requirements, sorted by key: `a=b,e in (x,y)`. */
export function formatLabelSelector(requirements: readonly LabelRequirement[]): string {
  return [...requirements]
    .sort((one, two) => (one.key < two.key ? -1 : one.key > two.key ? 1 : 0))
    .map(formatRequirement)
    .join(',')
}

/** A LabelSelector object as text, `<none>` when there is none or it selects everything, as kubectl prints it. */
export function describeLabelSelector(selector: LabelSelector | null | undefined): string {
  if (selector === undefined || selector === null) return '<none>'
  return formatLabelSelector(compileLabelSelector(selector).requirements) || '<none>'
}

/** Whether one requirement holds for labels. */
export function requirementHolds(condition: LabelRequirement, labels: Labels | undefined): boolean {
  const value =
    labels !== undefined && Object.hasOwn(labels, condition.key) ? labels[condition.key] : undefined
  switch (condition.operator) {
    case 'exists':
      return value !== undefined
    case '!':
      return value === undefined
    case '=':
    case 'in':
      return value !== undefined && condition.values.includes(value)
    case '!=':
    case 'notin':
      return value === undefined || !condition.values.includes(value)
    default:
      return value !== undefined && compareIntegers(value, condition)
  }
}

const integer = /^[+-]?\d{1,19}$/

function compareIntegers(value: string, condition: LabelRequirement): boolean {
  const bound = condition.values[0] ?? ''
  if (!integer.test(value) || !integer.test(bound)) return false
  return condition.operator === 'gt'
    ? BigInt(plain(value)) > BigInt(plain(bound))
    : BigInt(plain(value)) < BigInt(plain(bound))
}

const plain = (text: string) => (text.startsWith('+') ? text.slice(1) : text)

function matcherOf(requirements: readonly LabelRequirement[]): LabelMatcher {
  return {
    requirements,
    isEverything: requirements.length === 0,
    matches: (labels) => requirements.every((condition) => requirementHolds(condition, labels)),
  }
}

/** Selects nothing; what an absent LabelSelector means. */
export const nothing: LabelMatcher = { requirements: [], isEverything: false, matches: () => false }

/** Selects everything. */
export const everything: LabelMatcher = { requirements: [], isEverything: true, matches: () => true }

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'exists':
      return key
    case '!':
      return `!${key}`
    case 'in':
    case 'notin':
      return `${key} ${operator} (${[...values].sort().join(',')})`
    case 'gt':
      return `${key}>${values[0]}`
    case 'lt':
      return `${key}<${values[0]}`
    default:
      return `${key}${operator}${values[0]}`
  }
}

/** A checked requirement. @throws SelectorError */
function requirement(key: string, operator: SelectorOperator, values: readonly string[]): LabelRequirement {
  const problems = qualifiedNameProblems(key).map(
    (problem) => `key: Invalid value: ${quote(key)}: ${problem}`,
  )
  if (operator === 'in' || operator === 'notin') {
    if (values.length === 0)
      problems.push("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
  } else if (operator === 'exists' || operator === '!') {
    if (values.length > 0)
      problems.push(
        `values: Invalid value: ${JSON.stringify(values)}: values set must be empty for exists and does not exist`,
      )
  } else if (operator === 'gt' || operator === 'lt') {
    if (values.length !== 1)
      problems.push(
        `values: Invalid value: ${JSON.stringify(values)}: for 'Gt', 'Lt' operators, exactly one value is required`,
      )
    values.forEach((value, index) => {
      if (!integer.test(value))
        problems.push(
          `values[${index}]: Invalid value: ${quote(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
        )
    })
  }
  values.forEach((value, index) => {
    for (const problem of labelValueProblems(value))
      problems.push(`values[${index}][${key}]: Invalid value: ${quote(value)}: ${problem}`)
  })
  if (problems.length > 0)
    throw new SelectorError(problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`)
  return { key, operator, values }
}

const quote = (text: string) => JSON.stringify(text)

/** The recursive descent of `labels.Parser`, with its messages. */
class Parser {
  readonly #tokens: readonly SelectorToken[]
  #position = 0

  constructor(tokens: readonly SelectorToken[]) {
    this.#tokens = tokens
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = []
    for (;;) {
      const token = this.#look()
      if (token.type === 'end') return requirements
      if (token.type !== 'identifier' && !isWord(token) && token.type !== '!')
        throw new SelectorError(`found '${token.text}', expected: !, identifier, or 'end of string'`)
      requirements.push(this.#parsed())
      const after = this.#take()
      if (after.type === 'end') return requirements
      if (after.type !== ',')
        throw new SelectorError(`found '${after.text}', expected: ',' or 'end of string'`)
      const next = this.#look()
      if (next.type !== 'identifier' && !isWord(next) && next.type !== '!')
        throw new SelectorError(`found '${next.text}', expected: identifier after ','`)
    }
  }

  #parsed(): LabelRequirement {
    try {
      return this.#parseRequirement()
    } catch (error) {
      if (error instanceof SelectorError)
        throw new SelectorError(`unable to parse requirement: ${error.message}`)
      throw error
    }
  }

  #parseRequirement(): LabelRequirement {
    const isNegated = this.#look().type === '!'
    if (isNegated) this.#take()
    const key = this.#take()
    if (key.type === 'end') throw new SelectorError("found '', expected: identifier")
    if (key.type !== 'identifier' && !isWord(key))
      throw new SelectorError(`found '${key.text}', expected: identifier`)
    const keyProblems = qualifiedNameProblems(key.text)
    if (keyProblems.length > 0)
      throw new SelectorError(
        keyProblems.map((problem) => `<nil>: Invalid value: ${quote(key.text)}: ${problem}`).join(', '),
      )
    const next = this.#look()
    if (isNegated || next.type === 'end' || next.type === ',')
      return requirement(key.text, isNegated ? '!' : 'exists', [])
    const operator = this.#take()
    switch (operator.type) {
      case 'in':
      case 'notin':
        return requirement(key.text, operator.type, this.#parseValues())
      case '=':
      case '==':
        return requirement(key.text, '=', [this.#parseExactValue()])
      case '!=':
        return requirement(key.text, '!=', [this.#parseExactValue()])
      case '>':
        return requirement(key.text, 'gt', [this.#parseExactValue()])
      case '<':
        return requirement(key.text, 'lt', [this.#parseExactValue()])
      default:
        throw new SelectorError(`found '${operator.text}', expected: in, notin, =, ==, !=, gt, lt`)
    }
  }

  #parseExactValue(): string {
    const token = this.#look()
    if (token.type === 'end' || token.type === ',') return ''
    this.#take()
    if (token.type === 'identifier' || isWord(token)) return token.text
    throw new SelectorError(`found '${token.text}', expected: identifier`)
  }

  #parseValues(): string[] {
    const open = this.#take()
    if (open.type !== '(') throw new SelectorError(`found '${open.text}' expected: '('`)
    const values = new Set<string>()
    for (;;) {
      const token = this.#take()
      if (token.type === 'identifier' || isWord(token)) {
        values.add(token.text)
        const after = this.#take()
        if (after.type === ')') return [...values].sort()
        if (after.type !== ',') throw new SelectorError(`found '${after.text}', expected: ',' or ')'`)
        if (this.#look().type === ')') values.add('')
      } else if (token.type === ',') values.add('')
      else if (token.type === ')') {
        if (values.size === 0) values.add('')
        return [...values].sort()
      } else throw new SelectorError(`found '${token.text}', expected: ',', ')' or identifier`)
    }
  }

  #look(): SelectorToken {
    return this.#tokens[this.#position] ?? { type: 'end', text: '' }
  }

  #take(): SelectorToken {
    const token = this.#look()
    this.#position++
    return token
  }
}

/** `in` and `notin` are words like any other where a key or a value is due. */
function isWord(token: SelectorToken): boolean {
  return token.type === 'in' || token.type === 'notin'
}
