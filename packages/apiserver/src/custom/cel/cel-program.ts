import type { ASTNode } from '@marcbachmann/cel-js'
import { messageOf } from '@outrigger/foundation'
import { celEnvironment } from './cel-functions.ts'

/** Expressions longer than this are refused. */
const maxLength = 20_000
/** Steps that one evaluation may take by the estimate below. */
const maxSteps = 20_000_000

export type CelVariables = Readonly<Record<string, unknown>>

/** A compiled expression. */
export interface CelProgram {
  readonly source: string
  readonly ast: ASTNode
  /** Names of the variables it reads. */
  readonly variables: ReadonlySet<string>
  /**
   * Its value. Refuses to begin when the sizes of the variables would let nested loops run
   * away, since nothing can stop them once they run. @throws Error with a one-line message
   */
  evaluate(variables: CelVariables): unknown
}

const maxPrograms = 5000
const programs = new Map<string, CelProgram>()

/** Parses and checks an expression. Compiled ones are kept. @throws Error with the reason. */
export function compileCel(source: string): CelProgram {
  const known = programs.get(source)
  if (known !== undefined) return known
  const program = compile(source)
  if (programs.size >= maxPrograms) programs.clear()
  programs.set(source, program)
  return program
}

function compile(source: string): CelProgram {
  if (source.length > maxLength) throw new Error(`the expression is longer than ${maxLength} characters`)
  const parsed = wrap(() => celEnvironment().parse(source))
  const shape = { depth: 0, nodes: 0, variables: new Set<string>(), readsText: false }
  inspect(parsed.ast, 0, shape, new Set())
  const checked = parsed.check()
  if (!checked.valid && checked.error !== undefined) throw new Error(firstLine(messageOf(checked.error)))
  return {
    source,
    ast: parsed.ast,
    variables: shape.variables,
    evaluate(variables) {
      if (shape.depth > 0) {
        const size = Math.max(
          1,
          ...[...shape.variables].map((name) => longest(variables[name], shape.readsText)),
        )
        if (shape.nodes * size ** shape.depth > maxSteps)
          throw new Error('operation cancelled: actual cost limit exceeded')
      }
      return wrap(() => parsed(variables))
    },
  }
}

interface Shape {
  /** How deep loops are nested. */
  depth: number
  nodes: number
  readonly variables: Set<string>
  /** Whether text is taken apart into lists, whose length then counts. */
  readsText: boolean
}

const loops = new Set(['all', 'exists', 'exists_one', 'filter', 'map'])
/** Names before the dot of a function that are no variables. */
const libraries = new Set(['sets', 'optional'])
const splitters = new Set(['split', 'findAll', 'charAt'])

/** Measures a tree, and sends `matches` to RE2. */
function inspect(node: ASTNode, depth: number, shape: Shape, bound: ReadonlySet<string>): void {
  shape.nodes++
  shape.depth = Math.max(shape.depth, depth)
  switch (node.op) {
    case 'value':
      return
    case 'id':
      if (!bound.has(node.args) && !libraries.has(node.args)) shape.variables.add(node.args)
      return
    case 'rcall': {
      const [name, receiver, args] = node.args
      if (name === 'matches') (node.args as unknown as [string])[0] = 're2matches'
      if (splitters.has(name)) shape.readsText = true
      const variable = args[0]
      const isLoop = loops.has(name) && variable?.op === 'id'
      inspect(receiver, depth + (isLoop ? 1 : 0), shape, bound)
      if (!isLoop) {
        for (const arg of args) inspect(arg, depth, shape, bound)
        return
      }
      const inner = new Set(bound).add(variable.args)
      for (const arg of args.slice(1)) inspect(arg, depth + 1, shape, inner)
      return
    }
    default:
      for (const child of childrenOf(node)) inspect(child, depth, shape, bound)
  }
}

/** The direct parts of a node that are expressions themselves. */
export function childrenOf(node: ASTNode): readonly ASTNode[] {
  const found: ASTNode[] = []
  const collect = (part: unknown): void => {
    if (Array.isArray(part)) part.forEach(collect)
    else if (typeof part === 'object' && part !== null && 'op' in part) found.push(part as ASTNode)
  }
  collect(node.args)
  return found
}

/** Length of the longest list, map or (if asked for) text inside a value. */
function longest(value: unknown, countsText: boolean): number {
  if (typeof value === 'string') return countsText ? value.length : 0
  if (typeof value !== 'object' || value === null || value instanceof Date) return 0
  const entries = Array.isArray(value) ? value : Object.values(value)
  let most = entries.length
  for (const entry of entries) most = Math.max(most, longest(entry, countsText))
  return most
}

function wrap<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new Error(firstLine(messageOf(error)), { cause: error })
  }
}

/** The engine appends a drawing of the place; messages of ours are one line, in the words of cel-go. */
function firstLine(message: string): string {
  const line = message.split('\n', 1)[0] ?? ''
  return line
    .replace(/^No such key/, 'no such key')
    .replace(/^Unknown variable: (.*)$/, "undeclared reference to '$1'")
}
