/** A step into a value: a key of a map, or a place in a list. */
export type FieldStep = string | number

/**
 * The steps of a field path as validation writes it: `spec.containers[0].env`, `metadata.labels[a.b/c]`.
 */
export function parseFieldSteps(path: string): FieldStep[] {
  return [...path.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, bracketed, plain = '']) =>
    bracketed === undefined ? plain : /^\d+$/.test(bracketed) ? Number(bracketed) : bracketed,
  )
}

/**
 * The line, from 1, on which a field of a YAML document stands, judged by indentation alone. Of a path
 * that leads nowhere, or into `{...}` or JSON, the line of the last step that can be told.
 */
export function lineOfField(text: string, steps: readonly FieldStep[]): number {
  const lines = text.split('\n')
  let block: Block = { lines, from: 0, to: lines.length }
  let line = firstContent(block) ?? 0
  for (const step of steps) {
    const found =
      typeof step === 'number' ? (itemAt(block, step) ?? keyAt(block, String(step))) : keyAt(block, step)
    if (found === undefined) break
    line = found.line
    block = found.inside
  }
  return line + 1
}

/** Lines that belong to one value. */
interface Block {
  readonly lines: readonly string[]
  readonly from: number
  readonly to: number
}

interface Found {
  readonly line: number
  readonly inside: Block
}

const indentOf = (line: string) => line.length - line.trimStart().length
const isContent = (line: string | undefined) => line !== undefined && !/^\s*(#|$)/.test(line)
const isItem = (line: string) => /^\s*-(\s|$)/.test(line)

function firstContent({ lines, from, to }: Block): number | undefined {
  for (let i = from; i < to; i++) if (isContent(lines[i])) return i
  return undefined
}

function keyAt(block: Block, key: string): Found | undefined {
  const { lines, to } = block
  const first = firstContent(block)
  if (first === undefined) return undefined
  const indent = indentOf(lines[first] ?? '')
  for (let i = first; i < to; i++) {
    const line = lines[i] ?? ''
    if (!isContent(line) || indentOf(line) !== indent || keyOfLine(line) !== key) continue
    return { line: i, inside: { lines, from: i + 1, to: endOf(block, i, indent, isItem) } }
  }
  return undefined
}

function itemAt(block: Block, index: number): Found | undefined {
  const { lines, to } = block
  const first = firstContent(block)
  if (first === undefined || !isItem(lines[first] ?? '')) return undefined
  const indent = indentOf(lines[first] ?? '')
  let count = 0
  for (let i = first; i < to; i++) {
    const line = lines[i] ?? ''
    if (!isContent(line) || indentOf(line) !== indent || !isItem(line)) continue
    if (count++ !== index) continue
    // Without its dash, the line is the first of what is inside.
    const opened = [...lines]
    opened[i] = line.replace('-', ' ')
    return { line: i, inside: { lines: opened, from: i, to: endOf(block, i, indent, () => false) } }
  }
  return undefined
}

/** The next line that is not deeper; a list may stand as deep as the key it belongs to. */
function endOf(
  { lines, to }: Block,
  start: number,
  indent: number,
  belongs: (line: string) => boolean,
): number {
  for (let i = start + 1; i < to; i++) {
    const line = lines[i] ?? ''
    if (isContent(line) && (indentOf(line) < indent || (indentOf(line) === indent && !belongs(line))))
      return i
  }
  return to
}

function keyOfLine(line: string): string | undefined {
  const match = /^\s*(?:"([^"]*)"|'([^']*)'|([^\s#"'-][^#]*?|-[^\s#][^#]*?))\s*:(?:\s|$)/.exec(line)
  return match?.[1] ?? match?.[2] ?? match?.[3]
}
