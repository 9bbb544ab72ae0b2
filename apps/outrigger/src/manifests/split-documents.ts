/** A piece of a manifest file between two `---` lines. */
export interface DocumentText {
  readonly text: string
  /** Line of the file on which the text begins, from 1. */
  readonly line: number
}

const separator = /^---(?=\s|$)/
const endOfDocument = /^\.\.\.(?=\s|$)/

/**
 * The documents of a YAML text, word for word, so that those nobody changes can be printed as they were
 * written. YAML allows `---` at the start of a line nowhere but between documents.
 */
export function splitDocuments(text: string): DocumentText[] {
  const documents: { lines: string[]; line: number }[] = [{ lines: [], line: 1 }]
  text.split(/\r?\n/).forEach((line, i) => {
    const current = documents.at(-1)
    if (separator.test(line)) {
      const rest = line.slice(3).trimStart()
      documents.push(rest === '' ? { lines: [], line: i + 2 } : { lines: [rest], line: i + 1 })
    } else if (!endOfDocument.test(line)) {
      current?.lines.push(line)
    }
  })
  return documents
    .map(({ lines, line }) => ({ text: withoutBlankEnd(lines.join('\n')), line }))
    .filter(({ text }) => text !== '')
}

function withoutBlankEnd(text: string): string {
  const kept = text.trimEnd()
  return kept === '' ? '' : `${kept}\n`
}
