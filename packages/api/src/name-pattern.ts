import { PatternError, type PatternNode, parsePattern } from './name-pattern-syntax.ts'

/** A regular expression as RE2 has it: the time it takes is linear in the text, whoever wrote it. */
export interface NamePattern {
  /** Whether it occurs anywhere in the text. */
  occursIn(text: string): boolean
}

type Assertion = Extract<PatternNode, { kind: 'assertion' }>['what']
type Instruction =
  | { readonly op: 'character'; readonly accepts: (code: number) => boolean }
  | { readonly op: 'assertion'; readonly what: Assertion }
  | { readonly op: 'fork'; targets: number[] }
  | { readonly op: 'match' }

const longest = 8_192
const mostInstructions = 10_000
const remembered = 256
const known = new Map<string, NamePattern | undefined>()

/** Compiles an expression; `undefined` when it is none, or too large. Unicode classes (`\pL`) are not known. */
export function compileNamePattern(source: string): NamePattern | undefined {
  if (source.length > longest) return undefined
  if (known.has(source)) return known.get(source)
  const pattern = compiled(source)
  if (known.size >= remembered) known.clear()
  known.set(source, pattern)
  return pattern
}

function compiled(source: string): NamePattern | undefined {
  try {
    const program: Instruction[] = []
    emit(program, parsePattern(source))
    program.push({ op: 'match' })
    return {
      occursIn: (text) =>
        occurs(
          program,
          [...text].map((character) => character.codePointAt(0) ?? 0),
        ),
    }
  } catch (error) {
    if (error instanceof PatternError) return undefined
    throw error
  }
}

function emit(program: Instruction[], node: PatternNode): void {
  if (program.length > mostInstructions) throw new PatternError('too large')
  switch (node.kind) {
    case 'character':
      program.push({ op: 'character', accepts: node.accepts })
      return
    case 'assertion':
      program.push({ op: 'assertion', what: node.what })
      return
    case 'sequence':
      for (const part of node.nodes) emit(program, part)
      return
    case 'choice':
      emitChoice(program, node.nodes)
      return
    case 'repeat':
      emitRepeat(program, node)
  }
}

function fork(program: Instruction[], ...targets: number[]): { targets: number[] } {
  const instruction = { op: 'fork' as const, targets }
  program.push(instruction)
  return instruction
}

function emitChoice(program: Instruction[], nodes: readonly PatternNode[]): void {
  const entry = fork(program)
  const exits = nodes.map((node) => {
    entry.targets.push(program.length)
    emit(program, node)
    return fork(program)
  })
  for (const exit of exits) exit.targets.push(program.length)
}

function emitRepeat(
  program: Instruction[],
  { node, least, most }: Extract<PatternNode, { kind: 'repeat' }>,
): void {
  for (let i = 0; i < least; i++) emit(program, node)
  if (Number.isFinite(most)) {
    const skips = Array.from({ length: most - least }, () => {
      const skip = fork(program, program.length + 1)
      emit(program, node)
      return skip
    })
    for (const skip of skips) skip.targets.push(program.length)
    return
  }
  const start = program.length
  const entry = fork(program, start + 1)
  emit(program, node)
  fork(program, start)
  entry.targets.push(program.length)
}

/** Follows all paths at once: each instruction is at most once among the present ones. */
function occurs(program: readonly Instruction[], codes: readonly number[]): boolean {
  let present = new Set<number>()
  for (let at = 0; at <= codes.length; at++) {
    if (reach(program, 0, codes, at, present)) return true
    const code = codes[at]
    if (code === undefined) return false
    const following = new Set<number>()
    for (const index of present) {
      const instruction = program[index]
      if (instruction?.op !== 'character' || !instruction.accepts(code)) continue
      if (reach(program, index + 1, codes, at + 1, following)) return true
    }
    present = following
  }
  return false
}

/** Adds what can be reached without reading on; true when that is the end of the pattern. */
function reach(
  program: readonly Instruction[],
  from: number,
  codes: readonly number[],
  at: number,
  present: Set<number>,
): boolean {
  const open = [from]
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (present.has(index)) continue
    present.add(index)
    const instruction = program[index]
    if (instruction?.op === 'match') return true
    if (instruction?.op === 'fork') open.push(...instruction.targets)
    if (instruction?.op === 'assertion' && holds(instruction.what, codes, at)) open.push(index + 1)
  }
  return false
}

function holds(what: Assertion, codes: readonly number[], at: number): boolean {
  switch (what) {
    case 'begin':
      return at === 0
    case 'end':
      return at === codes.length
    case 'line-begin':
      return at === 0 || codes[at - 1] === 10
    case 'line-end':
      return at === codes.length || codes[at] === 10
    default:
      return (isWord(codes[at - 1]) !== isWord(codes[at])) === (what === 'word')
  }
}

function isWord(code: number | undefined): boolean {
  return code !== undefined && /\w/.test(String.fromCodePoint(code))
}
