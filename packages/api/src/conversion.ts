import type { KubeObject } from '@outrigger/kube'
import { sidecarSetLabels } from './names.ts'
import type { SidecarSet } from './sidecar-set.ts'

/** The object cannot be expressed in the version asked for. */
export class ConversionFailure extends Error {
  override readonly name = 'ConversionFailure'
}

const group = 'apps.kruise.io'

/**
 * The same SidecarSet in another version of `apps.kruise.io`. Everything is copied as it is, except
 * that v1alpha1's `spec.namespace` becomes a namespaceSelector (which stays one on the way back) and
 * its custom-version label becomes `spec.customVersion`.
 *
 * @throws ConversionFailure for other kinds and versions.
 */
export function convertSidecarSet(object: KubeObject, desiredApiVersion: string): KubeObject {
  if (object.kind !== 'SidecarSet')
    throw new ConversionFailure(`cannot convert ${object.kind}: only SidecarSets have several versions`)
  if (object.apiVersion === desiredApiVersion) return object
  const sidecarSet = { ...(object as SidecarSet), apiVersion: desiredApiVersion }
  switch (`${object.apiVersion} -> ${desiredApiVersion}`) {
    case `${group}/v1alpha1 -> ${group}/v1beta1`:
      return toV1beta1(sidecarSet)
    case `${group}/v1beta1 -> ${group}/v1alpha1`:
      return toV1alpha1(sidecarSet)
    default:
      throw new ConversionFailure(`cannot convert ${object.apiVersion} to ${desiredApiVersion}`)
  }
}

const namespaceName = 'kubernetes.io/metadata.name'

/**
 * `spec.namespace` as the namespaceSelector it stands for, which is how OpenKruise stores it: v1beta1 knows no other form,
 * and whoever reads that version alone would take the SidecarSet for one of all namespaces. Beside a selector of the
 * author's own it stays, for validation to refuse. The very object given if there is nothing to do.
 */
export function withNamespaceSelector(sidecarSet: SidecarSet): SidecarSet {
  const { namespace, namespaceSelector, ...spec } = sidecarSet.spec
  if (!namespace) return sidecarSet
  const { matchLabels = {}, matchExpressions = [] } = namespaceSelector ?? {}
  const isDerived =
    Object.keys(matchLabels).every((key) => key === namespaceName) && matchExpressions.length === 0
  if (!isDerived) return sidecarSet
  return {
    ...sidecarSet,
    spec: { ...spec, namespaceSelector: { matchLabels: { [namespaceName]: namespace } } },
  }
}

function toV1beta1(sidecarSet: SidecarSet): SidecarSet {
  const { namespace, ...spec } = sidecarSet.spec ?? {}
  const converted: SidecarSet = { ...sidecarSet, spec }
  if (namespace) spec.namespaceSelector = { matchLabels: { [namespaceName]: namespace } }
  const labels = sidecarSet.metadata.labels
  const customVersion = labels?.[sidecarSetLabels.customVersion]
  if (customVersion !== undefined) {
    const { [sidecarSetLabels.customVersion]: _, ...others } = labels ?? {}
    converted.metadata = { ...sidecarSet.metadata, labels: others }
    spec.customVersion = customVersion
  }
  return converted
}

function toV1alpha1(sidecarSet: SidecarSet): SidecarSet {
  const { customVersion, ...spec } = sidecarSet.spec ?? {}
  if (!customVersion) return { ...sidecarSet, spec }
  const labels = { ...sidecarSet.metadata.labels, [sidecarSetLabels.customVersion]: customVersion }
  return { ...sidecarSet, metadata: { ...sidecarSet.metadata, labels }, spec }
}
