import { type DiffLine, diffLines } from './line-diff.ts'
import type { Paint } from './paint.ts'

const context = 3

export interface ComparedTexts {
  readonly name: string
  readonly before: string
  readonly after: string
}

/** A unified diff that `patch` reads; empty when the texts are equal. */
export function formatUnifiedDiff({ name, before, after }: ComparedTexts, paint: Paint): string {
  if (before === after) return ''
  const lines = diffLines(linesOf(before), linesOf(after))
  const hunks = hunksOf(lines).map((range) => formatHunk(lines, range, paint))
  return `${paint.heading(`--- a/${name}`)}\n${paint.heading(`+++ b/${name}`)}\n${hunks.join('')}`
}

const linesOf = (text: string) => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

interface Range {
  readonly from: number
  readonly to: number
}

/** Changed lines with their surroundings; what overlaps is one hunk. */
function hunksOf(lines: readonly DiffLine[]): Range[] {
  const hunks: { from: number; to: number }[] = []
  lines.forEach(({ kind }, i) => {
    if (kind === 'same') return
    const last = hunks.at(-1)
    const from = Math.max(0, i - context)
    const to = Math.min(lines.length, i + context + 1)
    if (last !== undefined && from <= last.to) last.to = to
    else hunks.push({ from, to })
  })
  return hunks
}

const marks = { same: ' ', added: '+', removed: '-' } as const

function formatHunk(lines: readonly DiffLine[], { from, to }: Range, paint: Paint): string {
  const old = { start: 1, count: 0 }
  const fresh = { start: 1, count: 0 }
  lines.slice(0, to).forEach(({ kind }, i) => {
    for (const side of [kind !== 'added' && old, kind !== 'removed' && fresh]) {
      if (!side) continue
      if (i < from) side.start++
      else side.count++
    }
  })
  const body = lines.slice(from, to).map(({ kind, text }) => {
    const line = `${marks[kind]}${text}`
    return `${kind === 'same' ? line : paint[kind](line)}\n`
  })
  return `${paint.faint(`@@ -${rangeText(old)} +${rangeText(fresh)} @@`)}\n${body.join('')}`
}

/** As diff writes it: the count is left out when it is 1, the start of nothing is the line before. */
function rangeText({ start, count }: { readonly start: number; readonly count: number }): string {
  if (count === 1) return String(start)
  return `${count === 0 ? start - 1 : start},${count}`
}
