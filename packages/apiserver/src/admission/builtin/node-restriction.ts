import { deepEqual, type KubeObject, type Node, type Pod, resources } from '@outrigger/kube'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionAttributes, AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf } from './attribute-questions.ts'

const prefix = 'system:node:'
const mirrorAnnotation = 'kubernetes.io/config.mirror'

/** A kubelet may write its own node, the pods on it and its own lease, and nothing of other nodes. */
export function createNodeRestriction({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    concerns: ({ user }) => user.name.startsWith(prefix) && user.groups.includes('system:nodes'),
    mutate(attributes) {
      const node = attributes.user.name.slice(prefix.length)
      const { resource } = attributes
      if (resource.group === '' && resource.plural === 'pods') checkPod(attributes, node, objects)
      else if (resource.group === '' && resource.plural === 'nodes') checkNode(attributes, node)
      else if (resource.group === 'coordination.k8s.io' && resource.plural === 'leases')
        checkLease(attributes, node)
      else if (resource.plural === 'serviceaccounts' && attributes.subresource === 'token')
        checkToken(attributes, node, objects)
    },
  }
}

function refuse(attributes: AdmissionAttributes, why: string): never {
  throw forbidden(subjectOf(attributes), nameOf(attributes), why)
}

function checkPod(attributes: AdmissionAttributes, node: string, objects: KindsEnvironment['objects']): void {
  const { operation, subresource } = attributes
  const stored = () =>
    (attributes.oldObject as Pod | undefined) ??
    objects.get<Pod>(resources.pods, { namespace: attributes.namespace, name: attributes.name })
  if (subresource === 'status') {
    const old = stored()
    if (old?.spec?.nodeName !== node)
      refuse(
        attributes,
        `node "${node}" can only update pod status for pods with spec.nodeName set to itself`,
      )
    const labels = (attributes.object as Pod).metadata.labels ?? {}
    if (!deepEqual(labels, old.metadata.labels ?? {}))
      refuse(attributes, `node "${node}" cannot update labels through pod status`)
    return
  }
  if (subresource === 'eviction') {
    if (stored()?.spec?.nodeName !== node)
      refuse(attributes, `node "${node}" can only evict pods with spec.nodeName set to itself`)
    return
  }
  if (subresource !== '') refuse(attributes, `unexpected pod subresource "${subresource}"`)
  if (operation === 'CREATE') {
    const pod = attributes.object as Pod
    if (pod.metadata.annotations?.[mirrorAnnotation] === undefined)
      refuse(
        attributes,
        `pod does not have "${mirrorAnnotation}" annotation, node "${node}" can only create mirror pods`,
      )
    if (pod.spec?.nodeName !== node)
      refuse(attributes, `node "${node}" can only create pods with spec.nodeName set to itself`)
  } else if (operation === 'DELETE') {
    if (stored()?.spec?.nodeName !== node)
      refuse(attributes, `node "${node}" can only delete pods with spec.nodeName set to itself`)
  } else refuse(attributes, `unexpected operation "${operation}"`)
}

function checkNode(attributes: AdmissionAttributes, node: string): void {
  const { operation } = attributes
  const requested = attributes.name || attributes.object?.metadata.name || ''
  if (requested !== node) refuse(attributes, `node "${node}" is not allowed to modify node "${requested}"`)
  const now = attributes.object as Node | undefined
  const old = attributes.oldObject as Node | undefined
  if (operation === 'CREATE') {
    const label = foreignLabel(now, undefined)
    if (label !== undefined)
      refuse(attributes, `node "${node}" is not allowed to set the following labels: ${label}`)
  } else if (operation === 'UPDATE') {
    if (!deepEqual(now?.spec?.taints ?? [], old?.spec?.taints ?? []))
      refuse(attributes, `node "${node}" is not allowed to modify taints`)
    const label = foreignLabel(now, old)
    if (label !== undefined) refuse(attributes, `is not allowed to modify labels: ${label}`)
  }
}

const ownLabels = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'node.kubernetes.io/windows-build',
])

/** A label in Kubernetes' own domains that kubelets may not choose for themselves. */
function foreignLabel(now: KubeObject | undefined, old: KubeObject | undefined): string | undefined {
  const labels = { ...now?.metadata.labels, ...old?.metadata.labels }
  return Object.keys(labels).find((label) => {
    if (now?.metadata.labels?.[label] === old?.metadata.labels?.[label]) return false
    const domain = label.includes('/') ? label.slice(0, label.indexOf('/')) : ''
    if (domain === 'node-restriction.kubernetes.io' || domain.endsWith('.node-restriction.kubernetes.io'))
      return true
    const isOurs = /(^|\.)(kubernetes|k8s)\.io$/.test(domain)
    const isKubelets = /(^|\.)(kubelet|node)\.kubernetes\.io$/.test(domain)
    return isOurs && !isKubelets && !ownLabels.has(label)
  })
}

function checkLease(attributes: AdmissionAttributes, node: string): void {
  if (attributes.namespace !== 'kube-node-lease')
    refuse(attributes, `can only access leases in the "kube-node-lease" system namespace`)
  const name = attributes.name || attributes.object?.metadata.name || ''
  if (name !== node)
    refuse(attributes, `can only access node lease with the same name as the requesting node`)
}

function checkToken(
  attributes: AdmissionAttributes,
  node: string,
  objects: KindsEnvironment['objects'],
): void {
  const { spec } = attributes.object as unknown as {
    spec?: { boundObjectRef?: { kind?: string; name?: string; uid?: string } }
  }
  const bound = spec?.boundObjectRef
  if (bound === undefined) refuse(attributes, 'node requested token not bound to a pod')
  if (bound.kind !== 'Pod' || !bound.name) refuse(attributes, 'node requested token not bound to a pod')
  if (!bound.uid) refuse(attributes, 'node requested token with a pod binding without a uid')
  const pod = objects.get<Pod>(resources.pods, { namespace: attributes.namespace, name: bound.name })
  if (pod === undefined || pod.metadata.uid !== bound.uid)
    refuse(
      attributes,
      `the UID in the bound object reference (${bound.uid}) does not match the UID in record`,
    )
  if (pod.spec?.nodeName !== node)
    refuse(attributes, `node requested token bound to a pod scheduled on a different node`)
}
