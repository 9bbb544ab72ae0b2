/** What a reconcile wants next. A failure is not an outcome: throw it, and the key is retried with backoff. */
export type Outcome =
  /** Nothing to do until something changes. */
  | { readonly next: 'wait' }
  /** Look again after this many milliseconds even if nothing changes. */
  | { readonly next: 'look-again'; readonly after: number }

/** Nothing to do until something changes. */
export const waitForChange: Outcome = { next: 'wait' }

/** Look again after `after` milliseconds even if nothing changes. */
export const lookAgain = (after: number): Outcome => ({ next: 'look-again', after })

/** The outcome that looks earliest: of several reasons to look again, the first one due decides. */
export function earliest(...outcomes: readonly Outcome[]): Outcome {
  let best: Outcome = waitForChange
  for (const outcome of outcomes) {
    if (outcome.next === 'wait') continue
    if (best.next === 'wait' || outcome.after < best.after) best = outcome
  }
  return best
}
