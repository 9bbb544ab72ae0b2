import type { ASTNode } from '@marcbachmann/cel-js'
import type { StructuralSchema } from '../structural-schema.ts'
import { childrenOf } from './cel-program.ts'
import { escapeName } from './cel-value.ts'

/** No request is larger; nothing inside one can be. In bytes. */
const maxRequestBytes = 3 * 1024 * 1024
/** Cost of looking at one character. */
const perCharacter = 0.1
const unbounded = Number.MAX_SAFE_INTEGER

/** What is known of an expression's value before any object is there. */
interface Estimate {
  /** Highest cost of computing it. */
  readonly cost: number
  /** Most characters, items or entries it can have. */
  readonly size: number
  readonly schema: StructuralSchema | undefined
}

/**
 * The highest cost that evaluating an expression can have for objects that fit `self`, as Kubernetes estimates it when
 * a definition is created. Unknown functions count as cheap.
 *
 * @throws Error `undefined field 'x'` when the expression reads a field that the schema does not have.
 */
export function estimateCost(ast: ASTNode, self: StructuralSchema): Estimate {
  const variable: Estimate = { cost: 1, size: maxSizeOf(self), schema: self }
  return estimate(
    ast,
    new Map([
      ['self', variable],
      ['oldSelf', variable],
    ]),
  )
}

/** Most entries of a list or map, or characters of a text, that fit into a request. */
export function maxSizeOf(schema: StructuralSchema | undefined): number {
  if (schema === undefined) return unbounded
  const { checks } = schema
  switch (schema.type) {
    case 'string':
      if (checks.maxLength !== undefined) return checks.maxLength
      if (checks.enum !== undefined) return Math.max(0, ...checks.enum.map((entry) => String(entry).length))
      if (checks.format === 'date-time') return 'yyyy-mm-ddThh:mm:ss.000000000+00:00'.length
      return maxRequestBytes - 2
    case 'array':
      return checks.maxItems ?? Math.floor((maxRequestBytes - 2) / (smallestSize(schema.items) + 1))
    case 'object':
      if (schema.values === undefined) return Object.keys(schema.properties ?? {}).length
      return checks.maxProperties ?? Math.floor((maxRequestBytes - 2) / (smallestSize(schema.values) + 6))
    case 'int-or-string':
      return checks.maxLength ?? maxRequestBytes - 2
    default:
      return 1
  }
}

/** Bytes that the smallest JSON of a schema takes. */
function smallestSize(schema: StructuralSchema | undefined): number {
  switch (schema?.type) {
    case 'string':
    case 'array':
      return 2
    case 'object': {
      let size = 2
      for (const name of schema.checks.required) {
        const field = schema.properties?.[name]
        if (field?.default === undefined) size += name.length + 4 + smallestSize(field)
      }
      return size
    }
    case 'boolean':
      return 4
    default:
      return 1
  }
}

type Scope = ReadonlyMap<string, Estimate>

function estimate(node: ASTNode, scope: Scope): Estimate {
  switch (node.op) {
    case 'value':
      return { cost: 0, size: typeof node.args === 'string' ? node.args.length : 1, schema: undefined }
    case 'id':
      return scope.get(node.args) ?? { cost: 1, size: unbounded, schema: undefined }
    case '.':
    case '.?': {
      const [object, name] = node.args as unknown as [ASTNode, unknown]
      const from = estimate(object, scope)
      const schema = typeof name === 'string' ? fieldOf(from.schema, name) : undefined
      return { cost: from.cost + 1, size: maxSizeOfKnown(schema), schema }
    }
    case '[]':
    case '[?]': {
      const [list, index] = node.args
      const from = estimate(list, scope)
      const schema = from.schema?.items ?? from.schema?.values
      return { cost: from.cost + estimate(index, scope).cost + 1, size: maxSizeOfKnown(schema), schema }
    }
    case '+': {
      const [left, right] = node.args.map((part) => estimate(part, scope)) as [Estimate, Estimate]
      const isText = isTextLike(left, node.args[0]) || isTextLike(right, node.args[1])
      const size = Math.min(unbounded, left.size + right.size)
      return {
        cost: left.cost + right.cost + (isText ? Math.ceil(size * perCharacter) : 1),
        size,
        schema: left.schema,
      }
    }
    case '==':
    case '!=': {
      const [left, right] = node.args.map((part) => estimate(part, scope)) as [Estimate, Estimate]
      const size = Math.min(left.size, right.size)
      const known = left.schema ?? right.schema
      const compared =
        known?.type === 'string' || known?.type === 'array' ? Math.ceil(size * perCharacter) : 1
      return { cost: left.cost + right.cost + compared, size: 1, schema: undefined }
    }
    case '?:': {
      const [test, yes, no] = node.args.map((part) => estimate(part, scope)) as [Estimate, Estimate, Estimate]
      return {
        cost: test.cost + Math.max(yes.cost, no.cost),
        size: Math.max(yes.size, no.size),
        schema: yes.schema,
      }
    }
    case 'in': {
      const [item, list] = node.args.map((part) => estimate(part, scope)) as [Estimate, Estimate]
      const isMap = list.schema?.type === 'object'
      return {
        cost: item.cost + list.cost + (isMap || list.size === unbounded ? 1 : list.size),
        size: 1,
        schema: undefined,
      }
    }
    case 'rcall':
      return estimateCall(node.args[0], node.args[1], node.args[2], scope)
    case 'call': {
      const [name, args] = node.args
      const parts = args.map((part) => estimate(part, scope))
      const cost = parts.reduce((total, part) => total + part.cost, 1)
      // How long a number is as text is not tracked, so it counts as endless. Kubernetes does the same.
      const size = name === 'string' ? (parts[0]?.schema?.type === 'string' ? parts[0].size : unbounded) : 1
      return { cost, size, schema: undefined }
    }
    default: {
      const parts = childrenOf(node).map((part) => estimate(part, scope))
      return {
        cost: parts.reduce((total, part) => total + part.cost, 1),
        size: Math.max(1, parts.length),
        schema: undefined,
      }
    }
  }
}

/** Sizes of values without a schema are not guessed at, except for texts made from numbers. */
const maxSizeOfKnown = (schema: StructuralSchema | undefined): number =>
  schema === undefined ? 1 : maxSizeOf(schema)

const isTextLike = (part: Estimate, node: ASTNode): boolean =>
  part.schema?.type === 'string' ||
  (node.op === 'value' && typeof node.args === 'string') ||
  (node.op === 'call' && node.args[0] === 'string')

const loops = new Set(['all', 'exists', 'exists_one', 'filter', 'map'])

function estimateCall(name: string, receiver: ASTNode, args: readonly ASTNode[], scope: Scope): Estimate {
  const target = estimate(receiver, scope)
  const variable = args[0]
  if (loops.has(name) && variable?.op === 'id') {
    const element = target.schema?.type === 'object' ? undefined : target.schema?.items
    const inner = new Map(scope).set(variable.args, {
      cost: 1,
      size: maxSizeOfKnown(element),
      schema: element,
    })
    const body = args.slice(1).reduce((total, part) => total + estimate(part, inner).cost, 0)
    const rounds = target.schema === undefined ? 1 : target.size
    const keeps = name === 'filter' || name === 'map'
    return {
      cost: Math.min(unbounded, target.cost + rounds * (body + 2)),
      size: keeps ? target.size : 1,
      schema: name === 'filter' ? target.schema : undefined,
    }
  }
  const parts = args.map((part) => estimate(part, scope))
  const base = parts.reduce((total, part) => total + part.cost, target.cost)
  const first = parts[0]?.size ?? 0
  const characters = (size: number) => Math.ceil(size * perCharacter)
  switch (name) {
    case 'contains':
      return {
        cost: base + characters(target.size) * Math.max(1, characters(first)),
        size: 1,
        schema: undefined,
      }
    case 'startsWith':
    case 'endsWith':
      return { cost: base + characters(first), size: 1, schema: undefined }
    case 'matches':
    case 're2matches':
    case 'find':
    case 'findAll':
      return {
        cost: base + characters(target.size + 1) * Math.max(1, Math.ceil(first * 0.25)),
        size: 1,
        schema: undefined,
      }
    case 'lowerAscii':
    case 'upperAscii':
    case 'trim':
    case 'replace':
    case 'split':
    case 'indexOf':
    case 'lastIndexOf':
    case 'substring':
      return {
        cost: base + characters(target.schema === undefined ? 1 : target.size),
        size: target.size,
        schema: name === 'split' ? undefined : target.schema,
      }
    default:
      return { cost: base + 1, size: 1, schema: undefined }
  }
}

function fieldOf(schema: StructuralSchema | undefined, name: string): StructuralSchema | undefined {
  if (
    schema?.type !== 'object' &&
    schema !== undefined &&
    schema.type !== 'any' &&
    schema.type !== 'int-or-string'
  )
    throw new Error(`type '${schema.type}' does not support field selection`)
  if (schema === undefined || schema.type !== 'object') return undefined
  if (schema.values !== undefined) return schema.values
  // Nodes that were not written in the definition (metadata) say nothing about sizes.
  for (const [field, node] of Object.entries(schema.properties ?? {}))
    if (escapeName(field) === name) return node.checks === undefined ? undefined : node
  // Fields that are only kept, not declared, are out of reach of rules; metadata is known without being declared.
  if (
    schema.preservesUnknown === true ||
    schema.isEmbeddedResource === true ||
    schema.definition !== undefined
  )
    return undefined
  throw new Error(`undefined field '${name}'`)
}
