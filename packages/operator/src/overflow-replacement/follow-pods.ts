import type { Informer } from '@outrigger/controller'
import type { Pod } from '@outrigger/kube'
import type { ReplacementHints } from './replacement-hints.ts'

/** Keeps hints up to date with the watch. A namesake in the place of a pod is another pod. */
export function followPods(hints: ReplacementHints, pods: Pick<Informer<Pod>, 'onChange'>): () => void {
  return pods.onChange({
    onAdd: (pod) => hints.observe(pod),
    onUpdate: (pod, before) => {
      if (before.metadata.uid !== pod.metadata.uid) hints.gone(before)
      hints.observe(pod)
    },
    onDelete: (pod) => hints.gone(pod),
  })
}
