import { countOf } from '../rendering/count.ts'
import type { Paint } from '../rendering/paint.ts'
import { formatTable } from '../rendering/table.ts'
import type { ClauseOutcome, ClauseVerdict } from './hot-upgrade-clauses.ts'

/** What a trial has found, for people: a line for each clause, with what was seen below those that did not hold. */
export function formatVerdicts(verdicts: readonly ClauseVerdict[], title: string, paint: Paint): string {
  const colors: Readonly<Record<ClauseOutcome, (text: string) => string>> = {
    held: paint.added,
    failed: paint.removed,
    'not tried': paint.warning,
    'left out': paint.faint,
  }
  const rows = verdicts.map(({ outcome, clause, reason }) => [colors[outcome](outcome), clause, reason])
  return `${paint.heading(title)}\n\n${formatTable(rows)}\n${summaryOf(verdicts)}\n`
}

/** Whether a sidecar keeps the contract: every clause that was not left out has held. */
export function allHeld(verdicts: readonly ClauseVerdict[]): boolean {
  return verdicts.every(({ outcome }) => outcome === 'held' || outcome === 'left out')
}

function summaryOf(verdicts: readonly ClauseVerdict[]): string {
  const count = (outcome: ClauseOutcome) => verdicts.filter((verdict) => verdict.outcome === outcome).length
  const parts = (['held', 'failed', 'not tried', 'left out'] as const)
    .filter((outcome) => count(outcome) > 0)
    .map((outcome) => `${count(outcome)} ${outcome}`)
  return `${countOf(verdicts.length, 'clause')}: ${parts.join(', ')}`
}
