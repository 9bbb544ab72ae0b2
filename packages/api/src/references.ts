import type { Container, Pod, PodSpec, Volume } from '@outrigger/kube'
import type { ReferenceKind } from './sidecar-set-resource-binding.ts'

/** A place in a pod that names an object as `namespace/name`. */
export interface ForeignReference {
  /** Path from the pod's root: `spec.volumes[0].configMap.name`. */
  readonly field: string
  /** What is named; `undefined` where the form has no meaning at all (imagePullSecrets). */
  readonly kind: ReferenceKind | undefined
  readonly namespace: string
  readonly name: string
  /** The volume that holds it, or the container one of whose variables does. */
  readonly holder: ReferenceHolder
}

export type ReferenceHolder =
  | { readonly volume: string }
  | { readonly container: string }
  | { readonly imagePullSecret: string }

type Visit = (field: string, kind: ReferenceKind | undefined, name: string | undefined) => void

/** Every `namespace/name` in a pod's volumes, variables and pull secrets. Object names have no slash, so the form is unambiguous. */
export function foreignReferencesOf(pod: { readonly spec: PodSpec }): ForeignReference[] {
  const found: ForeignReference[] = []
  const visitorFor =
    (holder: ReferenceHolder): Visit =>
    (field, kind, name) => {
      const slash = name?.indexOf('/') ?? -1
      if (name === undefined || slash < 0) return
      found.push({ field, kind, namespace: name.slice(0, slash), name: name.slice(slash + 1), holder })
    }
  pod.spec.volumes?.forEach((volume, i) => {
    visitVolume(volume, `spec.volumes[${i}]`, visitorFor({ volume: volume.name }))
  })
  for (const list of ['initContainers', 'containers', 'ephemeralContainers'] as const) {
    pod.spec[list]?.forEach((container, i) => {
      visitContainer(container, `spec.${list}[${i}]`, visitorFor({ container: container.name }))
    })
  }
  pod.spec.imagePullSecrets?.forEach((secret, i) => {
    const visit = visitorFor({ imagePullSecret: secret.name ?? '' })
    visit(`spec.imagePullSecrets[${i}].name`, undefined, secret.name)
  })
  return found
}

/** Whether a volume names an object of another namespace. */
export function hasForeignReference(volume: Volume): boolean {
  let found = false
  visitVolume(volume, '', (_, __, name) => {
    found ||= name?.includes('/') ?? false
  })
  return found
}

function visitVolume(volume: Volume, path: string, visit: Visit): void {
  visit(`${path}.configMap.name`, 'ConfigMap', volume.configMap?.name)
  visit(`${path}.secret.secretName`, 'Secret', volume.secret?.secretName)
  volume.projected?.sources?.forEach((source, i) => {
    visit(`${path}.projected.sources[${i}].configMap.name`, 'ConfigMap', source.configMap?.name)
    visit(`${path}.projected.sources[${i}].secret.name`, 'Secret', source.secret?.name)
  })
}

function visitContainer(container: Pick<Container, 'env' | 'envFrom'>, path: string, visit: Visit): void {
  container.env?.forEach(({ valueFrom }, i) => {
    if (valueFrom === undefined || valueFrom === null) return
    const at = `${path}.env[${i}].valueFrom`
    visit(`${at}.configMapKeyRef.name`, 'ConfigMap', valueFrom.configMapKeyRef?.name)
    visit(`${at}.secretKeyRef.name`, 'Secret', valueFrom.secretKeyRef?.name)
  })
  container.envFrom?.forEach((source, i) => {
    visit(`${path}.envFrom[${i}].configMapRef.name`, 'ConfigMap', source.configMapRef?.name)
    visit(`${path}.envFrom[${i}].secretRef.name`, 'Secret', source.secretRef?.name)
  })
}

/** Of which SidecarSet a reference in an injected pod is. */
export interface InjectedReference {
  readonly sidecarSet: string
  readonly kind: ReferenceKind
  readonly namespace: string
  readonly name: string
  /** The pod's volume, or the container one of whose variables refers. */
  readonly volume?: string
  readonly container?: string
}

/**
 * The value of the annotation `outrigger.dev/injected-references`: a JSON list, sorted, so that the
 * same references always give the same text.
 */
export function formatInjectedReferences(references: readonly InjectedReference[]): string {
  const texts = references.map(({ sidecarSet, kind, namespace, name, volume, container }) =>
    JSON.stringify({ sidecarSet, kind, namespace, name, volume, container }),
  )
  return `[${[...new Set(texts)].sort().join(',')}]`
}

/** The inverse; `undefined` when the text is not such a list. An absent annotation is an empty list. */
export function parseInjectedReferences(text: string | undefined): InjectedReference[] | undefined {
  if (text === undefined || text === '') return []
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return Array.isArray(value) && value.every(isInjectedReference) ? value : undefined
}

function isInjectedReference(value: unknown): value is InjectedReference {
  if (typeof value !== 'object' || value === null) return false
  const { sidecarSet, kind, namespace, name, volume, container } = value as Record<string, unknown>
  return (
    [sidecarSet, namespace, name].every((field) => typeof field === 'string' && field !== '') &&
    (kind === 'ConfigMap' || kind === 'Secret') &&
    (typeof volume === 'string') !== (typeof container === 'string')
  )
}

/** The record that explains a reference found in a pod, if there is one. */
export function explanationOf(
  reference: ForeignReference,
  injected: readonly InjectedReference[],
): InjectedReference | undefined {
  const { holder } = reference
  return injected.find(
    (record) =>
      record.kind === reference.kind &&
      record.namespace === reference.namespace &&
      record.name === reference.name &&
      ('volume' in holder
        ? record.volume === holder.volume
        : 'container' in holder && record.container === holder.container),
  )
}

/** The namespace a pod's own names are looked up in. */
export function namespaceOf(pod: Pick<Pod, 'metadata'>): string {
  return pod.metadata.namespace || 'default'
}
