import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import { type ClusterClient, createClient, loadKubeconfig } from '@outrigger/client'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import {
  type CustomResourceDefinition,
  findUnknownFields,
  type Lease,
  type MutatingWebhookConfiguration,
  type Pod,
  parseManifests,
  type Release,
  resources,
  schemaOfKind,
  schemaOfRelease,
} from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'
import { eventually } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OutriggerProcess, program, startOutrigger } from '../story/outrigger-process.ts'
import { untilInjected } from './until-injected.ts'

const { sidecarSets } = outriggerResources
const clock = new SystemClock()

/** The first supported release, the last without native sidecars, and one between the first that has them and today's. */
describe.each<[Release]>([[22], [28], [30]])(
  'on a cluster that serves what Kubernetes 1.%d served',
  (release) => {
    const directory = mkdtempSync(join(tmpdir(), 'outrigger-older-'))
    const kubeconfig = join(directory, 'kubeconfig')
    const hasNativeSidecars = release >= 29
    let cluster: OutriggerProcess
    let manager: OutriggerProcess
    let client: ClusterClient

    beforeAll(async () => {
      cluster = startOutrigger(
        [
          ...['up', '--runtime', 'sim', '--ephemeral', '--without', 'manager', '--port', '0'],
          ...['--emulated-version', `1.${release}`],
          ...['--data-dir', join(directory, 'data'), '--kubeconfig', kubeconfig],
        ],
        process.env,
      )
      await cluster.saw(/Outrigger is up/)
      client = createClient({
        config: loadKubeconfig({ path: kubeconfig, environment: {} }),
        clock,
        logger: silentLogger,
      })
      manager = startOutrigger(['manager', '--kubeconfig', kubeconfig, '--webhook-port=0'], process.env)
      await manager.saw(/The manager is ready/)
    })

    afterAll(async () => {
      await manager?.stop()
      await client?.close()
      await cluster?.stop()
      rmSync(directory, { recursive: true, force: true })
    })

    test('a manager registers what the server knows, and leads', async () => {
      const { webhooks = [] } = await client.get<MutatingWebhookConfiguration>(
        resources.mutatingWebhookConfigurations,
        { namespace: '', name: 'kruise-mutating-webhook-configuration' },
      )
      expect(webhooks.length).toBeGreaterThan(0)
      expect(webhooks.some((webhook) => webhook.matchConditions !== undefined)).toBe(release >= 28)
      const definition = await client.get<CustomResourceDefinition>(resources.customResourceDefinitions, {
        namespace: '',
        name: 'sidecarsets.apps.kruise.io',
      })
      expect(definition.status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Established', status: 'True' }),
      )
      const lease = await client.get<Lease>(resources.leases, {
        namespace: defaultNames.namespace,
        name: defaultNames.lease,
      })
      expect(lease.spec?.holderIdentity).toBeTruthy()
    })

    test('injects, rolls a new image out in place, and counts', async () => {
      await client.create<SidecarSet>(sidecarSets, {
        ...sidecarSet('logs'),
        spec: {
          ...sidecarSet('logs').spec,
          containers: [{ name: 'logs', image: 'logs:1' }],
          updateStrategy: { type: 'RollingUpdate', maxUnavailable: 1 },
        },
      })
      await untilInjected(client, 'logs', { namespace: 'default', labels: { app: 'web' } })
      for (const name of ['web-0', 'web-1']) await createPod(name)
      const before = await podsUntil((pods) => pods.every(isReady))
      expect(before.map(imageOf)).toEqual(['logs:1', 'logs:1'])

      await client.patch<SidecarSet>(
        sidecarSets,
        { namespace: '', name: 'logs' },
        { type: 'merge', body: { spec: { containers: [{ name: 'logs', image: 'logs:2' }] } } },
      )
      const after = await podsUntil((pods) => pods.every((pod) => isReady(pod) && imageOf(pod) === 'logs:2'))
      expect(after.map(({ metadata }) => metadata.uid)).toEqual(before.map(({ metadata }) => metadata.uid))
      await eventually(
        'a status of two',
        async () => {
          const { status } = await client.get<SidecarSet>(sidecarSets, { namespace: '', name: 'logs' })
          return status?.updatedReadyPods === 2 && status.matchedPods === 2
        },
        { clock, timeout: 30_000, every: 100 },
      )
    })

    test('a native sidecar is refused by name where no pod could run it, and injected where it can', async () => {
      const native = sidecarSet('native', { [sidecarSetAnnotations.updatesNativeSidecars]: 'true' })
      const creating = client.create<SidecarSet>(sidecarSets, {
        ...native,
        spec: {
          ...native.spec,
          selector: { matchLabels: { app: 'job' } },
          initContainers: [{ name: 'proxy', image: 'proxy:1', restartPolicy: 'Always' }],
        },
      })
      if (!hasNativeSidecars) {
        await expect(creating).rejects.toThrow(
          `spec.initContainers[0].restartPolicy: Forbidden: Kubernetes 1.${release} does not know native sidecars`,
        )
        return
      }
      await creating
      await untilInjected(client, 'proxy', { namespace: 'default', labels: { app: 'job' } })
      await createPod('job-0', 'job')
      const pod = await client.get<Pod>(resources.pods, { namespace: 'default', name: 'job-0' })
      expect(pod.spec.initContainers).toMatchObject([{ name: 'proxy', restartPolicy: 'Always' }])
    })

    test('has nothing to complain about', () => {
      expect(manager.output()).not.toMatch(/^[WE]\d{4} /m)
      expect(cluster.output()).not.toMatch(/^[WE]\d{4} /m)
    })

    async function createPod(name: string, app = 'web'): Promise<void> {
      await client.create<Pod>(resources.pods, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { namespace: 'default', name, labels: { app } },
        spec: { containers: [{ name: 'web', image: 'web:1' }] },
      })
    }

    function podsUntil(isRight: (pods: readonly Pod[]) => boolean): Promise<readonly Pod[]> {
      return eventually(
        'the pods',
        async () => {
          const { items } = await client.list<Pod>(resources.pods, { labelSelector: 'app=web' })
          return items.length === 2 && isRight(items) ? items : false
        },
        { clock, timeout: 60_000, every: 100 },
      )
    }
  },
)

test('what is installed holds no field that 1.22 did not know', () => {
  const { stdout, stderr } = spawnSync(process.execPath, [program, 'install'], { encoding: 'utf8' })
  const manifests = parseManifests(stdout)
  expect(manifests.length, stderr).toBeGreaterThan(10)
  for (const { object } of manifests) {
    const { apiVersion = '', kind = '' } = object
    const [version = '', group = ''] = apiVersion.split('/').reverse()
    const schema = schemaOfKind(group, version, kind)
    expect(schema && findUnknownFields(object, schemaOfRelease(schema, 22)), kind).toEqual([])
  }
})

function sidecarSet(name: string, annotations: Record<string, string> = {}): SidecarSet {
  return {
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name, annotations },
    spec: { selector: { matchLabels: { app: 'web' } } },
  }
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
}

function imageOf({ spec }: Pod): string | undefined {
  return spec.containers.find(({ name }) => name === 'logs')?.image
}
