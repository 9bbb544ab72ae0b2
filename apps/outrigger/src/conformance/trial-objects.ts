import { managedSidecars, outriggerResources, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import type { Draft, LabelSelector, Namespace, Pod } from '@outrigger/kube'
import { clientScript, type Probe, readyFile } from './client-script.ts'

/** What a trial makes in a cluster goes by these names; `suffix` keeps trials apart. */
export interface TrialNames {
  readonly suffix: string
  readonly namespace: string
  readonly sidecarSet: string
}

export const trialLabel = 'outrigger.dev/conformance'
export const clientName = 'outrigger-client'
export const podName = 'trial'

export function trialNames(sidecarSet: string, suffix: string): TrialNames {
  return {
    suffix,
    namespace: `outrigger-conformance-${suffix}`,
    // A name may have 63 characters.
    sidecarSet: `${sidecarSet.slice(0, 62 - suffix.length)}-${suffix}`,
  }
}

export function trialNamespace({ namespace, suffix }: TrialNames): Draft<Namespace> {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { [trialLabel]: suffix } },
    spec: {},
  }
}

/**
 * A copy of a SidecarSet that selects the trial's pod alone, and rolls out at once. What would tie it to the original is left
 * out: canary and base, tracks, hashes, recorded revisions.
 */
export function trialSidecarSet(
  original: SidecarSet,
  container: string,
  image: string,
  names: TrialNames,
): Draft<SidecarSet> {
  const { injectionStrategy: _, namespace: __, customVersion: ___, ...spec } = original.spec
  const native = original.metadata.annotations?.[sidecarSetAnnotations.updatesNativeSidecars]
  const withImage = (list: SidecarSet['spec']['containers']) =>
    list?.map((sidecar) => (sidecar.name === container ? { ...sidecar, image } : sidecar))
  const { group, version } = outriggerResources.sidecarSets
  return {
    apiVersion: `${group}/${version}`,
    kind: 'SidecarSet',
    metadata: {
      name: names.sidecarSet,
      labels: { ...original.metadata.labels, [trialLabel]: names.suffix },
      ...(native && { annotations: { [sidecarSetAnnotations.updatesNativeSidecars]: native } }),
    },
    spec: {
      ...spec,
      ...(spec.containers && { containers: withImage(spec.containers) }),
      ...(spec.initContainers && { initContainers: withImage(spec.initContainers) }),
      selector: trialSelector(original.spec.selector ?? {}, names),
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': names.namespace } },
      updateStrategy: { type: 'RollingUpdate', maxUnavailable: 1 },
    },
  }
}

/**
 * Selects the trial's pod, and provably none that the original selects: two SidecarSets with one container name are refused
 * where their selectors could meet.
 */
function trialSelector(original: LabelSelector, { suffix }: TrialNames): LabelSelector {
  const demanded = new Set([
    ...Object.keys(original.matchLabels ?? {}),
    ...(original.matchExpressions ?? []).filter(({ operator }) => operator === 'In').map(({ key }) => key),
  ])
  const present = (original.matchExpressions ?? [])
    .filter(({ operator, key }) => operator === 'Exists' && !demanded.has(key))
    .map(({ key }) => ({ key, operator: 'DoesNotExist' }))
  return {
    matchLabels: Object.fromEntries([...demanded, trialLabel].map((key) => [key, suffix])),
    ...(present.length > 0 && { matchExpressions: present }),
  }
}

export interface TrialPodOptions {
  readonly names: TrialNames
  readonly selector: LabelSelector
  readonly labels: Readonly<Record<string, string>>
  readonly clientImage: string
  readonly probe: Probe
  /** Seconds. */
  readonly requestTimeout: number
}

/**
 * A pod with the client as its only container of its own. Its readiness is a file's, for the trial to hold an upgrade half-way:
 * an old container is told to stop only while everything else in the pod is ready.
 */
export function trialPod({
  names,
  selector,
  labels,
  clientImage,
  probe,
  requestTimeout,
}: TrialPodOptions): Draft<Pod> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName,
      namespace: names.namespace,
      labels: { ...labels, ...selector.matchLabels },
    },
    spec: {
      automountServiceAccountToken: false,
      containers: [
        {
          name: clientName,
          image: clientImage,
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/sh', '-c', clientScript(probe, requestTimeout)],
          readinessProbe: {
            exec: { command: ['test', '-e', readyFile] },
            periodSeconds: 1,
            failureThreshold: 1,
            timeoutSeconds: 5,
          },
        },
      ],
    },
  } as Draft<Pod>
}

/** Where a container's image is, for a JSON patch of the SidecarSet. */
export function imagePath(sidecarSet: SidecarSet, container: string): string {
  const found = managedSidecars(sidecarSet).find(({ sidecar }) => sidecar.name === container)
  const list = found?.list ?? 'containers'
  const index = (sidecarSet.spec[list] ?? []).findIndex(({ name }) => name === container)
  return `/spec/${list}/${index}/image`
}
