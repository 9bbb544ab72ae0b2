import type { Pod, ResourceQuota } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { KindsUnderTest } from '../../kinds/testing/kinds-under-test.ts'
import type { StatusError } from '../../registry/status-error.ts'

describe('The built-in admission', () => {
  test('creates nothing in a namespace that is going', async () => {
    const kinds = new KindsUnderTest()
    kinds.put('namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'NS' },
      status: { phase: 'Terminating' },
    })

    const error = await refused(kinds, 'configmaps', { metadata: { name: 'c' } })

    expect(error.message).toBe(
      'configmaps "c" is forbidden: unable to create new content in namespace NS because it is being terminated',
    )
    expect(error.status.details?.causes?.[0]?.reason).toBe('NamespaceTerminating')
  })

  test('waits for the default service account, but not forever', async () => {
    const kinds = new KindsUnderTest()
    kinds.objects.remove({ group: '', resource: 'serviceaccounts' }, { namespace: 'NS', name: 'default' })

    const attempt = refused(kinds, 'pods', aPod({}))
    await kinds.clock.advance(2000)

    expect((await attempt).message).toBe(
      'pods "p" is forbidden: error looking up service account NS/default: serviceaccount "default" not found',
    )
  })

  test('computes the priority of a class and refuses another', async () => {
    const kinds = new KindsUnderTest()
    const pods = kinds.find('pods')
    const critical = await kinds.create(pods, aPod({ priorityClassName: 'system-node-critical' }))

    expect((critical.object as Pod).spec?.priority).toBe(2_000_001_000)
    expect((await refused(kinds, 'pods', aPod({ priorityClassName: 'none' }))).message).toMatch(
      /no PriorityClass with name none was found/,
    )
    expect((await refused(kinds, 'pods', aPod({ priority: 7 }))).message).toMatch(
      /must not be provided in pod spec/,
    )
  })

  test('books what a quota has room for and refuses the rest', async () => {
    const kinds = new KindsUnderTest()
    const hard = { pods: '2', 'requests.cpu': '1' }
    const quota = {
      metadata: { name: 'q', namespace: 'NS' },
      spec: { hard },
      status: { hard, used: { pods: '0', 'requests.cpu': '0' } },
    }
    kinds.put('resourcequotas', { apiVersion: 'v1', kind: 'ResourceQuota', ...quota })
    const asking = (cpu: string) =>
      aPod({ containers: [{ name: 'm', image: 'i', resources: { requests: { cpu } } }] })

    await kinds.create(kinds.find('pods'), asking('600m'))
    const error = await refused(kinds, 'pods', asking('500m'))

    expect(error.message).toBe(
      'pods "p" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1',
    )
    const stored = kinds.get(kinds.find('resourcequotas'), 'q') as ResourceQuota
    expect(stored.status?.used).toEqual({ pods: '1', 'requests.cpu': '600m' })
  })

  test('holds pods to the baseline level where a namespace asks for it', async () => {
    const kinds = new KindsUnderTest()
    const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' }
    kinds.put('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'NS', labels } })

    const error = await refused(
      kinds,
      'pods',
      aPod({ hostNetwork: true, volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
    )

    expect(error.message).toBe(
      'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true), hostPath volumes (volume "v")',
    )
  })
})

async function refused(kinds: KindsUnderTest, plural: string, body: object): Promise<StatusError> {
  return kinds.create(kinds.find(plural), body).then(
    () => {
      throw new Error('it was accepted')
    },
    (error: StatusError) => error,
  )
}

function aPod(spec: object): object {
  return { metadata: { name: 'p' }, spec: { containers: [{ name: 'm', image: 'i' }], ...spec } }
}
