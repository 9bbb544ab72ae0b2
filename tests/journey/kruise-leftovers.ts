import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { formatMicroTime } from '@outrigger/foundation'
import {
  type ControllerRevision,
  type KubeObject,
  type Lease,
  type Namespace,
  type Pod,
  type ResourceRef,
  resources,
  type Secret,
  type Service,
} from '@outrigger/kube'
import {
  type KruiseRelease,
  kruiseCloneSetDefinition,
  kruiseSidecarSetDefinition,
  kruiseWebhooks,
  webhookService,
} from './kruise-definitions.ts'
import { type LeftPod, leftPods } from './kruise-pods.ts'
import { leftRevisions, leftSets, storedSet } from './kruise-sets.ts'
import type { SmallCluster } from './small-cluster.ts'

/** CloneSets of OpenKruise, whose definition stays in the cluster. */
export const cloneSets: ResourceRef = {
  group: 'apps.kruise.io',
  version: 'v1alpha1',
  resource: 'clonesets',
  kind: 'CloneSet',
  namespaced: true,
}

/** The version in which this release stores SidecarSets. */
export const storedResource = (release: KruiseRelease) =>
  release === '1.8' ? outriggerResources.sidecarSets : outriggerResources.sidecarSetsV1beta1

/**
 * Makes a cluster be as OpenKruise leaves it when its kruise-controller-manager is scaled to 0: everything that the chart
 * installed and kruise-manager wrote is there, and nobody answers its webhooks. `certificates` is the data of its Secret.
 */
export async function leaveKruiseBehind(
  cluster: SmallCluster,
  release: KruiseRelease,
  certificates: Readonly<Record<string, string>>,
): Promise<void> {
  const { client } = cluster
  const bundle = Buffer.from(certificates['ca-cert.pem'] ?? '').toString('base64')
  await client.create<Namespace>(resources.namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'kruise-system', labels: { 'control-plane': 'openkruise' } },
    spec: {},
  })
  for (const namespace of ['default', 'kruise-system'])
    await cluster.until(resources.serviceAccounts, `${namespace}/default`, () => true, 30_000)
  for (const definition of [kruiseSidecarSetDefinition(release, bundle), kruiseCloneSetDefinition()])
    await define(cluster, definition)
  await leaveSets(cluster, release)
  for (const left of leftPods()) await leavePod(cluster, left)
  await client.create<KubeObject>(cloneSets, {
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'CloneSet',
    metadata: { namespace: 'default', name: 'shop' },
    spec: { replicas: 0 },
  } as KubeObject)
  await leaveInstallation(cluster, certificates)
  const [mutating, validating] = kruiseWebhooks(release, bundle)
  await client.create(resources.mutatingWebhookConfigurations, mutating)
  await client.create(resources.validatingWebhookConfigurations, validating)
}

async function define(cluster: SmallCluster, definition: KubeObject): Promise<void> {
  const { customResourceDefinitions } = resources
  await cluster.client.create(customResourceDefinitions, definition)
  await cluster.until<KubeObject & { status?: { conditions?: { type: string; status: string }[] } }>(
    customResourceDefinitions,
    definition.metadata.name,
    ({ status }) =>
      status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True') ?? false,
    30_000,
  )
}

async function leaveSets({ client }: SmallCluster, release: KruiseRelease): Promise<void> {
  const resource = storedResource(release)
  for (const left of leftSets()) {
    const { metadata } = await client.create<SidecarSet>(resource, storedSet(left, release))
    const key = { namespace: '', name: metadata.name }
    await client.patch<SidecarSet>(
      resource,
      key,
      { type: 'merge', body: { status: left.status } },
      { subresource: 'status' },
    )
    for (const revision of leftRevisions(left, metadata.uid ?? '', release))
      await client.create<ControllerRevision>(resources.controllerRevisions, revision)
  }
}

async function leavePod(cluster: SmallCluster, { pod, status, isGoing }: LeftPod): Promise<void> {
  const { client } = cluster
  const key = { namespace: 'default', name: pod.metadata.name ?? '' }
  await client.create<Pod>(resources.pods, pod)
  if (status === undefined) return
  await cluster.until<Pod>(
    resources.pods,
    `default/${key.name}`,
    (one) => one.status?.phase === 'Running',
    30_000,
  )
  await client.patch<Pod>(
    resources.pods,
    key,
    { type: 'strategic', body: { status } },
    { subresource: 'status' },
  )
  if (isGoing) await client.delete(resources.pods, key)
}

async function leaveInstallation(
  { client }: SmallCluster,
  certificates: Readonly<Record<string, string>>,
): Promise<void> {
  const encoded = Object.entries(certificates).map(([name, text]) => [
    name,
    Buffer.from(text).toString('base64'),
  ])
  const { namespace } = webhookService
  await client.create<Secret>(resources.secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: 'kruise-webhook-certs' },
    data: Object.fromEntries(encoded) as Record<string, string>,
  })
  await client.create<Service>(resources.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: webhookService,
    spec: { selector: { 'control-plane': 'controller-manager' }, ports: [{ port: 443, targetPort: 9876 }] },
  } as Service)
  const time = formatMicroTime(Date.parse('2026-01-01T11:00:00Z'))
  await client.create<Lease>(resources.leases, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace, name: 'kruise-manager' },
    spec: {
      holderIdentity: 'kruise-controller-manager-68dc6d87cc-k9vg8_3e0f7a5e-7c1b-4b0a-9f10-0a5d3c6f2b11',
      leaseDurationSeconds: 15,
      acquireTime: time,
      renewTime: time,
      leaseTransitions: 3,
    },
  })
}
