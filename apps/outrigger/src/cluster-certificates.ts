import { networkInterfaces } from 'node:os'
import {
  type CertificateFolder,
  type CertificateRequest,
  ensureCertificates,
  type KeyPair,
} from '@outrigger/certificates'
import type { Clock, Logger } from '@outrigger/foundation'
import type { DataDirectory } from './data-directory.ts'

/** A node's two certificates: one to speak to the API server with, one to serve its own endpoints. */
export const nodeClientFile = (name: string): string => `node-${name}-client`
export const nodeServingFile = (name: string): string => `node-${name}-serving`

export interface ClusterNames {
  readonly hostName: string
  /** Address or name the API server listens on. */
  readonly bindAddress: string
  readonly nodes: readonly { readonly name: string; readonly isVirtual: boolean }[]
}

/** First address of the service range: where pods expect the API server. */
export const apiServiceAddress = '10.96.0.1'

/** Who the manager is to the embedded API server. */
export const managerUser = 'outrigger:manager'

/** Group of virtual nodes: what a SidecarSetResourceBinding grants, it grants to this group. */
export const virtualNodesGroup = 'outrigger:virtual-nodes'

/**
 * Makes or renews everything the embedded cluster's TLS needs. Repeatable; `renewed` of the answer says
 * what changed.
 */
export function ensureClusterCertificates(
  directory: DataDirectory,
  names: ClusterNames,
  options: { readonly clock: Clock; readonly logger: Logger },
): Promise<CertificateFolder> {
  return ensureCertificates(directory.pki, certificateRequests(names), {
    ...options,
    authorityName: 'outrigger-ca',
  })
}

function certificateRequests(names: ClusterNames): readonly CertificateRequest[] {
  const addresses = machineAddresses()
  if (/^[\d.:a-f]+$/.test(names.bindAddress) && !['0.0.0.0', '::'].includes(names.bindAddress))
    addresses.add(names.bindAddress)
  const ipAddresses = [...addresses].sort()
  return [
    {
      file: 'apiserver',
      commonName: 'kube-apiserver',
      dnsNames: [
        'localhost',
        names.hostName,
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        'kubernetes.default.svc.cluster.local',
      ],
      ipAddresses: [...ipAddresses, apiServiceAddress],
      usages: ['server'],
    },
    // The kubelets' endpoints accept this client and no other.
    {
      file: 'apiserver-kubelet-client',
      commonName: 'kube-apiserver-kubelet-client',
      organizations: ['system:masters'],
      usages: ['client'],
    },
    {
      file: 'control-plane',
      commonName: 'system:kube-controller-manager',
      organizations: ['system:masters'],
      usages: ['client'],
    },
    { file: 'manager', commonName: managerUser, organizations: ['outrigger:managers'], usages: ['client'] },
    {
      file: 'webhook',
      commonName: 'outrigger-webhook',
      dnsNames: ['localhost', names.hostName],
      ipAddresses,
      usages: ['server'],
    },
    ...names.nodes.flatMap(({ name, isVirtual }): CertificateRequest[] => [
      {
        file: nodeClientFile(name),
        commonName: `system:node:${name}`,
        organizations: ['system:nodes', ...(isVirtual ? [virtualNodesGroup] : [])],
        usages: ['client'],
      },
      {
        file: nodeServingFile(name),
        commonName: `system:node:${name}`,
        organizations: ['system:nodes'],
        dnsNames: [name, 'localhost'],
        ipAddresses,
        usages: ['server'],
      },
    ]),
  ]
}

function machineAddresses(): Set<string> {
  const addresses = new Set(['127.0.0.1', '::1'])
  for (const [name, list] of Object.entries(networkInterfaces())) {
    // Bridges of pods come and go; certificates are not remade for them.
    if (/^(outrigger|or-|cni|veth|docker|br-)/.test(name)) continue
    for (const { address, scopeid } of list ?? []) if (!scopeid) addresses.add(address)
  }
  return addresses
}

/** One of the folder's pairs, by file. @throws when it was never asked for. */
export function pairOf({ certificates }: CertificateFolder, file: string): KeyPair {
  const pair = certificates[file]
  if (pair === undefined) throw new Error(`no certificate was made for ${file}`)
  return pair
}
