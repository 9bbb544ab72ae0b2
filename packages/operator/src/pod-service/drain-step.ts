import type { Pod } from '@outrigger/kube'
import { restartsContainers } from '../sidecar-set-rollout/pod-change.ts'
import type { PodView } from '../sidecar-set-status/pod-view.ts'
import { isOutOfService, type OutOfService, serviceOf } from './pod-service.ts'

/** What comes next for a pod whose turn in a rollout has come. */
export type DrainStep =
  /** Its images may change: it is out of its Services for long enough, or nothing is to be drained. */
  | { readonly next: 'change' }
  /** Take it out of its Services. */
  | { readonly next: 'close' }
  /** It is not ready any more: see whether its endpoints know. `isLast`: if they do not, it is taken back in. */
  | { readonly next: 'look'; readonly service: OutOfService; readonly isLast: boolean }
  /** Nothing for so many milliseconds, unless the pod changes. */
  | { readonly next: 'wait'; readonly milliseconds: number }
  /** Back into its Services: traffic would not go away. */
  | { readonly next: 'give up'; readonly why: string }

/** Milliseconds after which a pod is back in service whose endpoints do not let go of it. */
export const drainDeadline = 60_000

/** Why a pod can be changed without being drained, where its SidecarSet asks for a drain. */
export type DrainExemption = 'made before' | 'no restart'

/**
 * The next step towards the change of a waiting pod, from what the pod itself says. `duration`: milliseconds out of service
 * that its SidecarSet asks for, `undefined` for none; `now`: milliseconds since 1970.
 */
export function drainStep(view: PodView, duration: number | undefined, now: number): DrainStep {
  if (duration === undefined || drainExemption(view) !== undefined) return { next: 'change' }
  const service = serviceOf(view.pod)
  if (!isOutOfService(service)) return { next: 'close' }
  const isUnready = !isReady(view.pod)
  if (isUnready && service.drainedAt !== undefined && service.drainedAt <= now + drainDeadline) {
    const left = service.drainedAt + duration - now
    return left > 0 ? { next: 'wait', milliseconds: left } : { next: 'change' }
  }
  // A time in the far future is as little use as none.
  const isReadable = service.since <= now + drainDeadline
  const left = isReadable ? service.since + drainDeadline - now : 0
  if (isUnready) return { next: 'look', service, isLast: left <= 0 }
  return left > 0
    ? { next: 'wait', milliseconds: left }
    : {
        next: 'give up',
        why: `its node has not made it unready within ${drainDeadline / 1_000} s: does it know readiness gates?`,
      }
}

/** Why this pod is changed without a drain; `undefined` where it is drained, if its SidecarSet asks for it. */
export function drainExemption({ pod, target, way }: PodView): DrainExemption | undefined {
  const restarts = way === 'images' || way === 'resize' ? restartsContainers(pod, target, way) : false
  if (!restarts) return 'no restart'
  return serviceOf(pod) === 'without gate' ? 'made before' : undefined
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
}
