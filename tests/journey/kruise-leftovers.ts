import { outriggerResources, type SidecarSet } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
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
  await leaveSets(client, release)
  for (const left of leftPods()) await leavePod(cluster, left)
  await client.create<KubeObject>(cloneSets, {
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'CloneSet',
    metadata: { namespace: 'default', name: 'shop' },
    spec: { replicas: 0 },
  } as KubeObject)
  await leaveInstallation(client, certificates)
  const [mutating, validating] = kruiseWebhooks(release, bundle)
  await client.create(resources.mutatingWebhookConfigurations, mutating)
  await client.create(resources.validatingWebhookConfigurations, validating)
}

/** Creates a definition and waits until it is served. */
export async function define(
  cluster: Pick<SmallCluster, 'client' | 'until'>,
  definition: KubeObject,
): Promise<void> {
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

/** All SidecarSets or those of these names, with their status and their revisions. */
export async function leaveSets(
  client: Pick<ClusterClient, 'create' | 'patch'>,
  release: KruiseRelease,
  names?: readonly string[],
): Promise<void> {
  const resource = storedResource(release)
  for (const left of leftSets()) {
    if (names?.includes(left.sidecarSet.metadata.name) === false) continue
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

/** The Service in front of kruise-controller-manager. */
export const kruiseService: Service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: webhookService,
  spec: { selector: { 'control-plane': 'controller-manager' }, ports: [{ port: 443, targetPort: 9876 }] },
}

/** What serves the webhooks of OpenKruise and lets one of its replicas lead. */
export async function leaveInstallation(
  client: Pick<ClusterClient, 'create'>,
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
  await client.create<Service>(resources.services, kruiseService)
  // As with --leader-election-lease-duration=5s: a test need not wait longer.
  await client.create<Lease>(resources.leases, kruiseLease('2026-01-01T11:00:00Z', 5))
}

/** The lease as the leading kruise-controller-manager writes it. */
export function kruiseLease(renewedAt: string, seconds: number): Lease {
  const time = formatMicroTime(Date.parse(renewedAt))
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: webhookService.namespace, name: 'kruise-manager' },
    spec: {
      holderIdentity: 'kruise-controller-manager-68dc6d87cc-k9vg8_3e0f7a5e-7c1b-4b0a-9f10-0a5d3c6f2b11',
      leaseDurationSeconds: seconds,
      acquireTime: formatMicroTime(Date.parse('2026-01-01T09:00:00Z')),
      renewTime: time,
      leaseTransitions: 3,
    },
  }
}
