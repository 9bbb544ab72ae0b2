import type { LabelSelector } from './generated/kinds.ts'

export type Labels = Readonly<Record<string, string>>

export type SelectorOperator = 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt'

/** One condition on one label. `gt` and `lt` have one value, a whole number. */
export interface Requirement {
  readonly key: string
  readonly operator: SelectorOperator
  readonly values: readonly string[]
}

/** A selector made ready for many questions. */
export interface CompiledSelector {
  matches(labels: Labels): boolean
}

/** The text or object is no selector. The message is the API server's own. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError'
}

/** Matches everything. */
export const everything: CompiledSelector = { matches: () => true }

/** Matches nothing; what an absent `LabelSelector` means. */
export const nothing: CompiledSelector = { matches: () => false }

/** A selector of requirements, all of which must hold. */
export function compileRequirements(requirements: readonly Requirement[]): CompiledSelector {
  if (requirements.length === 0) return everything
  const tests = requirements.map(requirementTest)
  return { matches: (labels) => tests.every((test) => test(labels)) }
}

function requirementTest({ key, operator, values }: Requirement): (labels: Labels) => boolean {
  const set = new Set(values)
  const bound = values[0]
  switch (operator) {
    case 'in':
      return (labels) => Object.hasOwn(labels, key) && set.has(labels[key] ?? '')
    case 'notin':
      return (labels) => !Object.hasOwn(labels, key) || !set.has(labels[key] ?? '')
    case 'exists':
      return (labels) => Object.hasOwn(labels, key)
    case '!':
      return (labels) => !Object.hasOwn(labels, key)
    case 'gt':
      return (labels) => isWhole(labels[key]) && isWhole(bound) && BigInt(labels[key]) > BigInt(bound)
    case 'lt':
      return (labels) => isWhole(labels[key]) && isWhole(bound) && BigInt(labels[key]) < BigInt(bound)
  }
}

const objectOperators: Readonly<Record<string, SelectorOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
}

/**
 * The selector of a `LabelSelector` object: empty matches everything, absent nothing.
 * @throws SelectorError for an operator that does not exist.
 */
export function compileLabelSelector(selector: LabelSelector | undefined): CompiledSelector {
  return selector === undefined ? nothing : compileRequirements(requirementsOf(selector))
}

/** The requirements of a `LabelSelector` object. @throws SelectorError for an operator that does not exist. */
export function requirementsOf(selector: LabelSelector): readonly Requirement[] {
  const pairs = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: 'in', values: [value] }),
  )
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }): Requirement => {
    const known = objectOperators[operator]
    if (known === undefined)
      throw new SelectorError(`${JSON.stringify(operator)} is not a valid label selector operator`)
    return { key, operator: known, values }
  })
  return [...pairs, ...expressions]
}

/** The text kubectl and clients send for a `LabelSelector` object. */
export function formatLabelSelector(selector: LabelSelector): string {
  return requirementsOf(selector)
    .map(({ key, operator, values }) => {
      if (operator === 'exists') return key
      if (operator === '!') return `!${key}`
      const only = values[0]
      if (operator === 'in' && values.length === 1 && only !== undefined) return `${key}=${only}`
      return `${key} ${operator} (${[...values].sort().join(',')})`
    })
    .sort()
    .join(',')
}

/**
 * The requirements of a text such as `app=web,tier in (front,back),!legacy,gen>3`; none for an empty one.
 * @throws SelectorError with the API server's wording. Source: apimachinery `labels.Parse`.
 */
export function parseLabelSelector(text: string): readonly Requirement[] {
  return new SelectorParser(text).parse()
}

interface Token {
  readonly kind: 'identifier' | 'symbol' | 'end'
  readonly text: string
}

const endToken: Token = { kind: 'end', text: '' }
const words: Readonly<Record<string, SelectorOperator>> = { in: 'in', notin: 'notin', gt: 'gt', lt: 'lt' }
const symbols: Readonly<Record<string, SelectorOperator>> = {
  '=': 'in',
  '==': 'in',
  '!=': 'notin',
  '>': 'gt',
  '<': 'lt',
}

class SelectorParser {
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(text: string) {
    this.#tokens = tokenize(text)
  }

  parse(): readonly Requirement[] {
    const requirements: Requirement[] = []
    while (this.#peek().kind !== 'end') {
      const token = this.#peek()
      if (token.kind !== 'identifier' && token.text !== '!') {
        throw new SelectorError(`found '${token.text}', expected: !, identifier, or 'end of string'`)
      }
      requirements.push(this.#requirement())
      const separator = this.#take()
      if (separator.kind === 'end') break
      if (separator.text !== ',')
        throw new SelectorError(`found '${separator.text}', expected: ',' or 'end of string'`)
      const following = this.#peek()
      if (following.kind !== 'identifier' && following.text !== '!') {
        throw new SelectorError(`found '${following.text}', expected: identifier after ','`)
      }
    }
    return requirements
  }

  #requirement(): Requirement {
    const isNegated = this.#peek().text === '!' && this.#peek().kind === 'symbol'
    if (isNegated) this.#take()
    const key = this.#take()
    if (key.kind !== 'identifier') throw unparsable(`found '${key.text}', expected: identifier`)
    if (isNegated) return { key: key.text, operator: '!', values: [] }
    const following = this.#peek()
    if (following.kind === 'end' || following.text === ',')
      return { key: key.text, operator: 'exists', values: [] }
    const operator = this.#operator()
    const takesSet = operator.text === 'in' || operator.text === 'notin'
    const values = takesSet ? this.#set() : [this.#value()]
    if ((operator.means === 'gt' || operator.means === 'lt') && !isWhole(values[0])) {
      throw unparsable(
        `values[0]: Invalid value: ${JSON.stringify(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer`,
      )
    }
    return { key: key.text, operator: operator.means, values: [...new Set(values)] }
  }

  #operator(): { readonly text: string; readonly means: SelectorOperator } {
    const token = this.#take()
    const means = token.kind === 'symbol' ? symbols[token.text] : words[token.text]
    if (means === undefined) throw unparsable(`found '${token.text}', expected: in, notin, =, ==, !=, gt, lt`)
    return { text: token.text, means }
  }

  #value(): string {
    const token = this.#peek()
    if (token.kind === 'end' || token.text === ',') return ''
    this.#take()
    if (token.kind !== 'identifier') throw unparsable(`found '${token.text}', expected: identifier`)
    return token.text
  }

  #set(): readonly string[] {
    const open = this.#take()
    if (open.text !== '(') throw unparsable(`found '${open.text}' expected: '('`)
    const values: string[] = []
    let expectsValue = true
    for (;;) {
      const token = this.#take()
      if (token.text === ')' && token.kind === 'symbol') {
        if (expectsValue) values.push('')
        return values
      }
      if (token.text === ',' && token.kind === 'symbol') {
        if (expectsValue) values.push('')
        expectsValue = true
        continue
      }
      if (token.kind !== 'identifier' || !expectsValue)
        throw unparsable(`found '${token.text}', expected: ',' or ')'`)
      values.push(token.text)
      expectsValue = false
    }
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? endToken
  }

  #take(): Token {
    const token = this.#peek()
    this.#next++
    return token
  }
}

function unparsable(why: string): SelectorError {
  return new SelectorError(`unable to parse requirement: ${why}`)
}

function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = []
  const pattern = /\s+|(!=|==|[=!<>(),])|([^\s=!<>(),]+)/gy
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    if (match[1] !== undefined) tokens.push({ kind: 'symbol', text: match[1] })
    if (match[2] !== undefined) tokens.push({ kind: 'identifier', text: match[2] })
  }
  return tokens
}

function isWhole(value: string | undefined): value is string {
  return value !== undefined && /^-?\d{1,19}$/.test(value)
}

/** One condition of a field selector. */
export interface FieldRequirement {
  readonly field: string
  readonly operator: '=' | '!='
  readonly value: string
}

/**
 * The conditions of a text such as `spec.nodeName=one,status.phase!=Running`. `\` escapes a comma, an
 * equals sign or itself. @throws SelectorError. Source: apimachinery `fields.ParseSelector`.
 */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  return splitUnescaped(text)
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^((?:\\.|[^\\=!])*?)(!=|==|=)(.*)$/s.exec(part)
      if (match === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${part}'`)
      const [, field = '', operator = '', value = ''] = match
      return {
        field: field.trim(),
        operator: operator === '!=' ? '!=' : '=',
        value: unescapeValue(value, text),
      }
    })
}

/** Whether an object with these field values fulfils all conditions. A field that is not there counts as empty. */
export function matchesFields(requirements: readonly FieldRequirement[], fields: Labels): boolean {
  return requirements.every(
    ({ field, operator, value }) => ((fields[field] ?? '') === value) === (operator === '='),
  )
}

function splitUnescaped(text: string): readonly string[] {
  const parts: string[] = []
  let start = 0
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\') index++
    else if (text[index] === ',') {
      parts.push(text.slice(start, index))
      start = index + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

function unescapeValue(value: string, text: string): string {
  if (/(^|[^\\])(\\\\)*=/.test(value))
    throw new SelectorError(`invalid selector: '${text}'; unescaped '=' in value '${value}'`)
  return value.replace(/\\([\\,=])/g, '$1')
}
