import { Environment } from '@marcbachmann/cel-js'
import { addAddressFunctions } from './cel-address.ts'
import { CelQuantity } from './cel-quantity.ts'
import { addSetFunctions } from './cel-sets.ts'
import { compilePattern } from './re2.ts'

/** Lists that functions make are no longer than this. */
const maxFound = 10_000

/** Deepest nesting and largest tree an expression may have. */
const limits = {
  maxAstNodes: 5000,
  maxDepth: 60,
  maxListElements: 1000,
  maxMapEntries: 500,
  maxCallArguments: 32,
}

let prepared: Environment | undefined

/** The engine with the functions that Kubernetes adds to CEL. `matches` runs on RE2 under the name `re2matches`. */
export function celEnvironment(): Environment {
  prepared ??= prepare()
  return prepared
}

function prepare(): Environment {
  const environment = new Environment({
    unlistedVariablesAreDyn: true,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits,
  })
  addStringFunctions(environment)
  addListFunctions(environment)
  addQuantityFunctions(environment)
  addAddressFunctions(environment)
  addSetFunctions(environment)
  return environment
}

function addStringFunctions(environment: Environment): void {
  const define = environment.registerFunction.bind(environment)
  define('string.re2matches(string): bool', (text: string, pattern: string) =>
    compilePattern(pattern).test(text),
  )
  define(
    'string.find(string): string',
    (text: string, pattern: string) => compilePattern(pattern).find(text) ?? '',
  )
  define('string.findAll(string): list<string>', (text: string, pattern: string) =>
    compilePattern(pattern).findAll(text, maxFound),
  )
  define('string.findAll(string, int): list<string>', (text: string, pattern: string, limit: bigint) =>
    compilePattern(pattern).findAll(text, limit < 0n ? maxFound : Math.min(Number(limit), maxFound)),
  )
  define('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  )
  define('string.charAt(int): string', (text: string, index: bigint) => {
    const characters = Array.from(text)
    const position = Number(index)
    if (position < 0 || position > characters.length) throw new Error(`index out of range: ${index}`)
    return characters[position] ?? ''
  })
  // The engine tells lists of one kind from mixed ones.
  for (const kind of ['dyn', 'double', 'int', 'string', 'bool'])
    define(`string.format(list<${kind}>): string`, formatText)
}

function formatText(template: string, values: readonly unknown[]): string {
  let next = 0
  return template.replace(/%(?:\.(\d+))?([a-zA-Z%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%'
    if (next >= values.length) throw new Error(`index ${next} out of range`)
    const value = values[next++]
    if (verb === 'x' || verb === 'X') {
      const hex = typeof value === 'bigint' ? value.toString(16) : Buffer.from(String(value)).toString('hex')
      return verb === 'X' ? hex.toUpperCase() : hex
    }
    if (verb === 'o' || verb === 'b') return BigInt(String(value)).toString(verb === 'o' ? 8 : 2)
    if (verb === 'f') return Number(value).toFixed(Math.min(Number(precision ?? 6), 100))
    if (verb === 'e') return Number(value).toExponential(Math.min(Number(precision ?? 6), 100))
    return showInText(value)
  })
}

function showInText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(showInText).join(', ')}]`
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([key, entry]) => `${key}: ${showInText(entry)}`)
      .join(', ')}}`
  return String(value)
}

type Ordered = bigint | number | string

function addListFunctions(environment: Environment): void {
  const define = environment.registerFunction.bind(environment)
  define('list.isSorted(): bool', (list: readonly Ordered[]) =>
    list.every((entry, index) => index === 0 || (list[index - 1] as Ordered) <= entry),
  )
  define('list.sum(): dyn', (list: readonly (bigint | number)[]) => {
    if (list.length === 0) return 0n
    return typeof list[0] === 'bigint'
      ? (list as readonly bigint[]).reduce((total, entry) => total + entry, 0n)
      : (list as readonly number[]).reduce((total, entry) => total + entry, 0)
  })
  define('list.min(): dyn', (list: readonly Ordered[]) => extreme(list, 'min', (left, right) => left < right))
  define('list.max(): dyn', (list: readonly Ordered[]) => extreme(list, 'max', (left, right) => left > right))
  define('list.indexOf(dyn): int', (list: readonly unknown[], wanted: unknown) =>
    BigInt(list.indexOf(wanted)),
  )
  define('list.lastIndexOf(dyn): int', (list: readonly unknown[], wanted: unknown) =>
    BigInt(list.lastIndexOf(wanted)),
  )
}

function extreme(
  list: readonly Ordered[],
  name: string,
  isBetter: (left: Ordered, right: Ordered) => boolean,
): Ordered {
  const [first, ...rest] = list
  if (first === undefined) throw new Error(`${name} called on empty list`)
  return rest.reduce((best, entry) => (isBetter(entry, best) ? entry : best), first)
}

function addQuantityFunctions(environment: Environment): void {
  const define = environment.registerFunction.bind(environment)
  environment.registerType('kubernetes.Quantity', CelQuantity)
  define('isQuantity(string): bool', (text: string) => CelQuantity.parse(text) !== undefined)
  define('quantity(string): kubernetes.Quantity', (text: string) => {
    const quantity = CelQuantity.parse(text)
    if (quantity === undefined)
      throw new Error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
      )
    return quantity
  })
  type Q = CelQuantity
  define('kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool', (a: Q, b: Q) => a.compare(b) > 0)
  define('kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool', (a: Q, b: Q) => a.compare(b) < 0)
  define('kubernetes.Quantity.compareTo(kubernetes.Quantity): int', (a: Q, b: Q) => BigInt(a.compare(b)))
  define('kubernetes.Quantity.sign(): int', (a: Q) => BigInt(Math.sign(Number(a.nanos))))
  define('kubernetes.Quantity.isInteger(): bool', (a: Q) => a.isInteger)
  define('kubernetes.Quantity.asInteger(): int', (a: Q) => {
    if (!a.isInteger) throw new Error('cannot convert value to integer')
    return a.nanos / 1_000_000_000n
  })
  define('kubernetes.Quantity.asApproximateFloat(): double', (a: Q) => Number(a.nanos) / 1e9)
  define(
    'kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity',
    (a: Q, b: Q) => new CelQuantity(a.nanos + b.nanos),
  )
  define(
    'kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity',
    (a: Q, b: Q) => new CelQuantity(a.nanos - b.nanos),
  )
}
