import {
  defaultSidecarSet,
  type SidecarSet,
  type SidecarSetResourceBinding,
  type SidecarSetSpec,
} from '@outrigger/api'
import type { Namespace, Node, Pod, PodStatus } from '@outrigger/kube'

/** The SidecarSet of the story: log shipping for pods on virtual nodes, its configuration in kube-system. */
export function filebeat(spec: SidecarSetSpec = {}): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: 'filebeat', uid: 'set-1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      selector: { matchLabels: { 'serverless.alibabacloud.com/virtual-node': 'true' } },
      updateStrategy: { type: 'NotUpdate' },
      containers: [
        {
          name: 'filebeat',
          image: 'filebeat:8',
          volumeMounts: [{ name: 'config', mountPath: '/etc/filebeat' }],
        },
      ],
      volumes: [{ name: 'config', configMap: { name: 'kube-system/filebeat-config' } }],
      ...spec,
    },
  })
}

export function binding(names: readonly string[] = ['filebeat-config']): SidecarSetResourceBinding {
  return {
    apiVersion: 'sidecarset.alibabacloud.com/v1alpha1',
    kind: 'SidecarSetResourceBinding',
    metadata: { name: 'filebeat', namespace: 'kube-system', uid: 'binding-1', generation: 1 },
    spec: {
      subjects: [{ kind: 'SidecarSet', name: 'filebeat' }],
      resourceRefs: names.map((name) => ({ kind: 'ConfigMap', name })),
    },
  }
}

export interface PodDraft {
  readonly name?: string
  readonly labels?: Record<string, string>
  readonly annotations?: Record<string, string>
  readonly spec?: Partial<Pod['spec']>
  readonly status?: PodStatus
}

export function pod({ name = 'web', labels, annotations, spec, status }: PodDraft = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-of-${name}`,
      creationTimestamp: '2026-01-02T00:00:00Z',
      ...(labels && { labels }),
      ...(annotations && { annotations }),
    },
    spec: { containers: [{ name: 'web', image: 'web:1' }], ...spec },
    ...(status && { status }),
  }
}

export function namespace(name: string, labels: Record<string, string> = {}): Namespace {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels }, spec: {} }
}

export function virtualNode(name = 'vk'): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { type: 'virtual-kubelet' } }, spec: {} }
}
