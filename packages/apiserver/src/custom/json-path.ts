import { isRecord } from '@outrigger/kube'

/** One step into a value. */
type Step =
  | { readonly type: 'field'; readonly name: string }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'slice'; readonly from: number | undefined; readonly to: number | undefined }
  | { readonly type: 'all' }
  | { readonly type: 'descend'; readonly name: string }
  | { readonly type: 'filter'; readonly test: (value: unknown) => boolean }

/** A JSONPath as CRD columns and scale paths write it: `.spec.versions[0].name`. */
export interface JsonPath {
  readonly source: string
  /** All values the path leads to. */
  find(value: unknown): readonly unknown[]
}

const maxResults = 1000

/** Parses a path. @throws Error with the reason. */
export function parseJsonPath(source: string): JsonPath {
  const text = source.startsWith('{') && source.endsWith('}') ? source.slice(1, -1) : source
  const steps = parseSteps(text.replace(/^\$/, ''))
  return {
    source,
    find(value) {
      let found: unknown[] = [value]
      for (const step of steps) {
        const next: unknown[] = []
        for (const candidate of found)
          for (const hit of follow(candidate, step)) if (next.length < maxResults) next.push(hit)
        found = next
      }
      return found
    },
  }
}

/** The names of a path that consists of plain fields (`.spec.replicas`); undefined for any other. */
export function simpleFields(source: string): readonly string[] | undefined {
  if (!source.startsWith('.')) return undefined
  try {
    const steps = parseSteps(source)
    const names = steps.flatMap((step) => (step.type === 'field' ? [step.name] : []))
    return names.length === steps.length && names.length > 0 ? names : undefined
  } catch {
    return undefined
  }
}

function parseSteps(text: string): Step[] {
  const steps: Step[] = []
  let rest = text
  while (rest !== '') {
    if (rest.startsWith('..')) {
      const match = /^\.\.((?:[^.[\]\\]|\\.)+|\*)/.exec(rest)
      if (match === null) throw new Error(`unexpected text after ".." in ${JSON.stringify(text)}`)
      steps.push({ type: 'descend', name: withoutEscapes(match[1] ?? '') })
      rest = rest.slice(match[0].length)
    } else if (rest.startsWith('.') || (steps.length === 0 && !rest.startsWith('['))) {
      const match = /^\.?((?:[^.[\]\\]|\\.)+)/.exec(rest)
      if (match === null) {
        if (rest === '.') return steps
        throw new Error(`unexpected ${JSON.stringify(rest)} in ${JSON.stringify(text)}`)
      }
      const name = withoutEscapes(match[1] ?? '')
      steps.push(name === '*' ? { type: 'all' } : { type: 'field', name })
      rest = rest.slice(match[0].length)
    } else if (rest.startsWith('[')) {
      const end = closingBracket(rest)
      if (end < 0) throw new Error('unterminated array')
      steps.push(parseBracket(rest.slice(1, end).trim()))
      rest = rest.slice(end + 1)
    } else throw new Error(`unexpected ${JSON.stringify(rest)} in ${JSON.stringify(text)}`)
  }
  return steps
}

const withoutEscapes = (name: string): string => name.replace(/\\(.)/g, '$1')

function closingBracket(text: string): number {
  let quote = ''
  for (let index = 1; index < text.length; index++) {
    const character = text[index] ?? ''
    if (quote !== '') {
      if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if (character === ']') return index
  }
  return -1
}

function parseBracket(text: string): Step {
  if (text === '*' || text === '') return { type: 'all' }
  const quoted = /^(['"])(.*)\1$/.exec(text)
  if (quoted !== null) return { type: 'field', name: quoted[2] ?? '' }
  if (/^-?\d+$/.test(text)) return { type: 'index', index: Number(text) }
  const slice = /^(-?\d*):(-?\d*)$/.exec(text)
  if (slice !== null) {
    const bound = (part: string | undefined) => (part ? Number(part) : undefined)
    return { type: 'slice', from: bound(slice[1]), to: bound(slice[2]) }
  }
  const filter = /^\?\(\s*@((?:\.|\[).*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)$/.exec(text)
  if (filter !== null) return parseFilter(filter[1] ?? '', filter[2], filter[3])
  throw new Error(`invalid array index ${text}`)
}

function parseFilter(path: string, operator: string | undefined, literal: string | undefined): Step {
  const steps = parseSteps(path)
  const lookUp = (value: unknown): unknown => {
    let found: readonly unknown[] = [value]
    for (const step of steps) found = found.flatMap((candidate) => [...follow(candidate, step)])
    return found[0]
  }
  if (operator === undefined || literal === undefined)
    return { type: 'filter', test: (value) => lookUp(value) !== undefined }
  const quoted = /^(['"])(.*)\1$/.exec(literal)
  const wanted: string | number | boolean =
    quoted !== null
      ? (quoted[2] ?? '')
      : literal === 'true'
        ? true
        : literal === 'false'
          ? false
          : Number(literal)
  return { type: 'filter', test: (value) => compare(lookUp(value), operator, wanted) }
}

function compare(value: unknown, operator: string, wanted: string | number | boolean): boolean {
  if (operator === '==') return value === wanted
  if (operator === '!=') return value !== wanted
  if (typeof value !== typeof wanted || (typeof value !== 'number' && typeof value !== 'string')) return false
  if (operator === '<') return value < wanted
  if (operator === '<=') return value <= wanted
  if (operator === '>') return value > wanted
  return value >= wanted
}

function* follow(value: unknown, step: Step): Generator<unknown> {
  switch (step.type) {
    case 'field':
      if (isRecord(value) && Object.hasOwn(value, step.name)) yield value[step.name]
      return
    case 'index': {
      if (!Array.isArray(value)) return
      const index = step.index < 0 ? value.length + step.index : step.index
      if (index >= 0 && index < value.length) yield value[index]
      return
    }
    case 'slice':
      if (Array.isArray(value)) yield* value.slice(step.from ?? 0, step.to ?? value.length)
      return
    case 'all':
      if (Array.isArray(value)) yield* value
      else if (isRecord(value)) yield* Object.values(value)
      return
    case 'filter':
      if (Array.isArray(value)) for (const item of value) if (step.test(item)) yield item
      return
    case 'descend':
      yield* descend(value, step.name)
  }
}

function* descend(value: unknown, name: string): Generator<unknown> {
  if (Array.isArray(value)) for (const item of value) yield* descend(item, name)
  else if (isRecord(value)) {
    if (name === '*') yield* Object.values(value)
    else if (Object.hasOwn(value, name)) yield value[name]
    for (const part of Object.values(value)) yield* descend(part, name)
  }
}
