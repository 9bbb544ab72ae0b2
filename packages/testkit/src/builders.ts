import type { SidecarSet } from '@outrigger/api'
import type { ConfigMap, Container, Deployment, Draft, Namespace, Pod, PodSpec } from '@outrigger/kube'

interface Named {
  readonly name?: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

function metadataOf({ name = 'web', namespace = 'default', labels, annotations }: Named) {
  return {
    name,
    namespace,
    ...(labels && { labels: { ...labels } }),
    ...(annotations && { annotations: { ...annotations } }),
  }
}

/** A container that sleeps; `changes` win. */
export function aContainer(changes: Partial<Container> = {}): Container {
  return { name: 'main', image: 'busybox', command: ['sleep', '3600'], ...changes }
}

/** A pod with one sleeping container, unless `spec` says otherwise. */
export function aPod(options: Named & { readonly spec?: Partial<PodSpec> } = {}): Draft<Pod> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadataOf(options),
    spec: { containers: [aContainer()], ...options.spec },
  }
}

/** A Deployment whose pods carry `labels` and, for its selector, `app: <name>`. */
export function aDeployment(
  options: Named & { readonly replicas?: number; readonly spec?: Partial<PodSpec> } = {},
): Draft<Deployment> {
  const { name = 'web', replicas = 1, labels, annotations, spec } = options
  const podLabels = { app: name, ...labels }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf({ ...options, name }),
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: podLabels, ...(annotations && { annotations: { ...annotations } }) },
        spec: { containers: [aContainer()], ...spec },
      },
    },
  }
}

export function aConfigMap(
  options: Named & { readonly data?: Readonly<Record<string, string>> } = {},
): Draft<ConfigMap> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadataOf(options), data: { ...options.data } }
}

export function aNamespace(name: string, labels: Readonly<Record<string, string>> = {}): Draft<Namespace> {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { ...labels } }, spec: {} }
}

/** A SidecarSet that gives pods with `matchLabels` one sleeping sidecar, unless `spec` says otherwise. */
export function aSidecarSet(
  options: {
    readonly name?: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly matchLabels?: Readonly<Record<string, string>>
    readonly spec?: Partial<SidecarSet['spec']>
  } = {},
): Draft<SidecarSet> {
  const { name = 'agent', annotations, matchLabels = { app: 'web' }, spec } = options
  return {
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name, ...(annotations && { annotations: { ...annotations } }) },
    spec: {
      selector: { matchLabels: { ...matchLabels } },
      containers: [aContainer({ name: 'agent' })],
      ...spec,
    },
  } as Draft<SidecarSet>
}
