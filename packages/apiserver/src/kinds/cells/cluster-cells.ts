import type {
  ConfigMap,
  EndpointSlice,
  Endpoints,
  Ingress,
  Lease,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  ResourceQuota,
  RoleBinding,
  Secret,
  Service,
  StorageClass,
} from '@outrigger/kube'
import { formatSelector } from '../field-checks.ts'
import { ageCell, type Cells, cellsOf, createdCell, nameCell, orNone, orUnset } from './cell.ts'
import { eventCells } from './event-cells.ts'
import { podCells } from './pod-cells.ts'
import { labelsText } from './workload-cells.ts'

const accessModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}
const modesText = (modes: readonly string[] | undefined) =>
  Object.keys(accessModes)
    .filter((mode) => modes?.includes(mode))
    .map((mode) => accessModes[mode])
    .join(',')

function nodeStatus({ spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  const parts = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady']
  if (spec?.unschedulable) parts.push('SchedulingDisabled')
  return parts.join(',')
}

function nodeRoles({ metadata }: Node): string {
  const roles: string[] = []
  for (const label in metadata.labels) {
    if (label.startsWith('node-role.kubernetes.io/'))
      roles.push(label.slice('node-role.kubernetes.io/'.length))
    else if (label === 'kubernetes.io/role') roles.push(metadata.labels[label] as string)
  }
  return orNone(
    roles
      .filter((role) => role !== '')
      .sort()
      .join(','),
  )
}

const nodeAddress = (type: string) => (node: Node) =>
  orNone(node.status?.addresses?.find((address) => address.type === type)?.address)
const unknown = (text: string | undefined) => text || '<unknown>'

const nodeCells = cellsOf<Node>(
  nameCell,
  nodeStatus,
  nodeRoles,
  ageCell,
  ({ status }) => status?.nodeInfo?.kubeletVersion ?? '',
  nodeAddress('InternalIP'),
  nodeAddress('ExternalIP'),
  ({ status }) => unknown(status?.nodeInfo?.osImage),
  ({ status }) => unknown(status?.nodeInfo?.kernelVersion),
  ({ status }) => unknown(status?.nodeInfo?.containerRuntimeVersion),
)

function serviceExternalIp({ spec, status }: Service): string {
  const own = spec?.externalIPs ?? []
  if (spec?.type === 'ExternalName') return spec.externalName ?? ''
  if (spec?.type !== 'LoadBalancer') return own.length > 0 ? own.join(',') : '<none>'
  const given = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '')
  const all = [...given.filter((text) => text !== ''), ...own]
  return all.length > 0 ? all.join(',') : '<pending>'
}

const serviceCells = cellsOf<Service>(
  nameCell,
  ({ spec }) => spec?.type ?? '',
  ({ spec }) => orNone(spec?.clusterIPs?.[0] ?? spec?.clusterIP),
  serviceExternalIp,
  ({ spec }) =>
    orNone(
      (spec?.ports ?? [])
        .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`)
        .join(','),
    ),
  ageCell,
  ({ spec }) => labelsText(spec?.selector),
)

const shown = 3

function endpointsText({ subsets }: Endpoints): string {
  const texts: string[] = []
  for (const { addresses = [], ports = [] } of subsets ?? []) {
    if (ports.length === 0) texts.push(...addresses.map(({ ip }) => ip))
    for (const { port } of ports)
      for (const { ip } of addresses) texts.push(ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)
  }
  const more = texts.length - shown
  return orNone(`${texts.slice(0, shown).join(',')}${more > 0 ? ` + ${more} more...` : ''}`)
}

function firstFew(texts: readonly string[], none: string): string {
  if (texts.length === 0) return none
  const more = texts.length - shown
  return `${texts.slice(0, shown).join(',')}${more > 0 ? ` + ${more} more...` : ''}`
}

const endpointSliceCells = cellsOf<EndpointSlice>(
  nameCell,
  ({ addressType }) => addressType ?? '',
  ({ ports }) =>
    firstFew(
      (ports ?? []).map(({ port, name }) => (port === undefined ? (name ?? '*') : String(port))),
      '<unset>',
    ),
  ({ endpoints }) =>
    firstFew(
      (endpoints ?? []).flatMap(({ addresses }) => addresses ?? []),
      '<unset>',
    ),
  ageCell,
)

function ingressHosts({ spec }: Ingress): string {
  const hosts = (spec?.rules ?? []).map(({ host }) => host ?? '').filter((host) => host !== '')
  if (hosts.length === 0) return '*'
  const more = hosts.length - shown
  return `${hosts.slice(0, shown).join(',')}${more > 0 ? ` + ${more} more...` : ''}`
}

const ingressCells = cellsOf<Ingress>(
  nameCell,
  ({ spec }) => orNone(spec?.ingressClassName),
  ingressHosts,
  ({ status }) =>
    (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '').join(','),
  ({ spec }) => ((spec?.tls ?? []).length > 0 ? '80, 443' : '80'),
  ageCell,
)

const phaseOf = (status: { phase?: string } | undefined, deletion: unknown) =>
  deletion === undefined ? (status?.phase ?? '') : 'Terminating'

const claimCells = cellsOf<PersistentVolumeClaim>(
  nameCell,
  ({ status, metadata }) => phaseOf(status, metadata.deletionTimestamp),
  ({ spec }) => spec?.volumeName ?? '',
  ({ spec, status }) => (spec?.volumeName ? (status?.capacity?.storage ?? '') : ''),
  ({ spec, status }) => (spec?.volumeName ? modesText(status?.accessModes) : ''),
  ({ spec, metadata }) =>
    metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec?.storageClassName ?? '',
  ({ status }) => orUnset(status?.currentVolumeAttributesClassName),
  ageCell,
  ({ spec }) => orUnset(spec?.volumeMode),
)

const volumeCells = cellsOf<PersistentVolume>(
  nameCell,
  ({ spec }) => spec?.capacity?.storage ?? '',
  ({ spec }) => modesText(spec?.accessModes),
  ({ spec }) => spec?.persistentVolumeReclaimPolicy ?? '',
  ({ status, metadata }) => phaseOf(status, metadata.deletionTimestamp),
  ({ spec }) =>
    spec?.claimRef === undefined ? '' : `${spec.claimRef.namespace ?? ''}/${spec.claimRef.name ?? ''}`,
  ({ spec, metadata }) =>
    metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec?.storageClassName ?? '',
  ({ spec }) => orUnset(spec?.volumeAttributesClassName),
  ({ status }) => status?.reason ?? '',
  ageCell,
  ({ spec }) => orUnset(spec?.volumeMode),
)

function quotaText(quota: ResourceQuota, wantsLimits: boolean): string {
  return Object.keys(quota.status?.hard ?? {})
    .filter((name) => name.startsWith('limits.') === wantsLimits)
    .sort()
    .map((name) => `${name}: ${quota.status?.used?.[name] ?? '0'}/${quota.status?.hard?.[name] ?? '0'}`)
    .join(', ')
}

const subjectNames = (kind: string) => (binding: RoleBinding) =>
  (binding.subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
    .join(', ')

const bindingCells = cellsOf<RoleBinding>(
  nameCell,
  ({ roleRef }) => `${roleRef?.kind}/${roleRef?.name}`,
  ageCell,
  subjectNames('User'),
  subjectNames('Group'),
  subjectNames('ServiceAccount'),
)

const isDefaultClass = (annotations: Readonly<Record<string, string>> | undefined) =>
  annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true' ||
  annotations?.['storageclass.beta.kubernetes.io/is-default-class'] === 'true'

const nameCreated = [nameCell, createdCell]
const countData = (object: { data?: object; binaryData?: object }) =>
  Object.keys(object.data ?? {}).length + Object.keys(object.binaryData ?? {}).length

/** Cells of kinds that are neither workloads nor rare, by `group/version/resource`. */
export const clusterCells: Readonly<Record<string, Cells>> = {
  'core/v1/pods': podCells,
  'core/v1/nodes': nodeCells,
  'core/v1/services': serviceCells,
  'core/v1/events': eventCells,
  'events.k8s.io/v1/events': eventCells,
  'core/v1/configmaps': cellsOf<ConfigMap>(nameCell, countData, ageCell),
  'core/v1/secrets': cellsOf<Secret>(nameCell, ({ type }) => type ?? '', countData, ageCell),
  'core/v1/namespaces': cellsOf<Namespace>(nameCell, ({ status }) => status?.phase ?? '', ageCell),
  'core/v1/serviceaccounts': [nameCell, ageCell],
  'core/v1/limitranges': nameCreated,
  'core/v1/endpoints': cellsOf<Endpoints>(nameCell, endpointsText, ageCell),
  'core/v1/persistentvolumeclaims': claimCells,
  'core/v1/persistentvolumes': volumeCells,
  'core/v1/resourcequotas': cellsOf<ResourceQuota>(
    nameCell,
    (quota) => quotaText(quota, false),
    (quota) => quotaText(quota, true),
    ageCell,
  ),
  'discovery.k8s.io/v1/endpointslices': endpointSliceCells,
  'networking.k8s.io/v1/ingresses': ingressCells,
  'networking.k8s.io/v1/networkpolicies': cellsOf<NetworkPolicy>(
    nameCell,
    ({ spec }) => orNone(formatSelector(spec?.podSelector)),
    ageCell,
  ),
  'coordination.k8s.io/v1/leases': cellsOf<Lease>(
    nameCell,
    ({ spec }) => spec?.holderIdentity ?? '',
    ageCell,
  ),
  'rbac.authorization.k8s.io/v1/roles': nameCreated,
  'rbac.authorization.k8s.io/v1/clusterroles': nameCreated,
  'rbac.authorization.k8s.io/v1/rolebindings': bindingCells,
  'rbac.authorization.k8s.io/v1/clusterrolebindings': bindingCells,
  'storage.k8s.io/v1/storageclasses': cellsOf<StorageClass>(
    ({ metadata }) => `${metadata.name}${isDefaultClass(metadata.annotations) ? ' (default)' : ''}`,
    ({ provisioner }) => provisioner ?? '',
    ({ reclaimPolicy }) => reclaimPolicy ?? 'Delete',
    ({ volumeBindingMode }) => volumeBindingMode ?? 'Immediate',
    ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false,
    ageCell,
  ),
}
