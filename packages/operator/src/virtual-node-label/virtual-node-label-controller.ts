import { virtualNodeNames } from '@outrigger/api'
import { ApiError, type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  type Controller,
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random } from '@outrigger/foundation'
import { hasVirtualNodeLabel, isActive } from '@outrigger/injection'
import { keyOf, type Node, type Pod, parseKey, resources } from '@outrigger/kube'
import type { OverflowReplacement } from '../overflow-replacement/overflow-replacement.ts'
import { ownerOf } from '../overflow-replacement/replaceable-owner.ts'
import { podsByNode } from '../pod-indexes.ts'

export interface VirtualNodeLabelOptions {
  readonly client: Pick<Client, 'patch'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  /** Needs the indexes of `podIndexes`. */
  readonly pods: Informer<Pod>
  /** Virtual nodes only. */
  readonly virtualNodes: Informer<Node>
  /** Replaces pods that were refused. Left out: they wait. */
  readonly replacement?: OverflowReplacement
}

/** Milliseconds until a pod is tried again that the API server refused. */
const retryAfterRefusal = 60_000

/**
 * Sets the virtual-node label on pods that were bound to a virtual node without it. Our own webhook sees that
 * update and adds the sidecars in the same write; an API server that does not let it refuses the whole, and the
 * pod stays unlabelled and so unstarted rather than running without them, or is replaced where that was asked for.
 */
export function createVirtualNodeLabelController(options: VirtualNodeLabelOptions): Controller {
  const { client, events, pods, virtualNodes, replacement } = options
  const isDue = (pod: Pod): boolean =>
    pod.spec.nodeName !== undefined &&
    virtualNodes.store.get(pod.spec.nodeName) !== undefined &&
    !hasVirtualNodeLabel(pod) &&
    isActive(pod) &&
    !isOfDaemonSet(pod)

  const reconcile = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const pod = pods.store.get(key)
    if (pod === undefined || !isDue(pod)) return waitForChange
    // The uid makes sure that no namesake is labelled.
    const body = { metadata: { uid: pod.metadata.uid, labels: { [virtualNodeNames.podLabel]: 'true' } } }
    try {
      await client.patch<Pod>(resources.pods, parseKey(key), { type: 'merge', body }, { signal })
      return waitForChange
    } catch (error) {
      if (isNotFound(error)) return waitForChange
      if (!(error instanceof ApiError) || isConflict(error) || ![403, 422].includes(error.code)) throw error
      const replacing = await replacement?.consider(pod, error, signal)
      if (replacing !== undefined) return replacing
      events.event({ ...pod, apiVersion: 'v1', kind: 'Pod' }, refusalOf(pod, error))
      return lookAgain(retryAfterRefusal)
    }
  }
  return createController({
    ...options,
    name: 'virtual-node-label',
    reconcile,
    concurrency: 4,
    informers: [pods, virtualNodes],
    sources: [
      ...(replacement ? [replacement.source] : []),
      (enqueue) => {
        const look = (pod: Pod) => {
          if (pod.spec.nodeName !== undefined && !hasVirtualNodeLabel(pod)) enqueue(keyOf(pod))
        }
        return pods.onChange({ onAdd: look, onUpdate: look })
      },
      (enqueue) =>
        virtualNodes.onChange({
          onAdd: ({ metadata }) => {
            for (const pod of pods.store.byIndex(podsByNode, metadata.name)) enqueue(keyOf(pod))
          },
        }),
    ],
  })
}

function isOfDaemonSet({ metadata }: Pod): boolean {
  return metadata.ownerReferences?.some(({ kind, controller }) => kind === 'DaemonSet' && controller) ?? false
}

/** Whether the pod would be accepted if it were new: no webhook and no missing right stands in the way. */
function isRuleOfUpdates({ code, message }: ApiError): boolean {
  return code === 422 && !message.startsWith('admission webhook')
}

function refusalOf(pod: Pod, error: ApiError) {
  const hasOwner = pod.metadata.ownerReferences?.some(({ controller }) => controller) ?? false
  const remedy = `${isRuleOfUpdates(error) && ownerOf(pod).isReplaceable ? 'let the manager replace such pods (--replace-overflow-pods), or ' : ''}send its pods there from the start with the label ${virtualNodeNames.eciLabel}: "true"${hasOwner ? ' in the pod template' : ''}`
  return {
    type: 'Warning',
    reason: 'VirtualNodeLabelRefused',
    message: `The pod is bound to virtual node ${pod.spec.nodeName} but cannot be given its sidecars there, so it is not started: ${error.message}; ${remedy}`,
  } as const
}
