import { RE2JS } from 're2js'

/** Patterns longer than this are refused. */
const maxPatternLength = 10_000
const maxCompiled = 2000

/** A compiled RE2 pattern. Matching takes time linear in the text, whatever the pattern. */
export interface Pattern {
  /** Whether the pattern occurs anywhere in `text`. */
  test(text: string): boolean
  /** The first occurrence, or undefined. */
  find(text: string): string | undefined
  /** All occurrences, at most `limit` of them. */
  findAll(text: string, limit: number): readonly string[]
}

const compiled = new Map<string, Pattern>()

/** Compiles RE2 syntax (no look-ahead, no back references). Compiled patterns are kept. @throws Error */
export function compilePattern(source: string): Pattern {
  const known = compiled.get(source)
  if (known !== undefined) return known
  if (source.length > maxPatternLength)
    throw new Error(`the pattern is longer than ${maxPatternLength} characters`)
  const expression = RE2JS.compile(source)
  const pattern: Pattern = {
    test: (text) => expression.matcher(text).find(),
    find(text) {
      const matcher = expression.matcher(text)
      return matcher.find() ? (matcher.group() ?? undefined) : undefined
    },
    findAll(text, limit) {
      const matcher = expression.matcher(text)
      const found: string[] = []
      while (found.length < limit && matcher.find()) found.push(matcher.group() ?? '')
      return found
    },
  }
  if (compiled.size >= maxCompiled) compiled.clear()
  compiled.set(source, pattern)
  return pattern
}
