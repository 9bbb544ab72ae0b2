/** One line of a log in the CRI format: `<time> <stream> <P|F> <text>`. */
export interface CriLine {
  /** As it is written: RFC 3339 with nanoseconds. */
  readonly time: string
  readonly stream: 'stdout' | 'stderr'
  /** Not the end of what the program wrote as one line. */
  readonly isPartial: boolean
  readonly text: Buffer
}

const space = 0x20

/** Parses a line without its line feed; undefined when it is not in the CRI format. */
export function parseCriLine(line: Buffer): CriLine | undefined {
  const first = line.indexOf(space)
  const second = line.indexOf(space, first + 1)
  if (first <= 0 || second < 0) return undefined
  const third = line.indexOf(space, second + 1)
  const tag = line.subarray(second + 1, third < 0 ? line.length : third).toString('latin1')
  const stream = line.subarray(first + 1, second).toString('latin1')
  if (stream !== 'stdout' && stream !== 'stderr') return undefined
  // Tags are separated by colons, the first one says whether the line is partial.
  const kind = tag.split(':')[0]
  if (kind !== 'P' && kind !== 'F') return undefined
  return {
    time: line.subarray(0, first).toString('latin1'),
    stream,
    isPartial: kind === 'P',
    text: third < 0 ? Buffer.alloc(0) : line.subarray(third + 1),
  }
}

/** The text of a piece of a log, both streams, without heads; a line cut at the front is left out. */
export function joinLogText(piece: Buffer): string {
  const parts: Buffer[] = []
  for (const line of splitLines(piece).lines) {
    const parsed = parseCriLine(line)
    if (parsed === undefined) continue
    parts.push(parsed.text)
    if (!parsed.isPartial) parts.push(Buffer.from('\n'))
  }
  return Buffer.concat(parts).toString('utf8')
}

/** Whole lines of a buffer, without their line feeds, and what is left behind the last one. */
export function splitLines(buffer: Buffer): { readonly lines: readonly Buffer[]; readonly rest: Buffer } {
  const lines: Buffer[] = []
  let start = 0
  for (let end = buffer.indexOf(0x0a); end >= 0; end = buffer.indexOf(0x0a, start)) {
    lines.push(buffer.subarray(start, end))
    start = end + 1
  }
  return { lines, rest: buffer.subarray(start) }
}
