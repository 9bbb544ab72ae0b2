import { isIP } from 'node:net'
import { Environment } from '@marcbachmann/cel-js'
import { CelQuantity } from './cel-quantity.ts'
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

class CelUrl {
  readonly url: URL

  constructor(text: string) {
    this.url = new URL(text)
  }
}

class CelIp {
  readonly address: string

  constructor(text: string) {
    if (isIP(text) === 0 || text.includes('%'))
      throw new Error(`IP Address ${JSON.stringify(text)} parse error`)
    this.address = text
  }

  get family(): 4 | 6 {
    return isIP(this.address) as 4 | 6
  }
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
  define('string.format(list<dyn>): string', formatText)
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

function addAddressFunctions(environment: Environment): void {
  const define = environment.registerFunction.bind(environment)
  environment.registerType('kubernetes.URL', CelUrl)
  environment.registerType('net.IP', CelIp)
  define('isURL(string): bool', (text: string) => URL.canParse(text))
  define('url(string): kubernetes.URL', (text: string) => {
    if (!URL.canParse(text))
      throw new Error(`URL parse error during conversion from string: ${JSON.stringify(text)}`)
    return new CelUrl(text)
  })
  define('kubernetes.URL.getScheme(): string', ({ url }: CelUrl) => url.protocol.slice(0, -1))
  define('kubernetes.URL.getHost(): string', ({ url }: CelUrl) => url.host)
  define('kubernetes.URL.getHostname(): string', ({ url }: CelUrl) => url.hostname.replace(/^\[|\]$/g, ''))
  define('kubernetes.URL.getPort(): string', ({ url }: CelUrl) => url.port)
  define('kubernetes.URL.getEscapedPath(): string', ({ url }: CelUrl) => url.pathname)
  define('isIP(string): bool', (text: string) => isIP(text) !== 0 && !text.includes('%'))
  define('ip(string): net.IP', (text: string) => new CelIp(text))
  define('net.IP.family(): int', (ip: CelIp) => BigInt(ip.family))
  define('isCIDR(string): bool', (text: string) => {
    const [address = '', length = '', more] = text.split('/')
    const family = isIP(address)
    return (
      family !== 0 &&
      more === undefined &&
      /^\d{1,3}$/.test(length) &&
      Number(length) <= (family === 4 ? 32 : 128)
    )
  })
}
