import {
  defaultSidecarSet,
  type SidecarSet,
  type SidecarSetResourceBinding,
  type SidecarSetSpec,
} from '@outrigger/api'
import { applyPlan, planInjection, SidecarSetIndex } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import type { ClusterPicture } from '../manifests/cluster-picture.ts'

/** A SidecarSet `logs` for pods labelled `app: web`, as admission stores it. */
export function logs(spec: SidecarSetSpec = {}): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: 'logs', uid: 'set-1', generation: 1, creationTimestamp: '2026-01-02T00:00:00Z' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'logs', image: 'logs:1' }],
      ...spec,
    },
  })
}

export interface PodDraft {
  readonly name?: string
  readonly labels?: Record<string, string>
  readonly spec?: Partial<Pod['spec']>
  readonly isReady?: boolean
}

/** A pod `shop/web` with the label `app: web`, running on node `node-1`. */
export function webPod({ name = 'web', labels = { app: 'web' }, spec, isReady = true }: PodDraft = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: name, labels, creationTimestamp: '2026-01-03T00:00:00Z' },
    spec: { nodeName: 'node-1', containers: [{ name: 'web', image: 'web:1' }], ...spec },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  }
}

/** The pod with what these SidecarSets give it, and a node that runs all of it. */
export function injectedPod(pod: Pod, ...sidecarSets: readonly SidecarSet[]): Pod {
  const facts = {
    sidecarSets: new SidecarSetIndex(sidecarSets),
    namespace: { name: 'shop', labels: {} },
    time: '2026-01-03T00:00:00Z',
  }
  const injected = applyPlan(pod, planInjection(pod, facts))
  const containerStatuses = injected.spec.containers.map(({ name, image = '' }) => ({
    name,
    image,
    imageID: `id-of-${image}`,
    ready: true,
    restartCount: 0,
    state: { running: { startedAt: '2026-01-03T00:00:01Z' } },
  }))
  return { ...injected, status: { ...injected.status, containerStatuses } }
}

/** A cluster with these SidecarSets and bindings, and one virtual node `vk`. */
export function pictureWith(
  sidecarSets: readonly SidecarSet[],
  bindings: readonly SidecarSetResourceBinding[] = [],
): ClusterPicture {
  return {
    sidecarSets: new SidecarSetIndex(sidecarSets),
    bindings,
    namespace: (name) => ({ name, labels: { 'kubernetes.io/metadata.name': name } }),
    isVirtualNode: (name) => name === 'vk',
  }
}
