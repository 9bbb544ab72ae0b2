import type { Pod } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { KindsUnderTest } from '../../kinds/testing/kinds-under-test.ts'
import type { AdmissionAttributes } from '../plugin.ts'
import { createPodResize } from './pod-resize.ts'

describe('A resize', () => {
  test('beyond what the node can give is refused in the recorded words', () => {
    expect(() => resize({ cpu: '1000' })).toThrow(
      `pods "a" is forbidden: node didn't have enough allocatable resources: cpu, requested: 1000000, allocatable: 2000`,
    )
    expect(() => resize({ cpu: '3', memory: '2Gi' })).toThrow(
      'cpu, requested: 3000, allocatable: 2000; memory, requested: 2147483648, allocatable: 1073741824',
    )
  })

  test('up to what the node can give is let through, however much others use', () => {
    expect(() => resize({ cpu: '2', memory: '1Gi' })).not.toThrow()
  })

  test('of a pod without a node, or that changes nothing, is not judged', () => {
    expect(() => resize({ cpu: '1000' }, { nodeName: '' })).not.toThrow()
    expect(() => resize({ cpu: '1000' }, { before: { cpu: '1000' } })).not.toThrow()
  })
})

function resize(
  requests: Readonly<Record<string, string>>,
  { nodeName = 'node-1', before = { cpu: '1' } }: { nodeName?: string; before?: Record<string, string> } = {},
): void {
  const kinds = new KindsUnderTest()
  kinds.put('nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node-1' },
    status: { allocatable: { cpu: '2', memory: '1Gi' } },
  })
  const aPod = (amounts: Readonly<Record<string, string>>): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'NS' },
    spec: { nodeName, containers: [{ name: 'm', image: 'i', resources: { requests: { ...amounts } } }] },
  })
  const attributes: AdmissionAttributes = {
    operation: 'UPDATE',
    resource: kinds.find('pods'),
    subresource: 'resize',
    namespace: 'NS',
    name: 'a',
    object: aPod(requests),
    oldObject: aPod(before),
    options: {},
    isDryRun: false,
    user: { name: 'admin', groups: [] },
    warn: () => {},
  }
  const plugin = createPodResize(kinds)
  expect(plugin.concerns(attributes)).toBe(true)
  void plugin.validate?.(attributes, new AbortController().signal)
}
