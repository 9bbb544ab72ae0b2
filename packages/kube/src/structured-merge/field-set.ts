import { isRecord } from '../record.ts'

/**
 * A set of field paths, in the JSON form Kubernetes stores it in (`fieldsV1`), which is also what the
 * algorithms here work on. Keys are path elements: `f:name` a field, `k:{"name":"x"}` an item of a map list,
 * `v:"x"` an item of a set list, `i:0` an item by position. Below an element, `{}` says that the path itself
 * is in the set and nothing below it, a `.` that the path is in the set beside paths below it. At the root,
 * `{}` is the empty set. Sets are values: no function changes its arguments, results share their parts.
 */
export interface FieldSet {
  readonly [element: string]: FieldSet
}

/** Elements from the root to one path of a set. */
export type FieldPath = readonly string[]

/** A field set under construction. */
export interface FieldSetDraft {
  [element: string]: FieldSetDraft
}

const member: FieldSet = Object.freeze({})

/** The set of no paths. */
export const emptyFieldSet: FieldSet = member

/** Whether the set has no path. */
export function isEmptyFieldSet(set: FieldSet): boolean {
  for (const _ in set) return false
  return true
}

/**
 * Reads a `fieldsV1` value from outside. Returns undefined for anything that is not one; the order of keys in
 * `k:` elements is brought into the form used here.
 */
export function parseFieldSet(value: unknown): FieldSet | undefined {
  return parseNode(value, 0)
}

const maxDepth = 100

function parseNode(value: unknown, depth: number): FieldSet | undefined {
  if (!isRecord(value) || depth > maxDepth) return undefined
  const set: FieldSetDraft = {}
  for (const element of Object.keys(value)) {
    const canonical = canonicalElement(element)
    if (canonical === undefined) return undefined
    const below = parseNode(value[element], depth + 1)
    if (below === undefined) return undefined
    set[canonical] = below as FieldSetDraft
  }
  return set
}

function canonicalElement(element: string): string | undefined {
  if (element === '.' || element.startsWith('f:')) return element
  if (element.startsWith('i:')) return /^i:-?\d+$/.test(element) ? element : undefined
  if (!(element.startsWith('k:') || element.startsWith('v:'))) return undefined
  try {
    const value: unknown = JSON.parse(element.slice(2))
    if (element.startsWith('v:')) return `v:${JSON.stringify(value)}`
    return isRecord(value) ? keyElement(Object.entries(value)) : undefined
  } catch {
    return undefined
  }
}

/** The element of a map list's item with these key fields. */
export function keyElement(fields: readonly (readonly [string, unknown])[]): string {
  const sorted = fields.length < 2 ? fields : [...fields].sort((one, two) => (one[0] < two[0] ? -1 : 1))
  const texts = sorted.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  return `k:{${texts.join(',')}}`
}

function isMember(node: FieldSet): boolean {
  return '.' in node || isEmptyFieldSet(node)
}

/** Whether exactly this path is in the set. */
export function hasPath(set: FieldSet, path: FieldPath): boolean {
  let node = set
  for (const element of path) {
    const below = node[element]
    if (below === undefined || element === '.') return false
    node = below
  }
  return path.length > 0 && isMember(node)
}

/** All paths of the set. */
export function pathsOf(set: FieldSet): FieldPath[] {
  const paths: FieldPath[] = []
  collect(set, [], paths)
  return paths
}

function collect(set: FieldSet, above: FieldPath, paths: FieldPath[]): void {
  for (const element of Object.keys(set).sort()) {
    if (element === '.') continue
    const path = [...above, element]
    const node = set[element] ?? member
    if (isMember(node)) paths.push(path)
    collect(node, path, paths)
  }
}

/** The set of these paths. */
export function fieldSetOf(paths: Iterable<FieldPath>): FieldSet {
  let set = emptyFieldSet
  for (const path of paths) if (path.length > 0) set = unionOf(set, chain(path))
  return set
}

function chain(path: FieldPath): FieldSet {
  let node = member
  for (let index = path.length - 1; index >= 0; index--) node = { [path[index] as string]: node }
  return node
}

/** Paths that are in one set or the other. */
export function unionOf(left: FieldSet, right: FieldSet): FieldSet {
  if (left === right || isEmptyFieldSet(right)) return left
  if (isEmptyFieldSet(left)) return right
  const result: FieldSetDraft = { ...(left as FieldSetDraft) }
  for (const element in right) {
    const mine = left[element]
    const other = right[element] as FieldSet
    result[element] = (mine === undefined ? other : unionBelow(mine, other)) as FieldSetDraft
  }
  return result
}

function unionBelow(left: FieldSet, right: FieldSet): FieldSet {
  if (left === right) return left
  const union = unionOf(left, right)
  if ((isMember(left) || isMember(right)) && !isMember(union)) return { '.': member, ...union }
  return union
}

/** Paths of `left` that are not in `right`. A path stays though its parent goes. */
export function differenceOf(left: FieldSet, right: FieldSet): FieldSet {
  return subtract(left, right, differenceBelow)
}

/** Paths of `left` that are neither in `right` nor below a path of it. */
export function recursiveDifferenceOf(left: FieldSet, right: FieldSet): FieldSet {
  return subtract(left, right, recursiveDifferenceBelow)
}

/** What is left of a child, or undefined when nothing is. */
type Subtraction = (left: FieldSet, right: FieldSet) => FieldSet | undefined

function subtract(left: FieldSet, right: FieldSet, below: Subtraction): FieldSet {
  let result: FieldSetDraft | undefined
  for (const element in right) {
    const mine = left[element]
    if (mine === undefined || element === '.') continue
    const kept = below(mine, right[element] as FieldSet)
    if (kept === mine) continue
    result ??= { ...(left as FieldSetDraft) }
    if (kept === undefined) delete result[element]
    else result[element] = kept as FieldSetDraft
  }
  return result ?? left
}

const differenceBelow: Subtraction = (left, right) => {
  const staysMember = isMember(left) && !isMember(right)
  return rebuilt(left, subtract(left, right, differenceBelow), staysMember)
}

const recursiveDifferenceBelow: Subtraction = (left, right) =>
  isMember(right) ? undefined : rebuilt(left, subtract(left, right, recursiveDifferenceBelow), isMember(left))

/** `children` (which may still have a dot) as a node that is a member or not. */
function rebuilt(before: FieldSet, children: FieldSet, staysMember: boolean): FieldSet | undefined {
  const hasDot = '.' in children
  let count = 0
  for (const element in children) if (element !== '.') count++
  if (count === 0) return staysMember ? (isEmptyFieldSet(before) ? before : member) : undefined
  if (staysMember === hasDot) return children
  if (staysMember) return { '.': member, ...children }
  const { '.': _, ...rest } = children
  return rest as FieldSet
}

/** Paths that are in both sets. */
export function intersectionOf(left: FieldSet, right: FieldSet): FieldSet {
  const result: FieldSetDraft = {}
  for (const element in left) {
    const other = right[element]
    if (other === undefined || element === '.') continue
    const both = intersectionBelow(left[element] as FieldSet, other)
    if (both !== undefined) result[element] = both as FieldSetDraft
  }
  return result
}

function intersectionBelow(left: FieldSet, right: FieldSet): FieldSet | undefined {
  if (left === right) return left
  const children = intersectionOf(left, right)
  const isInBoth = isMember(left) && isMember(right)
  if (isEmptyFieldSet(children)) return isInBoth ? member : undefined
  return isInBoth ? { '.': member, ...children } : children
}

/** Whether both sets have the same paths. */
export function equalFieldSets(left: FieldSet, right: FieldSet): boolean {
  if (left === right) return true
  for (const element in left) {
    const other = right[element]
    if (other === undefined) {
      if (element !== '.' || !isEmptyFieldSet(right)) return false
    } else if (!equalFieldSets(left[element] as FieldSet, other)) return false
  }
  for (const element in right)
    if (left[element] === undefined && (element !== '.' || !isEmptyFieldSet(left))) return false
  return true
}

/** A path as conflicts print it: `.spec.containers[name="x"].image`. */
export function formatFieldPath(path: FieldPath): string {
  return path.map(formatElement).join('')
}

function formatElement(element: string): string {
  const rest = element.slice(2)
  if (element.startsWith('f:')) return `.${rest}`
  if (element.startsWith('v:')) return `[=${rest}]`
  if (element.startsWith('i:')) return `[${rest}]`
  const fields = Object.entries(JSON.parse(rest) as Record<string, unknown>)
  return `[${fields.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`
}
