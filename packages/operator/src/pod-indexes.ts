import type { IndexFunction } from '@outrigger/controller'
import type { Pod } from '@outrigger/kube'
import { injectedSidecarSets } from './sidecar-set-status/pod-annotations.ts'

export const podsBySidecarSet = 'sidecar-set'
export const podsByNamespace = 'namespace'
export const podsByNode = 'node'

/** The ways our controllers look pods up. */
export const podIndexes: Readonly<Record<string, IndexFunction<Pod>>> = {
  [podsBySidecarSet]: injectedSidecarSets,
  [podsByNamespace]: ({ metadata }) => (metadata.namespace ? [metadata.namespace] : []),
  [podsByNode]: ({ spec }) => (spec.nodeName ? [spec.nodeName] : []),
}
