/** A text that is no JSON, or nested beyond all sense. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
}

export interface ParsedJson {
  readonly value: unknown
  /** Paths of fields that are there more than once, each named once. Empty when not asked for. */
  readonly duplicates: readonly string[]
}

/** Deeper than any object of Kubernetes, shallow enough for functions that call themselves. */
const maxDepth = 1000

/**
 * Parses JSON. With `findDuplicates` the text is scanned once more for fields that are there twice, of which
 * the last wins.
 *
 * @throws JsonError
 */
export function parseJson(text: string, options: { readonly findDuplicates?: boolean } = {}): ParsedJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new JsonError(error instanceof Error ? error.message : String(error))
  }
  return { value, duplicates: scan(text, options.findDuplicates === true) }
}

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c

/** An object or a list the scan is inside of. `keys` is undefined in a list. */
interface Level {
  readonly keys: Set<string> | undefined
  key: string
  index: number
}

/** Walks text that is known to be JSON. */
function scan(text: string, findsDuplicates: boolean): string[] {
  const levels: Level[] = []
  const duplicates = new Set<string>()
  let depth = 0
  let expectsKey = false
  for (let position = 0; position < text.length; position++) {
    const code = text.charCodeAt(position)
    if (code === quote) {
      const end = endOfString(text, position)
      if (findsDuplicates && expectsKey) {
        noteKey(levels, keyOf(text, position, end), duplicates)
        expectsKey = false
      }
      position = end
    } else if (code === openBrace || code === openBracket) {
      if (++depth > maxDepth) throw new JsonError('exceeded max depth')
      if (!findsDuplicates) continue
      levels.push({ keys: code === openBrace ? new Set() : undefined, key: '', index: 0 })
      expectsKey = code === openBrace
    } else if (code === closeBrace || code === closeBracket) {
      depth--
      if (!findsDuplicates) continue
      levels.pop()
      expectsKey = false
    } else if (code === comma && findsDuplicates) {
      const level = levels[levels.length - 1] as Level
      if (level.keys === undefined) level.index++
      else expectsKey = true
    }
  }
  return [...duplicates]
}

/** Position of the closing quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (text.charCodeAt(end - 1) === backslash && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

function isEscaped(text: string, position: number): boolean {
  let first = position
  while (text.charCodeAt(first - 1) === backslash) first--
  return (position - first) % 2 === 1
}

function keyOf(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end)
  return raw.includes('\\') ? (JSON.parse(text.slice(start, end + 1)) as string) : raw
}

function noteKey(levels: readonly Level[], key: string, duplicates: Set<string>): void {
  const level = levels[levels.length - 1] as Level
  level.key = key
  if (level.keys?.has(key)) duplicates.add(formatPath(levels))
  else level.keys?.add(key)
}

function formatPath(levels: readonly Level[]): string {
  let path = ''
  for (const level of levels) {
    if (level.keys === undefined) path += `[${level.index}]`
    else path += path === '' ? level.key : `.${level.key}`
  }
  return path
}
