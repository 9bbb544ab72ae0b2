import { goJson } from '@outrigger/api'

/** A text is no JSON, or no JSON that can be merged; the message says which. */
export class MergeError extends Error {
  override readonly name = 'MergeError'
}

/** JSON whose scalars stay as they were written: a number of twenty digits is not for JavaScript to round. */
type Node =
  | { readonly kind: 'object'; members: Map<string, Member>; isTouched: boolean }
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  | { readonly kind: 'scalar'; readonly text: string }

interface Member {
  /** The key as it was written, with its quotes. */
  readonly key: string
  readonly value: Node
}

/** No annotation needs more; each level costs the stack a little. */
const deepest = 200

/**
 * One text merged into another as RFC 7386 has it, in the form Go's library for it prints: compact, objects that the merge has
 * touched with their keys in order, everything else as it stood.
 *
 * @throws MergeError when a side is no JSON or null, the patch is neither an object nor a list, or a side is nested too deep.
 */
export function mergeJson(target: string, patch: string): string {
  const current = parse(target)
  const change = parse(patch)
  if (isNull(current) || isNull(change) || change.kind === 'scalar')
    throw new MergeError('MergePatchJson needs JSON objects on both sides')
  return escaped(print(merged(current, change)))
}

/** Whether two texts are JSON of the same meaning, where a field that is null is as good as absent. */
export function isSameJson(left: string, right: string): boolean {
  if (left === right) return true
  try {
    return areSame(parse(left), parse(right))
  } catch (error) {
    if (error instanceof MergeError) return false
    throw error
  }
}

function areSame(left: Node, right: Node): boolean {
  if (left.kind === 'scalar' || right.kind === 'scalar')
    return left.kind === 'scalar' && right.kind === 'scalar' && escaped(left.text) === escaped(right.text)
  if (left.kind === 'list' || right.kind === 'list')
    return (
      left.kind === 'list' &&
      right.kind === 'list' &&
      left.items.length === right.items.length &&
      left.items.every((item, i) => areSame(item, right.items[i] ?? item))
    )
  const isCovered = (some: typeof left, others: typeof left) =>
    [...some.members].every(([key, { value }]) => {
      const other = others.members.get(key)?.value
      return isNull(value)
        ? other === undefined || isNull(other)
        : other !== undefined && areSame(value, other)
    })
  return (
    isCovered(left, right) &&
    [...right.members].every(([key, { value }]) => isNull(value) || left.members.has(key))
  )
}

function merged(current: Node | undefined, change: Node): Node {
  if (current?.kind !== 'object') return pruned(change)
  if (change.kind !== 'object') return change
  const members = new Map(current.members)
  for (const [key, { key: written, value }] of change.members) {
    if (isNull(value)) members.delete(key)
    else members.set(key, { key: written, value: mergedMember(members.get(key), value) })
  }
  return { kind: 'object', members, isTouched: true }
}

function mergedMember(current: Member | undefined, change: Node): Node {
  return current === undefined || isNull(current.value) ? pruned(change) : merged(current.value, change)
}

/** Without the fields that are null, at every level; lists keep theirs. */
function pruned(node: Node): Node {
  if (node.kind === 'scalar') return node
  if (node.kind === 'list') return { kind: 'list', items: node.items.map(pruned) }
  const members = new Map<string, Member>()
  for (const [key, { key: written, value }] of node.members)
    if (!isNull(value)) members.set(key, { key: written, value: pruned(value) })
  return { kind: 'object', members, isTouched: true }
}

const isNull = (node: Node) => node.kind === 'scalar' && node.text === 'null'

function print(node: Node): string {
  if (node.kind === 'scalar') return node.text
  if (node.kind === 'list') return `[${node.items.map(print).join(',')}]`
  const members = node.isTouched
    ? [...node.members]
        .sort(([left], [right]) => (left < right ? -1 : 1))
        .map(([key, { value }]) => `${goJson(key)}:${print(value)}`)
    : [...node.members.values()].map(({ key, value }) => `${key}:${print(value)}`)
  return `{${members.join(',')}}`
}

/** These characters stand in strings only, where Go escapes them. */
function escaped(text: string): string {
  return text.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function parse(text: string): Node {
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new MergeError('MergePatchJson needs JSON, and one side is not', { cause })
  }
  return new Reader(text).value(0)
}

/** Reads what is known to be JSON. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Node {
    if (depth > deepest)
      throw new MergeError(`MergePatchJson stops at JSON nested deeper than ${deepest} levels`)
    switch (this.#next()) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#list(depth)
      case '"':
        return { kind: 'scalar', text: this.#string() }
      default:
        return { kind: 'scalar', text: this.#take(/[^\s,\]}]+/y) }
    }
  }

  #object(depth: number): Node {
    const members = new Map<string, Member>()
    this.#at++
    while (this.#next() !== '}') {
      if (this.#next() === ',') this.#at++
      this.#next()
      const key = this.#string()
      this.#next()
      this.#at++
      members.set(JSON.parse(key) as string, { key, value: this.value(depth + 1) })
    }
    this.#at++
    return { kind: 'object', members, isTouched: false }
  }

  #list(depth: number): Node {
    const items: Node[] = []
    this.#at++
    while (this.#next() !== ']') {
      if (this.#next() === ',') this.#at++
      items.push(this.value(depth + 1))
    }
    this.#at++
    return { kind: 'list', items }
  }

  #string(): string {
    return this.#take(/"[^"\\]*(?:\\.[^"\\]*)*"/y)
  }

  /** The next character that is no space; it stays. */
  #next(): string | undefined {
    this.#take(/[ \t\n\r]*/y)
    return this.#text[this.#at]
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }
}
