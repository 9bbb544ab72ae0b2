import type { CertificateSigningRequest, Node } from '@outrigger/kube'
import type { RequestedNames } from './certificate-signer.ts'

/** Signer of the certificates by which kubelets serve their endpoints. */
export const kubeletServingSigner = 'kubernetes.io/kubelet-serving'

const userPrefix = 'system:node:'
const allowedUsages = new Set(['digital signature', 'key encipherment', 'server auth'])
const hour = 60 * 60_000

/** Name of the node a request is for; undefined where it names none. */
export function requestedNode({ commonName }: RequestedNames): string | undefined {
  const name = commonName.startsWith(userPrefix) ? commonName.slice(userPrefix.length) : ''
  return name === '' ? undefined : name
}

/**
 * Why the signer may not sign this, whoever approved it; undefined when it may.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
 */
export function servingProblem(
  { spec }: CertificateSigningRequest,
  names: RequestedNames,
): string | undefined {
  if (names.organizations.length !== 1 || names.organizations[0] !== 'system:nodes')
    return 'subject organization is not system:nodes'
  if (requestedNode(names) === undefined) return 'subject common name does not begin with system:node:'
  if (names.otherNames.length > 0) return 'only DNS and IP subjectAltNames are allowed'
  if (names.dnsNames.length + names.ipAddresses.length === 0) return 'DNS or IP subjectAltName is required'
  const usages = spec.usages ?? []
  if (!usages.includes('server auth') || !usages.includes('digital signature'))
    return 'usages must include digital signature and server auth'
  const extra = usages.find((usage) => !allowedUsages.has(usage))
  return extra === undefined ? undefined : `usage ${extra} is not allowed`
}

/** Whether the node itself asks, as the API server has recorded the requester. */
export function isAskedByNode({ spec }: CertificateSigningRequest, names: RequestedNames): boolean {
  return spec.username === names.commonName && (spec.groups ?? []).includes('system:nodes')
}

/** The first requested name that is no address of the node; undefined when all are. */
export function foreignName(names: RequestedNames, node: Node): string | undefined {
  const addresses = node.status?.addresses ?? []
  const known = (isWanted: (type: string) => boolean) =>
    new Set(addresses.filter(({ type }) => isWanted(type)).map(({ address }) => address.toLowerCase()))
  const isIp = (type: string) => type === 'InternalIP' || type === 'ExternalIP'
  const ips = known(isIp)
  const hosts = known((type) => !isIp(type))
  return (
    names.ipAddresses.find((address) => !ips.has(address.toLowerCase())) ??
    names.dnsNames.find((name) => !hosts.has(name.toLowerCase()))
  )
}

/** Whether a condition of this type is True. */
export function hasVerdict({ status }: CertificateSigningRequest, type: string): boolean {
  return (status?.conditions ?? []).some((each) => each.type === type && each.status === 'True')
}

/**
 * Milliseconds a request is kept after its creation: an hour once it was answered, a day while it waits.
 * Source: kubernetes/pkg/controller/certificates/cleaner.
 */
export function lifetime(request: CertificateSigningRequest): number {
  const isAnswered =
    request.status?.certificate !== undefined ||
    hasVerdict(request, 'Denied') ||
    hasVerdict(request, 'Failed')
  return isAnswered ? hour : 24 * hour
}
