import { virtualNodeNames } from '@outrigger/api'
import type { Controller, EventRecorder } from '@outrigger/controller'
import type { Runnable } from '@outrigger/foundation'
import type { ManagerCaches } from './manager-caches.ts'
import type { ManagerOptions } from './manager-options.ts'
import {
  createMissedPodsController,
  type MissedPodsController,
} from './missed-pods/missed-pods-controller.ts'
import { createOverflowReplacement } from './overflow-replacement/overflow-replacement.ts'
import { createPodServiceController } from './pod-service/pod-service-controller.ts'
import { createResizeSupport } from './registration/resize-support.ts'
import { createResourceBindingController } from './resource-binding/resource-binding-controller.ts'
import { createUpgradableConditionController } from './sidecar-set-condition/upgradable-condition-controller.ts'
import { RevisionHistory } from './sidecar-set-history/revision-history.ts'
import { createSidecarSetHistoryController } from './sidecar-set-history/sidecar-set-history-controller.ts'
import {
  createSidecarSetController,
  type SidecarSetController,
} from './sidecar-set-rollout/sidecar-set-controller.ts'
import { LedgerFeed } from './sidecar-set-status/ledger-feed.ts'
import { createVirtualNodeAuditController } from './virtual-node-audit/virtual-node-audit-controller.ts'
import { createVirtualNodeLabelController } from './virtual-node-label/virtual-node-label-controller.ts'

export interface ManagerControllerOptions {
  readonly manager: ManagerOptions
  readonly caches: ManagerCaches
  readonly events: EventRecorder
  /** Where events are told that OpenKruise tells too. */
  readonly rolloutEvents: EventRecorder
  /** Whether pods created now are asked about. */
  readonly isAnswering: () => boolean
}

/** What runs in the manager that leads. */
export interface ManagerControllers {
  /** Every controller, as one list. */
  readonly all: readonly Controller[]
  /** What runs beside them. */
  readonly companions: readonly Runnable[]
  readonly missedPods: MissedPodsController
}

/** Makes every controller. Their informers are made on the way, so this comes before the caches are run. */
export function createManagerControllers(options: ManagerControllerOptions): ManagerControllers {
  const { manager, caches, events, rolloutEvents, isAnswering } = options
  const shared = { ...manager, events }
  const pods = caches.pods()
  const sidecarSets = caches.sidecarSets()
  const namespaces = caches.namespaces()
  const virtualNodes = caches.virtualNodes()
  const revisions = caches.revisions()
  const history = new RevisionHistory(revisions.store)
  const resizeSupport = createResizeSupport({ ...manager, onChange: () => feed.recount() })
  const changes = {
    revisions,
    history,
    recordedContent: history.contentOf.bind(history),
    canResize: () => resizeSupport.isThere,
    canEvict: () => manager.recreatesPods ?? false,
  }
  const feed = new LedgerFeed({ ...manager, sidecarSets, pods, namespaces, changes })
  const namespaceLabels = (name: string) => namespaces.store.get(name)?.metadata.labels
  const admission = { isAnswering, index: caches.index, managerNamespace: caches.namespace }
  const missedPods: MissedPodsController = createMissedPodsController({
    ...shared,
    ...{ sidecarSets, pods, namespaces, feed },
    ...admission,
    owedElsewhere: (name) => rollout.owedTo(name),
    evicts: manager.evictsMissedPods ?? false,
    isVirtualNode: (name) => virtualNodes.store.get(name) !== undefined,
  })
  const rollout: SidecarSetController = createSidecarSetController({
    ...shared,
    ...{ sidecarSets, pods, namespaces, revisions, history, feed },
    ...admission,
    events: rolloutEvents,
    workers: manager.sidecarSetWorkers ?? 3,
    owedElsewhere: (name) => missedPods.owedTo(name),
  })
  const replacement = manager.replacesOverflowPods && {
    replacement: createOverflowReplacement({
      ...shared,
      ...{ pods, namespaceLabels, isAnswering },
      sidecarSets: caches.index,
    }),
  }
  const all = [
    missedPods,
    rollout,
    createPodServiceController({ ...shared, pods, sidecarSets, namespaces, feed }),
    createSidecarSetHistoryController({
      ...shared,
      ...{ sidecarSets, pods, namespaces, revisions, history, feed },
      namespace: caches.namespace,
    }),
    createUpgradableConditionController({ ...shared, pods, sidecarSets, namespaces, feed }),
    createVirtualNodeLabelController({ ...shared, pods, virtualNodes, ...replacement }),
    createVirtualNodeAuditController({ ...shared, pods, sidecarSets: caches.index, namespaceLabels }),
    createResourceBindingController({
      ...shared,
      sidecarSets,
      bindings: caches.bindings(),
      subjects: { group: manager.virtualNodeGroup ?? virtualNodeNames.group, manager: manager.userName },
    }),
  ]
  return { all, companions: [resizeSupport], missedPods }
}
