import type { Pod, Toleration } from '@outrigger/kube'
import type { AdmissionPlugin } from '../plugin.ts'
import { writes } from './attribute-questions.ts'

const notReady = 'node.kubernetes.io/not-ready'
const unreachable = 'node.kubernetes.io/unreachable'
const seconds = 300

/** Lets pods sit out five minutes of a node that is not ready or unreachable, unless they say otherwise. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  concerns: (attributes) => writes(attributes, '', 'pods', 'CREATE', 'UPDATE'),
  mutate({ object }) {
    const spec = (object as Pod).spec
    if (spec === undefined) return
    const added: Toleration[] = []
    for (const key of [notReady, unreachable])
      if (!tolerates(spec.tolerations, key))
        added.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds })
    if (added.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...added]
  },
}

function tolerates(tolerations: readonly Toleration[] | undefined, key: string): boolean {
  return (tolerations ?? []).some(
    (toleration) =>
      (!toleration.key || toleration.key === key) &&
      (!toleration.effect || toleration.effect === 'NoExecute'),
  )
}
