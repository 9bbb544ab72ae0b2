import {
  type Controller,
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, type Logger, parseTime, type Random } from '@outrigger/foundation'
import { hasVirtualNodeLabel, isActive, type SidecarSetIndex, selectSidecarSets } from '@outrigger/injection'
import { deepEqual, keyOf, type Labels, type Pod } from '@outrigger/kube'
import { injectedSidecarSets } from '../sidecar-set-status/pod-annotations.ts'

export interface VirtualNodeAuditOptions {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  readonly pods: Informer<Pod>
  readonly sidecarSets: SidecarSetIndex
  namespaceLabels(namespace: string): Labels | undefined
}

/** Milliseconds between two looks at a pod that stays as it is. */
const interval = 600_000

/** Finds pods on virtual nodes that a SidecarSet wants and that do not carry it, and says so on the pod. */
export function createVirtualNodeAuditController(options: VirtualNodeAuditOptions): Controller {
  const { clock, events, pods } = options
  /** By pod uid: what has been said about the pod. */
  const said = new Map<string, string>()

  const reconcile = async (key: string): Promise<Outcome> => {
    const pod = pods.store.get(key)
    if (pod === undefined || !isActive(pod) || !hasVirtualNodeLabel(pod)) return waitForChange
    const missing = missingSidecarSets(pod, options)
    const text = missing.join(', ')
    const uid = pod.metadata.uid ?? key
    if (text === '') said.delete(uid)
    else if (said.get(uid) !== text) {
      said.set(uid, text)
      events.event(
        { ...pod, apiVersion: 'v1', kind: 'Pod' },
        {
          type: 'Warning',
          reason: 'SidecarMissing',
          message: `The pod matches SidecarSet ${text} but was created without it; recreate the pod to get its containers`,
        },
      )
    }
    return lookAgain(Math.round(interval * (1 + 0.2 * options.random.next())))
  }
  return createController({
    ...options,
    name: 'virtual-node-audit',
    clock,
    reconcile,
    informers: [pods],
    sources: [
      (enqueue) =>
        pods.onChange({
          onAdd: (pod) => {
            if (hasVirtualNodeLabel(pod)) enqueue(keyOf(pod), 1_000)
          },
          onUpdate: (pod, before) => {
            if (hasVirtualNodeLabel(pod) && !deepEqual(pod.metadata.labels, before.metadata.labels))
              enqueue(keyOf(pod), 1_000)
          },
          onDelete: ({ metadata }) => void said.delete(metadata.uid ?? ''),
        }),
    ],
  })
}

/** SidecarSets older than the pod that match it and are not in its list. Newer ones it could not have. */
export function missingSidecarSets(
  pod: Pod,
  { sidecarSets, namespaceLabels }: Pick<VirtualNodeAuditOptions, 'sidecarSets' | 'namespaceLabels'>,
): string[] {
  const name = pod.metadata.namespace ?? ''
  const { selected } = selectSidecarSets(pod, {
    sidecarSets,
    namespace: { name, labels: namespaceLabels(name) },
  })
  const present = new Set(injectedSidecarSets(pod))
  const createdAt = parseTime(pod.metadata.creationTimestamp ?? '')
  return selected
    .filter(({ metadata }) => !present.has(metadata.name))
    .filter(({ metadata }) => !(parseTime(metadata.creationTimestamp ?? '') > createdAt))
    .map(({ metadata }) => metadata.name)
}
