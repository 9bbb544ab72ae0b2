import {
  outriggerResources,
  type SidecarSet,
  type SidecarSetResourceBinding,
  sidecarSetLabels,
  virtualNodeNames,
} from '@outrigger/api'
import { createInformers, type InformerSet, withoutManagedFields } from '@outrigger/controller'
import { SidecarSetIndex } from '@outrigger/injection'
import { type ControllerRevision, type Namespace, type Node, type Pod, resources } from '@outrigger/kube'
import { defaultNames, type ManagerOptions } from './manager-options.ts'
import { podIndexes } from './pod-indexes.ts'
import { revisionIndexes } from './sidecar-set-history/revision-history.ts'
import { podTrim } from './sidecar-set-status/trimmed-pod.ts'

/** Milliseconds between two looks whether a watch has lost something. */
const auditInterval = 900_000
/** How objects are kept of which there are few. */
const whole = { trim: withoutManagedFields, audit: auditInterval }

/** What the manager watches, each kind once, whoever asks for it. Webhooks and controllers look at the same copies. */
export class ManagerCaches {
  /** The manager's own namespace. */
  readonly namespace: string
  readonly informers: InformerSet
  /** The SidecarSets, prepared for the question which of them select a pod. Follows their informer. */
  readonly index = new SidecarSetIndex()
  readonly #trimPod = podTrim()

  constructor(options: ManagerOptions) {
    this.namespace = options.namespace ?? defaultNames.namespace
    this.informers = createInformers(options)
    this.sidecarSets().onChange({
      onAdd: (sidecarSet) => this.index.set(sidecarSet),
      onUpdate: (sidecarSet) => this.index.set(sidecarSet),
      onDelete: ({ metadata }) => this.index.delete(metadata.name),
    })
  }

  pods() {
    // One by one instead of in pages: of a large cluster no page of whole pods is ever in memory.
    return this.informers.for<Pod>(resources.pods, {
      trim: this.#trimPod,
      indexes: podIndexes,
      watchList: true,
      audit: auditInterval,
    })
  }

  namespaces() {
    return this.informers.for<Namespace>(resources.namespaces, whole)
  }

  sidecarSets() {
    return this.informers.for<SidecarSet>(outriggerResources.sidecarSets, whole)
  }

  bindings() {
    return this.informers.for<SidecarSetResourceBinding>(outriggerResources.sidecarSetResourceBindings, whole)
  }

  /** Recorded contents of SidecarSets, which are kept in the manager's namespace. */
  revisions() {
    return this.informers.for<ControllerRevision>(resources.controllerRevisions, {
      namespace: this.namespace,
      labelSelector: sidecarSetLabels.name,
      ...whole,
      indexes: revisionIndexes,
    })
  }

  virtualNodes() {
    const { nodeTypeLabel, nodeType } = virtualNodeNames
    return this.informers.for<Node>(resources.nodes, {
      labelSelector: `${nodeTypeLabel}=${nodeType}`,
      ...whole,
    })
  }
}
