import { SelectorError } from './selector.ts'

/** One condition of a field selector: `metadata.name=x` or `status.phase!=Running`. */
export interface FieldRequirement {
  readonly field: string
  readonly operator: '=' | '!='
  readonly value: string
}

/**
 * Parses a field selector: `a=b,c==d,e!=f`, where `\,`, `\=` and `\\` stand for the letter itself. The empty
 * text selects everything.
 *
 * @throws SelectorError
 */
export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitTerms(text)
    .filter((term) => term !== '')
    .map((term) => parseTerm(term, text))
}

/** The text of a field selector. */
export function formatFieldSelector(requirements: readonly FieldRequirement[]): string {
  return requirements
    .map(
      ({ field, operator, value }) =>
        `${field}${operator}${value.replace(/[\\,=]/g, (letter) => `\\${letter}`)}`,
    )
    .join(',')
}

/** Whether all conditions hold; a field that is not there has the empty value. */
export function matchesFields(
  requirements: readonly FieldRequirement[],
  fields: Readonly<Record<string, string>>,
): boolean {
  return requirements.every(
    ({ field, operator, value }) => ((fields[field] ?? '') === value) === (operator === '='),
  )
}

function splitTerms(text: string): string[] {
  const terms: string[] = []
  let start = 0
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\') index++
    else if (text[index] === ',') {
      terms.push(text.slice(start, index))
      start = index + 1
    }
  }
  terms.push(text.slice(start))
  return terms
}

function parseTerm(term: string, selector: string): FieldRequirement {
  for (let index = 0; index < term.length; index++) {
    const rest = term.slice(index)
    const operator = ['!=', '==', '='].find((candidate) => rest.startsWith(candidate))
    if (operator === undefined) continue
    return {
      field: term.slice(0, index),
      operator: operator === '!=' ? '!=' : '=',
      value: unescaped(term.slice(index + operator.length)),
    }
  }
  throw new SelectorError(`invalid selector: '${selector}'; can't understand '${term}'`)
}

function unescaped(value: string): string {
  let result = ''
  for (let index = 0; index < value.length; index++) {
    const letter = value[index] as string
    if (letter !== '\\') {
      if (letter === ',' || letter === '=')
        throw new SelectorError(`invalid field selector: unescaped character in value: ${letter}`)
      result += letter
      continue
    }
    const next = value[++index]
    if (next === undefined || !'\\,='.includes(next))
      throw new SelectorError(`invalid field selector: invalid escape sequence: \\${next ?? ''}`)
    result += next
  }
  return result
}
