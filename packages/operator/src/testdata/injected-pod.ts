import type { SidecarSet } from '@outrigger/api'
import { applyPlan, planInjection, type RevisionSource, SidecarSetIndex } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { type PodDraft, pod } from './objects.ts'
import { served } from './rollout-world.ts'

/** A pod with the label `app: web` on a node, before anything is injected. */
export function webPod(name: string, { labels, spec }: Omit<PodDraft, 'name'> = {}): Pod {
  return pod({ name, labels: { app: 'web', ...labels }, spec: { nodeName: 'node', ...spec } })
}

/** The pod with what injection of these SidecarSets gives it, as a node reports it that runs it. */
export function injectedPod(
  subject: Pod,
  sidecarSets: readonly SidecarSet[],
  revisions?: RevisionSource,
): Pod {
  const plan = planInjection(subject, {
    sidecarSets: new SidecarSetIndex(sidecarSets),
    namespace: { name: 'shop', labels: {} },
    time: '2026-01-02T10:00:00Z',
    ...(revisions && { revisions }),
  })
  return served(applyPlan(subject, plan))
}
