import { podAnnotations, virtualNodeNames } from '@outrigger/api'
import type { Pod } from '@outrigger/kube'
import type { ReplacedPod } from './replacement-hints.ts'
import { replacesText } from './replacement-mark.ts'

/**
 * The new pod as if its author had sent it to a virtual node, where the pod before it was. Its destination is certain by
 * that, and the rest is as for any such pod.
 */
export function routedReplacement(pod: Pod, replaced: ReplacedPod): Pod {
  const { nodeTypeLabel, nodeType } = virtualNodeNames
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      annotations: { ...pod.metadata.annotations, [podAnnotations.replaces]: replacesText(replaced) },
    },
    spec: { ...pod.spec, nodeSelector: { ...pod.spec.nodeSelector, [nodeTypeLabel]: nodeType } },
  }
}
