import { outriggerResources, podAnnotations, type SidecarSet, type Track } from '@outrigger/api'
import { isConflict } from '@outrigger/client'
import { trackOf } from '@outrigger/injection'
import {
  type ControllerRevision,
  type Deployment,
  type Pod,
  resources,
  type StatefulSet,
} from '@outrigger/kube'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SidecarCluster, startSidecarCluster } from './sidecar-cluster.ts'

const { sidecarSets } = outriggerResources
const namespace = 'shop'
const deadline = 60_000
let cluster: SidecarCluster

beforeAll(async () => {
  cluster = await startSidecarCluster()
  await cluster.client.create(resources.namespaces, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  })
  await release('1')
  await release('2')
  await release('3')
  await cluster.client.create<Deployment>(resources.deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    ...workload('web', 12),
  })
  await cluster.client.create<StatefulSet>(resources.statefulSets, {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    ...workload('db', 6),
    spec: { ...workload('db', 6).spec, serviceName: 'db', podManagementPolicy: 'Parallel' },
  })
  await podsUntil((pods) => pods.length === 18 && pods.every((pod) => isReady(pod) && versionOf(pod) === '3'))
}, 120_000)

afterAll(() => cluster.stop())

const workload = (name: string, replicas: number) => ({
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name, logs: 'on' } },
      spec: { containers: [{ name: 'main', image: 'main:1' }] },
    },
  },
})

/** Writes a content as version `v<version>`, and waits until it is recorded. */
async function release(version: string): Promise<void> {
  const set: SidecarSet = {
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: 'logs', labels: { 'apps.kruise.io/sidecarset-custom-version': `v${version}` } },
    spec: {
      selector: { matchLabels: { logs: 'on' } },
      containers: [{ name: 'agent', image: `agent:${version}` }],
      updateStrategy: { maxUnavailable: '100%' },
    },
  }
  if (version === '1') await cluster.client.create(sidecarSets, set)
  else {
    const { labels } = set.metadata
    await patchSet({ metadata: { labels }, spec: set.spec })
  }
  await cluster.untilList<ControllerRevision>(resources.controllerRevisions, 'kruise-system', (revisions) =>
    revisions.some(
      ({ metadata }) => metadata.labels?.['apps.kruise.io/sidecarset-custom-version'] === `v${version}`,
    ),
  )
}

const patchSet = (body: unknown) =>
  cluster.client.patch<SidecarSet>(sidecarSets, { namespace: '', name: 'logs' }, { type: 'merge', body })

/** Sets the tracks and waits until every pod has what injection would give it, and status says so. */
async function setTracks(tracks: readonly Track[]): Promise<readonly Pod[]> {
  const text = tracks.length > 0 ? JSON.stringify(tracks) : null
  const set = await patchSet({ metadata: { annotations: { 'outrigger.dev/tracks': text } } })
  return settled(set)
}

async function settled(set: SidecarSet): Promise<readonly Pod[]> {
  const pods = await podsUntil((all) =>
    all.every((pod) => isReady(pod) && versionOf(pod) === expectedVersion(set, pod)),
  )
  await cluster.until<SidecarSet>(
    sidecarSets,
    'logs',
    ({ status }) =>
      status?.matchedPods === pods.length &&
      status.updatedPods === pods.length &&
      status.updatedReadyPods === pods.length,
    deadline,
  )
  return pods
}

const podsUntil = (isDone: (pods: readonly Pod[]) => boolean) =>
  cluster.untilList<Pod>(resources.pods, namespace, isDone, deadline)
const isReady = ({ status, metadata }: Pod) =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false)
const imageOf = ({ spec }: Pod) => spec.containers.find(({ name }) => name === 'agent')?.image
const versionOf = (pod: Pod) => imageOf(pod)?.replace('agent:', '')
const expectedVersion = (set: SidecarSet, pod: Pod) => trackOf(set, pod)?.customVersion?.slice(1) ?? '3'
const count = (pods: readonly Pod[], version: string) =>
  pods.filter((pod) => versionOf(pod) === version).length
const versions = (pods: readonly Pod[]) => new Map(pods.map((pod) => [pod.metadata.uid, versionOf(pod)]))
const wasChangedInPlace = ({ metadata }: Pod) =>
  metadata.annotations?.[podAnnotations.inPlaceUpdateState] !== undefined

const trial = (percent: number): Track => ({ name: 'trial', customVersion: 'v2', percent })
const old = (percent: number): Track => ({ name: 'old', customVersion: 'v1', percent })

describe('tracks on the pods of a Deployment and a StatefulSet', () => {
  test('hold three versions at a time, in place, and outlive scaling and pods that are made anew', async () => {
    const before = versions(await setTracks([trial(40), old(30)]))
    for (const version of ['1', '2', '3']) expect([...before.values()]).toContain(version)

    await cluster.client.patch(
      resources.deployments,
      { namespace, name: 'web' },
      { type: 'merge', body: { spec: { replicas: 24 } } },
    )
    await podsUntil((pods) => pods.length === 30 && pods.every(isReady))
    const set = await cluster.client.get<SidecarSet>(sidecarSets, { namespace: '', name: 'logs' })
    const scaled = await settled(set)
    for (const pod of scaled)
      if (before.has(pod.metadata.uid)) expect(versionOf(pod)).toBe(before.get(pod.metadata.uid))
    const born = scaled.filter(({ metadata }) => !before.has(metadata.uid))
    expect(born).toHaveLength(12)
    for (const pod of born) expect(wasChangedInPlace(pod)).toBe(false)

    const databases = scaled.filter(({ metadata }) => metadata.labels?.['app'] === 'db')
    const byName = new Map(databases.map((pod) => [pod.metadata.name, versionOf(pod)]))
    const uids = new Set(databases.map(({ metadata }) => metadata.uid))
    await cluster.client.deleteCollection(resources.pods, {
      namespace,
      labelSelector: 'app=db',
      gracePeriodSeconds: 0,
    })
    const again = (pods: readonly Pod[]) =>
      pods.filter(({ metadata }) => metadata.labels?.['app'] === 'db' && !uids.has(metadata.uid))
    const pods = await podsUntil((all) => again(all).length === 6 && all.every(isReady))
    for (const pod of again(pods)) {
      expect(versionOf(pod)).toBe(byName.get(pod.metadata.name))
      expect(wasChangedInPlace(pod)).toBe(false)
    }
  })

  test('are told from a seed for pods that the server names, and need no change afterwards', async () => {
    const set = await patchSet({
      metadata: { annotations: { 'outrigger.dev/tracks': JSON.stringify([trial(50)]) } },
    })
    await settled(set)
    for (let i = 0; i < 8; i++)
      await cluster.client.create<Pod>(resources.pods, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: '', generateName: 'bare-', namespace, labels: { logs: 'on', app: 'bare' } },
        spec: { containers: [{ name: 'main', image: 'main:1' }] },
      })
    const isBare = ({ metadata }: Pod) => metadata.labels?.['app'] === 'bare'
    const pods = await podsUntil((all) => all.filter(isBare).length === 8 && all.every(isReady))
    for (const pod of pods.filter(isBare)) {
      expect(pod.metadata.annotations?.['outrigger.dev/track-seed']).toMatch(/^[0-9a-z]{8}$/)
      expect(versionOf(pod)).toBe(expectedVersion(set, pod))
    }
    for (const pod of (await settled(set)).filter(isBare)) expect(wasChangedInPlace(pod)).toBe(false)
    await cluster.client.deleteCollection(resources.pods, {
      namespace,
      labelSelector: 'app=bare',
      gracePeriodSeconds: 0,
    })
    await podsUntil((all) => !all.some(isBare))
  })

  test('grow and shrink, and take no pod off that need not go', async () => {
    const first = await setTracks([trial(20)])
    const onTrial = new Set(first.filter((pod) => versionOf(pod) === '2').map(({ metadata }) => metadata.uid))
    const grown = await setTracks([trial(70)])
    for (const pod of grown) if (onTrial.has(pod.metadata.uid)) expect(versionOf(pod)).toBe('2')
    expect(count(grown, '2')).toBeGreaterThan(onTrial.size)
    const shrunk = await setTracks([trial(20)])
    expect(
      new Set(shrunk.filter((pod) => versionOf(pod) === '2').map(({ metadata }) => metadata.uid)),
    ).toEqual(onTrial)
  })

  test('take whole workloads by a selector, and let all of them go again', async () => {
    const databases: Track = {
      name: 'databases',
      customVersion: 'v1',
      selector: { matchLabels: { app: 'db' } },
    }
    const pods = await setTracks([databases])
    expect(
      pods
        .filter((pod) => versionOf(pod) === '1')
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(Array.from({ length: 6 }, (_, i) => `db-${i}`))
    expect(count(await setTracks([]), '3')).toBe(pods.length)
  })

  test('go on where a manager left off in the middle', async () => {
    const text = JSON.stringify([trial(60), old(40)])
    const set = await patchSet({ metadata: { annotations: { 'outrigger.dev/tracks': text } } })
    await podsUntil((pods) => pods.some((pod) => versionOf(pod) !== '3'))
    await cluster.stopManager()
    await cluster.startManager()
    await settled(set)
    await setTracks([])
  })

  test('are refused with field and remedy where they cannot be kept', async () => {
    const refused = await setTracks([{ ...trial(10), customVersion: 'v9' }]).catch((error: unknown) => error)
    expect(isConflict(refused)).toBe(false)
    expect(String(refused)).toContain(
      'metadata.annotations[outrigger.dev/tracks][0].customVersion: Invalid value: "v9": is not recorded for the SidecarSet; outrigger rollout history lists what is',
    )
    expect(refused).toMatchObject({ code: 422 })
  })
})
