import type { SidecarSet } from '@outrigger/api'
import { SidecarSetIndex } from '@outrigger/injection'
import type { ControllerRevision } from '@outrigger/kube'
import { FedInformer } from './memory-cluster.ts'

/** What rollouts look up besides the objects, where nothing is recorded and revisions are called by `nameOf`. */
export function withoutHistory(nameOf: (sidecarSet: SidecarSet) => string) {
  return {
    revisions: new FedInformer<ControllerRevision>(),
    history: { nameOf, contentOf: () => undefined, find: () => undefined },
    index: new SidecarSetIndex(),
    managerNamespace: 'kruise-system',
    isAnswering: () => true,
  }
}
