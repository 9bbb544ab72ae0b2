import { type ConfigMap, type Pod, resources } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { aNode, type TestNode } from './testing/a-node.ts'
import { aContainer, aPod } from './testing/a-pod.ts'
import type { ReferencePolicy } from './volume/reference-policy.ts'

let node: TestNode
afterEach(() => node.stop())

const labels = { 'serverless.alibabacloud.com/virtual-node': 'true' }
const sidecar = aContainer({
  name: 'filebeat',
  volumeMounts: [{ name: 'config', mountPath: '/etc/filebeat.yml', subPath: 'filebeat.yml' }],
})
const reader = (special: Partial<Pod['spec']> = {}) =>
  aPod(
    {
      containers: [aContainer(), sidecar],
      volumes: [{ name: 'config', configMap: { name: 'kube-system/filebeat-config' } }],
      ...special,
    },
    { labels },
  )
const config = (text: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'filebeat-config', namespace: 'kube-system' },
  data: { 'filebeat.yml': text },
})

describe('a virtual node', () => {
  test('registers with the labels and the taint of a virtual kubelet and is ready at once', async () => {
    node = await aNode({ isVirtual: true, ...virtual })

    expect(node.node()).toMatchObject({
      metadata: {
        labels: {
          type: 'virtual-kubelet',
          'kubernetes.io/role': 'agent',
          'kubernetes.io/hostname': 'node-1',
        },
      },
      spec: { taints: [{ key: 'virtual-kubelet.io/provider', value: 'alibabacloud', effect: 'NoSchedule' }] },
    })
    expect(node.node()?.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True')
    expect(node.api.all(resources.leases)).toHaveLength(1)
  })

  test('leaves the taints alone that the control plane added while it was away', async () => {
    node = await aNode(virtual)
    const away = structuredClone(node.node()!)
    const taints = [
      { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' },
      ...(away.spec.taints ?? []),
    ]
    node.api.put(resources.nodes, { ...away, spec: { ...away.spec, taints } })
    await node.stop()
    node = await node.restart()

    expect(node.node()?.spec.taints).toEqual(taints)
    expect(node.node()?.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True')
  })

  test('starts a pod only once its sidecars are decided', async () => {
    node = await aNode(virtual)
    node.api.put(resources.pods, aPod())
    await node.pass(5)

    expect(await node.runtime.list(new AbortController().signal)).toEqual([])
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe(
      'WaitingForSidecarInjection',
    )
    expect(node.pod()?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'SidecarsInjected', status: 'False' }),
    )
    expect(node.events()).toEqual([expect.stringContaining('WaitingForSidecarInjection')])

    const labelled = structuredClone(node.pod()!)
    labelled.metadata.labels = labels
    node.api.put(resources.pods, labelled)
    await node.pass(1)

    expect(node.pod()?.status?.phase).toBe('Running')
    expect(node.pod()?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'SidecarsInjected', status: 'True' }),
    )
  })

  test('holds a pod whose reference is not granted, says what to create, and goes on within two seconds', async () => {
    const policy = aPolicy()
    node = await aNode({ ...virtual, referencePolicy: policy })
    node.api.put(resources.configMaps, config('one'))
    node.api.put(resources.pods, reader())
    await node.pass(10)

    const uid = node.pod()?.metadata.uid
    const waiting = node.pod()?.status?.containerStatuses?.[0]?.state?.waiting
    expect(waiting).toEqual({
      reason: 'SidecarSetResourceNotAuthorized',
      message: expect.stringContaining(
        'volume "config" needs ConfigMap kube-system/filebeat-config: create a SidecarSetResourceBinding',
      ),
    })
    expect(node.events().filter((event) => event.includes('SidecarSetResourceNotAuthorized'))).toHaveLength(1)
    expect(await node.runtime.list(new AbortController().signal)).toEqual([])

    policy.grant()
    await node.pass(2)

    expect(node.pod()?.status?.phase).toBe('Running')
    expect(node.pod()?.metadata.uid).toBe(uid)
  })

  test('keeps the last content when a grant is taken back', async () => {
    const policy = aPolicy()
    policy.grant()
    node = await aNode({ ...virtual, referencePolicy: policy, volumeSyncPeriod: 1_000 })
    node.api.put(resources.configMaps, config('one'))
    node.api.put(resources.pods, reader())
    await node.pass(2)
    policy.revoke()
    node.api.put(resources.configMaps, config('two'))
    await node.pass(10)

    expect(node.pod()?.status?.phase).toBe('Running')
    const path = `${node.runtime.files.podDirectory('uid-a')}/volumes/kubernetes.io~configmap/config/filebeat.yml`
    expect((await node.runtime.files.read(path, 0))?.toString()).toBe('one')
  })

  test.each([
    ['hostNetwork', { hostNetwork: true }, 'spec.hostNetwork is not supported'],
    [
      'a host path',
      { volumes: [{ name: 'v', hostPath: { path: '/' } }] },
      'spec.volumes[0].hostPath is not supported',
    ],
    [
      'a privileged container',
      { containers: [aContainer({ securityContext: { privileged: true } })] },
      'container main: securityContext.privileged',
    ],
  ])('refuses %s', async (_, spec, message) => {
    node = await aNode(virtual)
    node.api.put(resources.pods, aPod(spec, { labels }))
    await node.pass(1)

    expect(node.pod()?.status).toMatchObject({ phase: 'Failed', reason: 'VirtualNodeUnsupported' })
    expect(node.pod()?.status?.message).toContain(message)
    expect(node.events()[0]).toContain(`Warning VirtualNodeUnsupported: `)
  })
})

const virtual = {
  node: {
    name: 'node-1',
    isVirtual: true,
    capacity: { cpu: '10000', memory: '64Ti', pods: '5000' },
    addresses: [{ type: 'InternalIP' as const, address: '10.0.0.1' }],
  },
}

function aPolicy(): ReferencePolicy & { grant(): void; revoke(): void } {
  let isGranted = false
  const listeners = new Set<() => void>()
  const change = (now: boolean) => {
    isGranted = now
    for (const listener of listeners) listener()
  }
  return {
    review: () =>
      isGranted
        ? { isAllowed: true }
        : {
            isAllowed: false,
            because: 'create a SidecarSetResourceBinding in kube-system for SidecarSet filebeat',
          },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    grant: () => change(true),
    revoke: () => change(false),
  }
}
