import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Kubectl } from '../story/kubectl.ts'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'

const directory = mkdtempSync(join(tmpdir(), 'outrigger-volumes-'))
const data = join(directory, 'data')
const volumes = join(data, 'volumes')
const kubeconfig = join(data, 'kubeconfig')
const cacheDirectory = join(directory, 'cache')
const kubectl = new Kubectl({ kubeconfig, cacheDirectory, environment: process.env })
let cluster: OutriggerProcess

async function up(): Promise<void> {
  cluster = startOutrigger(['up', '--port', '0', '--runtime', 'sim', '--data-dir', data], process.env)
  await cluster.saw(/try +kubectl/)
}

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl.run([...args])
  expect(code, `kubectl ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout
}

async function apply(...objects: object[]): Promise<void> {
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
  const { code, stderr } = await kubectl.run(['apply', '-f', '-'], { input })
  expect(code, stderr).toBe(0)
}

const waitFor = (what: string, ...object: string[]) => ok('wait', `--for=${what}`, ...object, '--timeout=50s')

const aClaim = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
})

const aPod = (name: string, claimName: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'main',
        image: 'busybox:1.36',
        command: ['sleep', '3600'],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    ...spec,
  },
})

describe('claims of pods', () => {
  beforeAll(up)

  afterAll(async () => {
    await cluster?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('of a StatefulSet become folders that outlive its pods and the cluster, and go with the claims', async () => {
    const { spec } = aPod('db', 'unused')
    await apply({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'db' },
      spec: {
        serviceName: 'db',
        replicas: 2,
        selector: { matchLabels: { app: 'db' } },
        template: { metadata: { labels: { app: 'db' } }, spec: { ...spec, volumes: [] } },
        volumeClaimTemplates: [aClaim('data')],
      },
    })
    await ok('rollout', 'status', 'statefulset/db', '--timeout=50s')
    const names = (await ok('get', 'pvc', '-o', 'jsonpath={.items[*].spec.volumeName}')).split(' ').sort()
    expect(names).toHaveLength(2)
    expect(readdirSync(volumes).sort()).toEqual(names)
    for (const name of names) writeFileSync(join(volumes, name, 'letter'), 'dear')

    await cluster.stop()
    await up()
    await ok('delete', 'pod', 'db-0')
    await ok('rollout', 'status', 'statefulset/db', '--timeout=50s')
    for (const name of names) expect(existsSync(join(volumes, name, 'letter'))).toBe(true)

    await ok('delete', 'statefulset', 'db')
    await ok('delete', 'pvc', 'data-db-0', '--timeout=50s')
    await expect.poll(() => readdirSync(volumes), { timeout: 50_000 }).toHaveLength(1)
    await ok('delete', 'pvc', '--all', '--timeout=50s')
    await expect.poll(() => readdirSync(volumes), { timeout: 50_000 }).toEqual([])
    await expect.poll(() => ok('get', 'pv', '-o', 'name'), { timeout: 50_000 }).toBe('')
  })

  test('wait for their first pod, go where it goes, and say so in events', async () => {
    await apply(aClaim('later'))
    await expect
      .poll(() => ok('describe', 'pvc', 'later'), { timeout: 50_000 })
      .toContain('waiting for first consumer to be created before binding')
    expect(await ok('get', 'pvc', 'later', '-o', 'jsonpath={.status.phase}')).toBe('Pending')

    const onVirtualNode = {
      nodeSelector: { 'kubernetes.io/hostname': 'virtual-kubelet-local-a' },
      tolerations: [{ operator: 'Exists' }],
    }
    await apply(aPod('first', 'later', onVirtualNode))
    await waitFor('condition=Ready', 'pod/first')
    expect(await ok('get', 'pvc', 'later', '-o', 'jsonpath={.status.phase}')).toBe('Bound')
    const events = await ok('describe', 'pvc', 'later')
    expect(events).toContain('External provisioner is provisioning volume for claim "default/later"')
    expect(events).toContain('Successfully provisioned volume pvc-')

    await apply(aPod('second', 'later'))
    await expect
      .poll(() => ok('describe', 'pod', 'second'), { timeout: 50_000 })
      .toContain("node(s) didn't match PersistentVolume's node affinity")
    await ok('delete', 'pod', 'first', 'second')
    await ok('delete', 'pvc', 'later', '--timeout=50s')
  })

  test('are bound to volumes that somebody made by hand, which are left alone when they are deleted', async () => {
    const folder = join(directory, 'by-hand')
    await apply(
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: 'by-hand' },
        spec: {
          storageClassName: 'manual',
          capacity: { storage: '10Gi' },
          accessModes: ['ReadWriteOnce'],
          persistentVolumeReclaimPolicy: 'Delete',
          hostPath: { path: folder, type: 'DirectoryOrCreate' },
        },
      },
      aClaim('task', { storageClassName: 'manual' }),
      aPod('task', 'task'),
    )
    await waitFor('condition=Ready', 'pod/task')
    expect(await ok('get', 'pvc', 'task', '-o', 'jsonpath={.spec.volumeName}')).toBe('by-hand')
    await ok('delete', 'pod', 'task')
    await ok('delete', 'pvc', 'task', '--timeout=50s')
    await waitFor('jsonpath={.status.phase}=Released', 'pv/by-hand')
  })

  test('that are not there keep a pod from being scheduled until they are', async () => {
    await apply(aPod('early', 'not-yet'))
    await expect
      .poll(() => ok('describe', 'pod', 'early'), { timeout: 50_000 })
      .toContain('persistentvolumeclaim "not-yet" not found')
    await apply(aClaim('not-yet'))
    await waitFor('condition=Ready', 'pod/early')
  })
})
