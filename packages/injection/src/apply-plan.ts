import { createJsonPatch, type JsonPatchOperation, type Pod } from '@outrigger/kube'
import type { InjectionPlan } from './plan.ts'

/** The pod as the plan wants it. The pod given stays as it is; what did not change is shared with it. */
export function applyPlan(pod: Pod, { pieces }: Pick<InjectionPlan, 'pieces'>): Pod {
  const { labels, annotations, spec } = pieces
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      ...(Object.keys(labels).length > 0 && { labels: { ...pod.metadata.labels, ...labels } }),
      ...(Object.keys(annotations).length > 0 && {
        annotations: { ...pod.metadata.annotations, ...annotations },
      }),
    },
    spec: { ...pod.spec, ...spec },
  }
}

/** The plan as a JSON patch for the pod it was made for; empty if there is nothing to do. */
export function patchOf(pod: Pod, plan: Pick<InjectionPlan, 'pieces'>): JsonPatchOperation[] {
  return createJsonPatch(pod, applyPlan(pod, plan))
}
