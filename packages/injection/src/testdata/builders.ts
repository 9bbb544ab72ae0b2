import { defaultSidecarSet, type SidecarSet, type SidecarSetSpec } from '@outrigger/api'
import type { Pod, PodSpec } from '@outrigger/kube'
import type { InjectionFacts } from '../plan.ts'
import { SidecarSetIndex } from '../sidecar-set-index.ts'
import type { VirtualNodeFacts } from '../virtual-node.ts'

/** A SidecarSet for pods labelled `app: web`, as admission stores it. */
export function sidecarSet(
  name: string,
  spec: SidecarSetSpec,
  annotations: Record<string, string> = {},
): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name, annotations },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
  })
}

export interface PodDraft extends Partial<PodSpec> {
  readonly labels?: Record<string, string>
  readonly annotations?: Record<string, string>
}

/** A pod `web` in namespace `shop` with the label `app: web` and one container. */
export function pod({ labels, annotations, ...spec }: PodDraft = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'shop',
      labels: { app: 'web', ...labels },
      ...(annotations && { annotations }),
    },
    spec: { containers: [{ name: 'web', image: 'example/web:1' }], ...spec },
  }
}

/** Facts with these SidecarSets, at a fixed time; the node `vk` is virtual. */
export function facts(
  sidecarSets: readonly SidecarSet[],
  namespaceLabels: Record<string, string> = {},
): InjectionFacts & VirtualNodeFacts {
  return {
    sidecarSets: new SidecarSetIndex(sidecarSets),
    namespace: { name: 'shop', labels: { 'kubernetes.io/metadata.name': 'shop', ...namespaceLabels } },
    time: '2026-01-01T10:00:00Z',
    isVirtualNode: (name) => name === 'vk',
  }
}
