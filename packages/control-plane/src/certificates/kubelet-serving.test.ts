import type { CertificateSigningRequest, Node } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import type { RequestedNames } from './certificate-signer.ts'
import { foreignName, isAskedByNode, lifetime, requestedNode, servingProblem } from './kubelet-serving.ts'

const names: RequestedNames = {
  commonName: 'system:node:vk9',
  organizations: ['system:nodes'],
  dnsNames: [],
  ipAddresses: ['10.0.0.9'],
  otherNames: [],
}

describe('a request for a kubelet serving certificate', () => {
  test('is signed for the address of one node', () => {
    expect(servingProblem(aRequest(), names)).toBeUndefined()
    expect(requestedNode(names)).toBe('vk9')
  })

  test.each([
    ['another organization', { organizations: ['system:masters'] }],
    ['more than one organization', { organizations: ['system:nodes', 'system:masters'] }],
    ['somebody who is no node', { commonName: 'admin' }],
    ['a node without a name', { commonName: 'system:node:' }],
    ['no name to serve under', { ipAddresses: [] }],
    ['a mail address', { otherNames: ['email:a@example.com'] }],
  ])('is not signed for %s', (_, change) => {
    expect(servingProblem(aRequest(), { ...names, ...change })).toBeTypeOf('string')
  })

  test.each([
    [['client auth', 'digital signature', 'server auth']],
    [['digital signature']],
    [['server auth']],
  ] as const)('is not signed for the usages %s', (usages) => {
    const request = aRequest()
    expect(servingProblem({ ...request, spec: { ...request.spec, usages: [...usages] } }, names)).toBeTypeOf(
      'string',
    )
  })

  test('counts as the own of a node only where the API server says so', () => {
    expect(isAskedByNode(aRequest('system:node:vk9', ['system:nodes']), names)).toBe(true)
    expect(isAskedByNode(aRequest('system:node:other', ['system:nodes']), names)).toBe(false)
    expect(isAskedByNode(aRequest('system:node:vk9', ['developers']), names)).toBe(false)
  })

  test('is kept for an hour once it was answered, and for a day while it waits', () => {
    expect(lifetime(aRequest())).toBe(24 * 3_600_000)
    expect(lifetime({ ...aRequest(), status: { certificate: 'YQ==' } })).toBe(3_600_000)
  })
})

describe('a name in a request', () => {
  const node: Node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'vk9' },
    spec: {},
    status: {
      addresses: [
        { type: 'InternalIP', address: '10.0.0.9' },
        { type: 'Hostname', address: 'vk9.example' },
      ],
    },
  }

  test('is foreign unless it is an address of the node', () => {
    expect(foreignName({ ...names, dnsNames: ['VK9.example'] }, node)).toBeUndefined()
    expect(foreignName({ ...names, ipAddresses: ['10.0.0.9', '10.0.0.1'] }, node)).toBe('10.0.0.1')
    expect(foreignName({ ...names, dnsNames: ['kubernetes.default'] }, node)).toBe('kubernetes.default')
  })

  test('is foreign where an address is asked for as a host name', () => {
    expect(foreignName({ ...names, dnsNames: ['10.0.0.9'] }, node)).toBe('10.0.0.9')
  })
})

function aRequest(username = 'admin', groups: readonly string[] = []): CertificateSigningRequest {
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'csr-1' },
    spec: {
      request: '',
      signerName: 'kubernetes.io/kubelet-serving',
      usages: ['digital signature', 'server auth'],
      username,
      groups: [...groups],
    },
  }
}
