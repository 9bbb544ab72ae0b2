import { PassThrough } from 'node:stream'
import * as k8s from '@kubernetes/client-node'
import { startTestCluster, type TestCluster } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { widgetDefinition } from './widget-definition.ts'

const namespace = 'default'

describe('the official client for Node', () => {
  let cluster: TestCluster
  const config = new k8s.KubeConfig()

  beforeAll(async () => {
    cluster = await startTestCluster({ hasManager: false, nodes: [{ name: 'node-1', isVirtual: false }] })
    config.loadFromString(cluster.kubeconfig())
  })
  afterAll(() => cluster.stop())

  it('writes and patches typed objects', async () => {
    const core = config.makeApiClient(k8s.CoreV1Api)
    const name = 'typed'
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name }, data: { a: '1' } } })
    const body = [{ op: 'replace', path: '/data/a', value: '2' }]
    await core.patchNamespacedConfigMap({ namespace, name, body })
    const applied = await core.patchNamespacedConfigMap(
      {
        namespace,
        name,
        fieldManager: 'me',
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { c: '4' } },
      },
      k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply),
    )
    expect(applied.data).toEqual({ a: '2', c: '4' })
    const stale = { namespace, name, body: { metadata: { name, resourceVersion: '1' } } }
    await expect(core.replaceNamespacedConfigMap(stale)).rejects.toMatchObject({ code: 409 })
  })

  it('holds a lease with times in microseconds', async () => {
    const leases = config.makeApiClient(k8s.CoordinationV1Api)
    const renewTime = new k8s.V1MicroTime(new Date(1_767_225_600_123))
    const body = { metadata: { name: 'leader' }, spec: { holderIdentity: 'one', renewTime } }
    const lease = await leases.createNamespacedLease({ namespace, body })
    if (lease.spec !== undefined) lease.spec.holderIdentity = 'two'
    const taken = await leases.replaceNamespacedLease({ namespace, name: 'leader', body: lease })
    expect(taken.spec?.holderIdentity).toBe('two')
    // The client hands it back as text.
    expect(Date.parse(String(taken.spec?.renewTime))).toBe(renewTime.getTime())
  })

  it('follows objects with its informer', async () => {
    const core = config.makeApiClient(k8s.CoreV1Api)
    const path = `/api/v1/namespaces/${namespace}/secrets`
    const informer = k8s.makeInformer(config, path, () => core.listNamespacedSecret({ namespace }))
    const seen: string[] = []
    const deleted = new Promise<void>((resolve) => {
      informer.on('add', () => seen.push('add'))
      informer.on('update', () => seen.push('update'))
      informer.on('delete', () => resolve())
    })
    await informer.start()
    const name = 'followed'
    await core.createNamespacedSecret({ namespace, body: { metadata: { name } } })
    const body = [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }]
    await core.patchNamespacedSecret({ namespace, name, body })
    await core.deleteNamespacedSecret({ namespace, name })
    await deleted
    await informer.stop()
    expect(seen).toEqual(['add', 'update'])
  })

  it('runs a pod, reads its log, executes in it and evicts it', async () => {
    const core = config.makeApiClient(k8s.CoreV1Api)
    const name = 'runs'
    const spec = { containers: [{ name: 'main', image: 'busybox' }] }
    await expect
      .poll(async () => (await core.listNamespacedServiceAccount({ namespace })).items.length, {
        timeout: 10_000,
      })
      .toBe(1)
    await core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } })
    await expect
      .poll(async () => (await core.readNamespacedPod({ namespace, name })).status?.phase, {
        timeout: 10_000,
      })
      .toBe('Running')
    expect(await core.readNamespacedPodLog({ namespace, name })).toBeTypeOf('string')
    const status = await new Promise<k8s.V1Status>((resolve, reject) => {
      const exec = new k8s.Exec(config)
      const stdout = new PassThrough()
      exec.exec(namespace, name, 'main', ['true'], stdout, null, null, false, resolve).catch(reject)
    })
    expect(status.status).toBe('Success')
    await core.createNamespacedPodEviction({ namespace, name, body: { metadata: { name } } })
  })

  it('sees defaults a definition got after an object was stored', async () => {
    const definitions = config.makeApiClient(k8s.ApiextensionsV1Api)
    const objects = config.makeApiClient(k8s.CustomObjectsApi)
    const name = widgetDefinition.metadata.name
    const definition = await definitions.createCustomResourceDefinition({ body: widgetDefinition })
    const established = async () =>
      (await definitions.readCustomResourceDefinition({ name })).status?.conditions?.some(
        ({ type, status }) => type === 'Established' && status === 'True',
      )
    await expect.poll(established, { timeout: 10_000 }).toBe(true)
    const place = { group: 'example.com', version: 'v1', namespace, plural: 'widgets' }
    const kind = { apiVersion: 'example.com/v1', kind: 'Widget' }
    await objects.createNamespacedCustomObject({
      ...place,
      body: { ...kind, metadata: { name: 'old' }, spec: { replicas: 1 } },
    })
    expect(definition.spec.group).toBe('example.com')
    const path = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/default'
    await definitions.patchCustomResourceDefinition({ name, body: [{ op: 'add', path, value: 7 }] })
    const read = async () =>
      ((await objects.getNamespacedCustomObject({ ...place, name: 'old' })) as { spec: object }).spec
    await expect.poll(read, { timeout: 10_000 }).toEqual({ replicas: 1, size: 7 })
  })
})
