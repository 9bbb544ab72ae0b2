/** What a token of a recording stands for. A token not listed stands for anything without a space. */
const tokens: Readonly<Record<string, string>> = {
  age: '(?:[0-9]+(?:y|d|h|ms|m|s|us|µs))+',
  date: '.+?',
  mtime: '\\w+ +[0-9]+ +[0-9:]+',
  t: '[0-9TZ:.-]+',
  time: '[0-9TZ:.+-]+',
  path: '.*?',
  klog: '.*?',
  'node-info': '.*?',
  kernel: '.*?',
  'pod-suffix': '[a-z0-9]{5}',
  hash: '[a-z0-9]+',
}

const tokenPattern =
  /<(t|pod|pod-ip|mtime|stamp|suffix|age|time|date|uid|cid|id|digest|rv|ip|node-ip|cluster-ip|node-port|local-port|hash|pod-suffix|suffix|minute|duration|server|path|n|node-info|kernel|klog)(?:[-+][0-9]+s?)?>/g

/** The pattern of a recorded line: tokens match what they stand for, runs of spaces match each other. */
export function patternOf(line: string): RegExp {
  const parts = plain(line).split(tokenPattern)
  const text = parts.map((part, index) => (index % 2 === 0 ? escaped(part) : (tokens[part] ?? '\\S+')))
  return new RegExp(`^${text.join('')}$`)
}

/** A line without its alignment: a token is wider or narrower than what it stands for, so columns move. */
export function plain(line: string): string {
  return line.trimEnd().replaceAll(/[ \t]+/g, ' ')
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** Lines of the recording that were not printed, and lines that were printed besides. */
export interface LineDifference {
  readonly missing: readonly string[]
  readonly extra: readonly string[]
}

/** Compares in order, keeping as many lines in common as possible. */
export function compareLines(recorded: readonly string[], seen: readonly string[]): LineDifference {
  const patterns = recorded.map(patternOf)
  const lines = seen.map(plain)
  const best = Array.from({ length: patterns.length + 1 }, () => new Array<number>(lines.length + 1).fill(0))
  const matches = (i: number, j: number) => patterns[i]?.test(lines[j] ?? '') === true
  const at = (i: number, j: number) => best[i]?.[j] ?? 0
  for (let i = patterns.length - 1; i >= 0; i--)
    for (let j = lines.length - 1; j >= 0; j--) {
      const row = best[i] ?? []
      row[j] = matches(i, j) ? 1 + at(i + 1, j + 1) : Math.max(at(i + 1, j), at(i, j + 1))
    }

  const missing: string[] = []
  const extra: string[] = []
  let i = 0
  let j = 0
  while (i < patterns.length || j < lines.length) {
    if (i < patterns.length && j < lines.length && matches(i, j) && at(i, j) === 1 + at(i + 1, j + 1)) {
      i++
      j++
    } else if (j >= lines.length || (i < patterns.length && at(i + 1, j) >= at(i, j + 1)))
      missing.push(recorded[i++] ?? '')
    else extra.push(seen[j++] ?? '')
  }
  return { missing, extra }
}
