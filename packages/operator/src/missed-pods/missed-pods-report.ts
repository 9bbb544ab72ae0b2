import { sidecarSetAnnotations } from '@outrigger/api'
import type { EventDraft } from '@outrigger/controller'
import type { MissedPod } from './missed-pod.ts'
import type { MissedTally } from './missed-pods.ts'

/** What becomes of the missed pods of a SidecarSet. */
export type Repair =
  /** Nobody asked for eviction. */
  | { readonly is: 'not asked for' }
  /** The SidecarSet asks for it, the manager was not started with it. */
  | { readonly is: 'switched off' }
  /** The API server refuses it. */
  | { readonly is: 'refused'; readonly message: string }
  /** New pods came without the SidecarSet as well. */
  | { readonly is: 'futile'; readonly attempts: number }
  | { readonly is: 'under way'; readonly budget: number }

/** How many pods are named. */
const shown = 5

/**
 * The event on a SidecarSet that tells which pods run without it, and what to do. `takesInRunningPods`: whether pods from before
 * it are among them.
 */
export function reportOf(tally: MissedTally, repair: Repair, takesInRunningPods: boolean): EventDraft {
  const { size } = tally
  const names = [...first(tally.replaceable, shown), ...first(tally.lasting, shown)].slice(0, shown)
  const more = size > names.length ? `, and ${size - names.length} more` : ''
  const origin = takesInRunningPods
    ? 'created before it selected them, or while no webhook answered'
    : 'created while no webhook answered or with other labels'
  const pods = size === 1 ? '1 pod runs' : `${size} pods run`
  return {
    type: 'Warning',
    reason: 'PodsMissedSidecars',
    message: `${pods} without the sidecars of this SidecarSet, ${origin}: ${names.join(', ')}${more}. ${remedy(tally, repair)}`,
  }
}

function remedy({ lasting }: MissedTally, repair: Repair): string {
  const annotation = `${sidecarSetAnnotations.missedPods}: evict`
  const others =
    lasting.size > 0
      ? `; ${lasting.size} of them must be recreated by hand: no owner would make them anew`
      : ''
  if (repair.is === 'not asked for')
    return `Recreate them, or let the manager evict them within maxUnavailable (annotation ${annotation})`
  if (repair.is === 'switched off')
    return `They are not evicted, because the manager may not: outrigger install --evict-missed-pods lets it${others}`
  if (repair.is === 'refused') return `They could not be evicted: ${repair.message}${others}`
  if (repair.is === 'futile')
    return `Evictions pause: ${repair.attempts} times the new pod came without them as well, so webhooks are not asked about these pods${others}`
  return `They are evicted, ${repair.budget} at a time at most${others}`
}

function first(pods: Iterable<MissedPod>, count: number): string[] {
  const names: string[] = []
  for (const { key } of pods) {
    if (names.length === count) break
    names.push(key)
  }
  return names
}
