/** Texts in columns, each as wide as its widest cell; the last column is ragged. Empty without rows. */
export function formatTable(
  rows: readonly (readonly string[])[],
  { indent = '', gap = 2 }: { readonly indent?: string; readonly gap?: number } = {},
): string {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...rows.map((row) => widthOf(row[i] ?? ''))),
  )
  return rows
    .map((row) => {
      const cells = row.map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - widthOf(cell) + gap))
      return `${indent}${cells.join('')}`.trimEnd().concat('\n')
    })
    .join('')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colors are control characters
const color = /\u001b\[\d+m/g

function widthOf(cell: string): number {
  return cell.replace(color, '').length
}
