import type { KubeObject } from '@outrigger/kube'
import { ageCell, type Cell, type Cells, nameCell, orNone, orUnset } from './cell.ts'

/** The value at a path of an object whose kind is not worth a type here. */
function at(object: KubeObject, path: string): unknown {
  let value: unknown = object
  for (const part of path.split('.')) value = (value as Record<string, unknown> | null | undefined)?.[part]
  return value ?? undefined
}

const text =
  (path: string): Cell =>
  (object) =>
    String(at(object, path) ?? '')
const textOrNone =
  (path: string): Cell =>
  (object) =>
    orNone(at(object, path) as string | undefined)
const yes =
  (path: string, otherwise: boolean): Cell =>
  (object) =>
    Boolean(at(object, path) ?? otherwise)
const count =
  (path: string): Cell =>
  (object) =>
    ((at(object, path) as readonly unknown[] | undefined) ?? []).length
const number =
  (path: string): Cell =>
  (object) =>
    Number(at(object, path) ?? 0)

const paramKind: Cell = (object) => {
  const kind = at(object, 'spec.paramKind') as { apiVersion?: string; kind?: string } | undefined
  return kind === undefined ? '<unset>' : `${kind.apiVersion}/${kind.kind}`
}
const paramRef: Cell = (object) => {
  const reference = at(object, 'spec.paramRef') as { name?: string; namespace?: string } | undefined
  if (reference === undefined) return '<unset>'
  if (reference.name === undefined) return `${reference.namespace ?? '*'}/<selector>`
  return `${reference.namespace ?? '*'}/${reference.name}`
}
const conditionStatus =
  (type: string): Cell =>
  (object) => {
    const conditions = at(object, 'status.conditions') as
      | { type: string; status: string; reason?: string }[]
      | undefined
    const condition = conditions?.find((one) => one.type === type)
    if (condition === undefined) return 'Unknown'
    return condition.status === 'True' || !condition.reason
      ? condition.status
      : `${condition.status} (${condition.reason})`
  }
const certificateCondition: Cell = (object) => {
  const conditions = (at(object, 'status.conditions') as { type: string }[] | undefined) ?? []
  const has = (type: string) => conditions.some((condition) => condition.type === type)
  const parts = [has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending']
  if (has('Failed')) parts.push('Failed')
  if (at(object, 'status.certificate')) parts.push('Issued')
  return parts.join(',')
}
const apiServiceTarget: Cell = (object) => {
  const service = at(object, 'spec.service') as { namespace?: string; name?: string } | undefined
  return service === undefined ? 'Local' : `${service.namespace}/${service.name}`
}
const parameters: Cell = (object) => {
  const reference = at(object, 'spec.parameters') as
    | { apiGroup?: string; kind: string; name: string }
    | undefined
  if (reference === undefined) return '<none>'
  return reference.apiGroup
    ? `${reference.kind}.${reference.apiGroup}/${reference.name}`
    : `${reference.kind}/${reference.name}`
}
const claimState: Cell = (object) => {
  const states: string[] = []
  if (object.metadata.deletionTimestamp !== undefined) states.push('deleted')
  if (at(object, 'status.allocation') === undefined) states.push('pending')
  else {
    states.push('allocated')
    if (((at(object, 'status.reservedFor') as unknown[] | undefined) ?? []).length > 0)
      states.push('reserved')
  }
  return states.join(',')
}

/** Cells of kinds few look at, by `group/version/resource`; what is not here shows name and age. */
export const rareCells: Readonly<Record<string, Cells>> = {
  'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations': [nameCell, count('webhooks'), ageCell],
  'admissionregistration.k8s.io/v1/validatingwebhookconfigurations': [nameCell, count('webhooks'), ageCell],
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicies': [
    nameCell,
    count('spec.mutations'),
    paramKind,
    ageCell,
  ],
  'admissionregistration.k8s.io/v1/validatingadmissionpolicies': [
    nameCell,
    count('spec.validations'),
    paramKind,
    ageCell,
  ],
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings': [
    nameCell,
    text('spec.policyName'),
    paramRef,
    ageCell,
  ],
  'admissionregistration.k8s.io/v1/validatingadmissionpolicybindings': [
    nameCell,
    text('spec.policyName'),
    paramRef,
    ageCell,
  ],
  'apiregistration.k8s.io/v1/apiservices': [
    nameCell,
    apiServiceTarget,
    conditionStatus('Available'),
    ageCell,
  ],
  'certificates.k8s.io/v1/certificatesigningrequests': [
    nameCell,
    ageCell,
    text('spec.signerName'),
    text('spec.username'),
    (object) => {
      const seconds = at(object, 'spec.expirationSeconds')
      return seconds === undefined ? '<none>' : `${Math.round(Number(seconds) / 3600)}h`
    },
    certificateCondition,
  ],
  'networking.k8s.io/v1/ingressclasses': [nameCell, text('spec.controller'), parameters, ageCell],
  'networking.k8s.io/v1/ipaddresses': [
    nameCell,
    (object) => {
      const parent = at(object, 'spec.parentRef') as Record<string, string> | undefined
      return parent === undefined ? '<none>' : `${parent.resource}/${parent.namespace}/${parent.name}`
    },
  ],
  'networking.k8s.io/v1/servicecidrs': [
    nameCell,
    (object) => ((at(object, 'spec.cidrs') as string[] | undefined) ?? []).join(','),
    ageCell,
  ],
  'storage.k8s.io/v1/csidrivers': [
    nameCell,
    yes('spec.attachRequired', true),
    yes('spec.podInfoOnMount', false),
    yes('spec.storageCapacity', false),
    (object) =>
      orUnset(
        ((at(object, 'spec.tokenRequests') as { audience: string }[] | undefined) ?? [])
          .map(({ audience }) => audience)
          .join(','),
      ),
    yes('spec.requiresRepublish', false),
    (object) => orNone(((at(object, 'spec.volumeLifecycleModes') as string[] | undefined) ?? []).join(',')),
    ageCell,
  ],
  'storage.k8s.io/v1/csinodes': [nameCell, count('spec.drivers'), ageCell],
  'storage.k8s.io/v1/csistoragecapacities': [nameCell, (object) => object.metadata.creationTimestamp ?? null],
  'storage.k8s.io/v1/volumeattachments': [
    nameCell,
    text('spec.attacher'),
    text('spec.source.persistentVolumeName'),
    text('spec.nodeName'),
    yes('status.attached', false),
    ageCell,
  ],
  'storage.k8s.io/v1/volumeattributesclasses': [nameCell, text('driverName'), ageCell],
  'scheduling.k8s.io/v1/priorityclasses': [
    nameCell,
    number('value'),
    yes('globalDefault', false),
    ageCell,
    text('preemptionPolicy'),
  ],
  'node.k8s.io/v1/runtimeclasses': [nameCell, text('handler'), ageCell],
  'resource.k8s.io/v1/resourceclaims': [nameCell, claimState, ageCell],
  'resource.k8s.io/v1/resourceslices': [
    nameCell,
    textOrNone('spec.nodeName'),
    text('spec.driver'),
    text('spec.pool.name'),
    ageCell,
  ],
  'flowcontrol.apiserver.k8s.io/v1/flowschemas': [
    nameCell,
    text('spec.priorityLevelConfiguration.name'),
    text('spec.matchingPrecedence'),
    textOrNone('spec.distinguisherMethod.type'),
    ageCell,
    (object) => {
      const dangling = conditionStatus('Dangling')(object, 0)
      return dangling === 'Unknown' ? '?' : String(dangling).split(' ')[0] === 'True' ? 'True' : 'False'
    },
  ],
  'flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations': [
    nameCell,
    text('spec.type'),
    textOrNone('spec.limited.nominalConcurrencyShares'),
    textOrNone('spec.limited.limitResponse.queuing.queues'),
    textOrNone('spec.limited.limitResponse.queuing.handSize'),
    textOrNone('spec.limited.limitResponse.queuing.queueLengthLimit'),
    ageCell,
  ],
  'core/v1/componentstatuses': [
    nameCell,
    (object) => {
      const conditions = at(object, 'conditions') as { type: string; status: string }[] | undefined
      const healthy = conditions?.find(({ type }) => type === 'Healthy')?.status
      return healthy === 'True' ? 'Healthy' : healthy === 'False' ? 'Unhealthy' : 'Unknown'
    },
    (object) => ((at(object, 'conditions') as { message?: string }[] | undefined) ?? [])[0]?.message ?? '',
    (object) => ((at(object, 'conditions') as { error?: string }[] | undefined) ?? [])[0]?.error ?? '',
  ],
}
