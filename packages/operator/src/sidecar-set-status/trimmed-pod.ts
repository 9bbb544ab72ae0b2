import { inServiceGate, sidecarSetUpgradableCondition } from '@outrigger/api'
import type { Container, ContainerStatus, KubeObject, Pod } from '@outrigger/kube'
import { injectedSidecarSets } from './pod-annotations.ts'

/** What `kubectl apply` writes down for itself: often the longest text of a pod, and never ours to change. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** Conditions that are looked at. */
const conditions: readonly string[] = ['Ready', sidecarSetUpgradableCondition]
/** And in pods that can be drained. */
const drainConditions: readonly string[] = [...conditions, inServiceGate, 'ContainersReady']

/**
 * A copy of a pod with what our controllers look at and nothing else, about a tenth of it. Of a pod that carries no
 * SidecarSet not even the containers: nobody asks what runs in it.
 */
export function trimmedPod(pod: Pod, texts?: TextPool): Pod {
  const same = (text: string) => texts?.same(text) ?? text
  const isCarrier = injectedSidecarSets(pod).length > 0
  const { metadata, spec, status } = pod
  const { initContainers, nodeName } = spec
  const gates = (spec.readinessGates ?? []).map(({ conditionType }) => same(conditionType))
  const isGated = gates.includes(inServiceGate)
  const looked = new Set([...(isGated ? drainConditions : conditions), ...gates])
  const statuses = (list: readonly ContainerStatus[]) => list.map((one) => trimmedStatus(one, same))
  const containers = (list: readonly Container[]) => list.map((one) => trimmedContainer(one, same))
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...trimmedMetadata(metadata, same),
      ...(isGated && metadata.generation !== undefined && { generation: metadata.generation }),
    },
    spec: {
      containers: isCarrier ? containers(spec.containers) : [],
      ...(isCarrier && initContainers && { initContainers: containers(initContainers) }),
      ...(nodeName !== undefined && { nodeName: same(nodeName) }),
      ...(gates.length > 0 && { readinessGates: gates.map((conditionType) => ({ conditionType })) }),
    },
    ...(status && {
      status: {
        ...(status.phase !== undefined && { phase: status.phase }),
        ...(status.conditions && {
          conditions: status.conditions
            .filter(({ type }) => looked.has(type))
            .map(({ type, status, reason, message, lastTransitionTime, lastProbeTime }) => ({
              type: same(type),
              status: same(status),
              ...(reason && { reason: same(reason) }),
              ...(message && { message: same(message) }),
              ...(lastTransitionTime && { lastTransitionTime: same(lastTransitionTime) }),
              ...(type === inServiceGate && lastProbeTime && { lastProbeTime }),
            })),
        }),
        ...(isGated &&
          status.observedGeneration !== undefined && { observedGeneration: status.observedGeneration }),
        ...(isCarrier &&
          status.containerStatuses && { containerStatuses: statuses(status.containerStatuses) }),
        ...(isCarrier &&
          status.initContainerStatuses && { initContainerStatuses: statuses(status.initContainerStatuses) }),
      },
    }),
  }
}

/** A trim function for informers of pods, with a pool of its own. */
export function podTrim(): (object: KubeObject) => object {
  const texts = new TextPool()
  // An informer of pods trims pods.
  return (object) => trimmedPod(object as Pod, texts)
}

type Same = (text: string) => string

function trimmedMetadata(metadata: Pod['metadata'], same: Same): Pod['metadata'] {
  const { labels, annotations, ownerReferences } = metadata
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = metadata
  const controller = ownerReferences?.find((owner) => owner.controller)
  return {
    name,
    ...(namespace !== undefined && { namespace: same(namespace) }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(creationTimestamp && { creationTimestamp: same(creationTimestamp) }),
    ...(deletionTimestamp && { deletionTimestamp }),
    ...(labels && { labels: pooled(labels, same) }),
    ...(annotations && { annotations: pooled(annotations, same) }),
    ...(controller && {
      ownerReferences: [
        {
          apiVersion: same(controller.apiVersion),
          kind: same(controller.kind),
          name: same(controller.name),
          uid: same(controller.uid),
          controller: true,
        },
      ],
    }),
  }
}

function pooled(texts: Readonly<Record<string, string>>, same: Same): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const key in texts) if (key !== lastApplied) kept[key] = same(texts[key] ?? '')
  return kept
}

function trimmedContainer({ name, image, restartPolicy }: Container, same: Same): Container {
  return {
    name: same(name),
    ...(image !== undefined && { image: same(image) }),
    ...(restartPolicy !== undefined && { restartPolicy: same(restartPolicy) }),
  }
}

function trimmedStatus(status: ContainerStatus, same: Same): ContainerStatus {
  const { name, image, imageID, ready, restartCount } = status
  const startedAt = status.state?.running?.startedAt
  return {
    name: same(name),
    image: same(image),
    imageID: same(imageID ?? ''),
    ready,
    restartCount,
    ...(startedAt && { state: { running: { startedAt: same(startedAt) } } }),
  }
}

/** Texts that many objects have in common, kept once. Forgets everything when it is full, so that it cannot grow. */
export class TextPool {
  readonly #texts = new Map<string, string>()
  readonly #capacity: number
  readonly #longest = 2_048

  constructor(capacity = 16_384) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#texts.size
  }

  /** The first text given that equals this one. */
  same(text: string): string {
    if (text.length > this.#longest) return text
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (this.#texts.size >= this.#capacity) this.#texts.clear()
    this.#texts.set(text, text)
    return text
  }
}
