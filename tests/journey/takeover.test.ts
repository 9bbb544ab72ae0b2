import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { runAll } from '@outrigger/controller'
import {
  type ControllerRevision,
  formatYaml,
  type KubeObject,
  type MutatingWebhookConfiguration,
  type Pod,
  type ResourceRef,
  resources,
  type Service,
} from '@outrigger/kube'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runRecorded } from '../../apps/outrigger/src/testing/recorded-run.ts'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'
import { kruiseCertificates } from './kruise-certificates.ts'
import {
  type KruiseRelease,
  kruiseSidecarSetDefinition,
  kruiseWebhooks,
  webhookService,
} from './kruise-definitions.ts'
import { cloneSets, kruiseService, leaveKruiseBehind, storedResource } from './kruise-leftovers.ts'
import {
  agentHashes,
  agentWithoutImage,
  firstRevision,
  meshHashes,
  meshWithoutImage,
  revisionTexts,
} from './kruise-literals.ts'
import { imageIds, injectedAgent } from './kruise-pods.ts'
import { leftSets } from './kruise-sets.ts'
import { createImageFollower } from './sidecar-cluster.ts'
import { type SmallCluster, startSmallCluster } from './small-cluster.ts'

const { sidecarSets } = outriggerResources
const patience = 60_000

describe.each<KruiseRelease>(['1.8', '1.9'])('a cluster that OpenKruise %s leaves', (release) => {
  let cluster: SmallCluster
  let manager: OutriggerProcess | undefined
  let folder: string
  let podsBefore: Map<string, Pod>
  let setsBefore: Map<string, SidecarSet>
  const nodes = new AbortController()
  let following: Promise<void> | undefined

  const outrigger = (...args: string[]) =>
    runRecorded(args, { workingDirectory: folder, variables: { KUBECONFIG: join(folder, 'kubeconfig') } })
  const pods = async () => byName(await cluster.list<Pod>(resources.pods, 'default'))
  const sets = async () => byName((await cluster.client.list<SidecarSet>(sidecarSets)).items)
  const revisionsOf = async (set: string) =>
    (await cluster.list<ControllerRevision>(resources.controllerRevisions, 'kruise-system'))
      .filter(({ metadata }) => metadata.labels?.['kruise.io/sidecarset-name'] === set)
      .sort((one, other) => one.revision - other.revision)
  const startManager = async () => {
    const process = startOutrigger(
      ['manager', '--kubeconfig', join(folder, 'kubeconfig'), '--webhook-port=0'],
      { PATH: globalThis.process.env['PATH'] },
    )
    await process.saw(/The manager is ready/, patience)
    return process
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'outrigger-takeover-'))
    cluster = await startSmallCluster(['node'])
    writeFileSync(join(folder, 'kubeconfig'), kubeconfigOf(cluster), { mode: 0o600 })
    // The replicas that installing makes stay pending: a process plays their part.
    const body = { spec: { unschedulable: true } }
    await cluster.until(resources.nodes, 'node', () => true, patience)
    await cluster.client.patch(resources.nodes, { namespace: '', name: 'node' }, { type: 'merge', body })
    await leaveKruiseBehind(cluster, release, kruiseCertificates)
    await cluster.until<Pod>(
      resources.pods,
      'default/agents-waiting',
      ({ status }) => status?.conditions?.some(({ reason }) => reason === 'Unschedulable') ?? false,
      patience,
    )
    podsBefore = await pods()
    setsBefore = byName((await cluster.client.list<SidecarSet>(storedResource(release))).items)
  }, 120_000)

  afterAll(async () => {
    await manager?.stop()
    nodes.abort()
    await following
    await cluster?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('creates no pods and takes no changes of SidecarSets, for want of webhooks', async () => {
    await expect(createPod(cluster, 'refused', 'agents')).rejects.toThrow(/mpod\.kb\.io/)
    const body = { metadata: { labels: { touched: 'yes' } } }
    const key = { namespace: '', name: 'agents' }
    await expect(cluster.client.patch(storedResource(release), key, { type: 'merge', body })).rejects.toThrow(
      /sidecarset\.kb\.io/,
    )
  })

  it('has SidecarSets that Outrigger has nothing against', async () => {
    const items = [...setsBefore.values()]
    writeFileSync(join(folder, 'sidecarsets.yaml'), formatYaml({ apiVersion: 'v1', kind: 'List', items }))
    const { out, exitCode } = await outrigger('lint', '-f', 'sidecarsets.yaml')
    expect(out).not.toContain('error:')
    expect(exitCode).toBe(0)
  })

  it('lets Outrigger be installed over it', async () => {
    const { out, error, exitCode } = await outrigger('install', '--apply')
    expect(`${error}${out}`).toContain(
      'customresourcedefinition.apiextensions.k8s.io/sidecarsets.apps.kruise.io configured',
    )
    expect(exitCode).toBe(0)
    expect((await outrigger('install', '--apply')).out).not.toContain('configured')
    manager = await startManager()
    await cluster.until<MutatingWebhookConfiguration>(
      resources.mutatingWebhookConfigurations,
      'kruise-mutating-webhook-configuration',
      ({ webhooks = [] }) => webhooks.every(({ clientConfig }) => clientConfig.url !== undefined),
      patience,
    )
  })

  it('keeps every SidecarSet, with its counters, its revision and its generation', async () => {
    await sentinel(cluster, 'sentinel')
    await cluster.until<Pod>(resources.pods, 'default/mesh-migrated', isEmptied('mesh-1'), patience)

    const now = await sets()
    for (const { sidecarSet, status } of leftSets()) {
      const { name } = sidecarSet.metadata
      const [one, before] = [now.get(name), setsBefore.get(name)]
      expect(one?.metadata.generation, name).toBe(1)
      expect(one?.metadata.uid, name).toBe(before?.metadata.uid)
      expect(one?.metadata.annotations, name).toEqual(before?.metadata.annotations)
      const { conditions: _, ...counters } = one?.status ?? ({} as NonNullable<SidecarSet['status']>)
      expect(counters, name).toEqual(status)
    }
  })

  it('keeps every revision and makes no other', async () => {
    for (const { sidecarSet, revisions } of leftSets()) {
      const { name } = sidecarSet.metadata
      const found = await revisionsOf(name)
      expect(found.map(({ metadata, revision }) => [metadata.name, revision])).toEqual(
        revisions.map((end, index) => [`${name}-${end}`, index + 1]),
      )
    }
  })

  it('keeps every pod as it is, but for the hot upgrade that is due to be finished', async () => {
    for (const [name, before] of podsBefore) {
      const now = (await pods()).get(name)
      if (name === 'mesh-migrated') {
        expect(now?.metadata.uid).toBe(before.metadata.uid)
        expect(imagesOf(now)).toEqual(['example/mesh:empty', 'example/mesh:v2', 'web:1'])
        expect(now?.status).toEqual(before.status)
      } else expect(now, name).toEqual(before)
    }
  })

  it('finishes what was begun once its nodes go on', async () => {
    following = runAll([createImageFollower(cluster)], nodes.signal)
    for (const name of ['rolling-0', 'rolling-1', 'rolling-2', 'rolling-3'])
      await cluster.until<Pod>(
        resources.pods,
        `default/${name}`,
        runs('agent', 'example/agent:1.1'),
        patience,
      )
    for (const name of ['untouched', 'begun', 'migrated', 'emptying', 'settled'])
      await cluster.until<Pod>(
        resources.pods,
        `default/mesh-${name}`,
        (pod) => runs('mesh-2', 'example/mesh:v2')(pod) && runs('mesh-1', 'example/mesh:empty')(pod),
        patience,
      )
    const done = { matchedPods: 5, updatedPods: 5, readyPods: 5, updatedReadyPods: 5 }
    await cluster.until<SidecarSet>(sidecarSets, 'mesh-set', has(done), patience)
    await cluster.until<SidecarSet>(
      sidecarSets,
      'rolling',
      has({ matchedPods: 4, updatedPods: 4, readyPods: 4, updatedReadyPods: 4 }),
      patience,
    )
  })

  it('rolls a new image out, each pod in place and the application beside it untouched', async () => {
    const containers = setsBefore.get('agents')?.spec.containers ?? []
    await cluster.client.patch<SidecarSet>(
      sidecarSets,
      { namespace: '', name: 'agents' },
      {
        type: 'merge',
        body: { spec: { containers: containers.map((one) => ({ ...one, image: 'example/agent:1.1' })) } },
      },
    )
    for (const name of ['agents-0', 'agents-1', 'agents-2', 'agents-3'])
      await cluster.until<Pod>(
        resources.pods,
        `default/${name}`,
        runs('agent', 'example/agent:1.1'),
        patience,
      )
    await cluster.until<SidecarSet>(
      sidecarSets,
      'agents',
      has({
        matchedPods: 5,
        updatedPods: 5,
        readyPods: 4,
        updatedReadyPods: 4,
        latestRevision: 'agents-85c5ccd687',
      }),
      patience,
    )

    const now = await pods()
    for (const name of ['agents-0', 'agents-1', 'agents-2', 'agents-3']) {
      const [pod, before] = [now.get(name), podsBefore.get(name)]
      expect(pod?.metadata.uid, name).toBe(before?.metadata.uid)
      expect(statusOf(pod, 'agent')?.restartCount, name).toBe(1)
      expect(statusOf(pod, 'web'), name).toEqual(statusOf(before, 'web'))
      expect({ ...pod?.spec, containers: pod?.spec.containers.slice(1) }, name).toEqual({
        ...before?.spec,
        containers: before?.spec.containers.slice(1),
      })
    }
  })

  it('injects into new pods what OpenKruise would have', async () => {
    const pod = await createPod(cluster, 'agents-new', 'agents')
    expect(pod.spec.containers[0]).toMatchObject(injectedAgent('1.1'))
    expect(withoutTimes(pod.metadata.annotations)).toEqual({
      'kruise.io/sidecarset-injected-list': 'agents',
      'kruise.io/sidecarset-hash': record('agents', '1.1'),
      'kruise.io/sidecarset-hash-without-image': recordWithoutImage('agents'),
    })
  })

  it('injects into new pods the content that a SidecarSet is pinned to', async () => {
    const pod = await createPod(cluster, 'pinned-new', 'pinned')
    expect(pod.spec.containers[0]).toMatchObject(injectedAgent('1.0'))
    expect(withoutTimes(pod.metadata.annotations)).toMatchObject({
      'kruise.io/sidecarset-hash': record('pinned', '1.0'),
      'kruise.io/sidecarset-hash-without-image': recordWithoutImage('pinned'),
    })
  })

  it('names in new pods the revision that is there, whichever release recorded it', async () => {
    const pod = await createPod(cluster, 'base-new', 'base')
    expect(pod.metadata.annotations?.['kruise.io/sidecarset-hash']).toContain(
      `"controllerRevision":"base-${firstRevision}"`,
    )
  })

  it('never touches pods that nothing is to be done for', async () => {
    const now = await pods()
    const idle = [
      'paused-0',
      'paused-1',
      'partitioned-0',
      'partitioned-1',
      'frozen-0',
      'frozen-1',
      'pinned-0',
      'grown-0',
    ]
    for (const name of [
      ...idle,
      'base-0',
      'canary-0',
      'rolling-0',
      'mesh-settled',
      'agents-finished',
      'agents-going',
    ])
      expect(now.get(name), name).toEqual(podsBefore.get(name))
  })

  describe('and that goes back to it', () => {
    it('finds records on all pods as if it had been there all the time', async () => {
      // Conditions are gathered for half a second before they are written.
      for (const [name, set] of upgraded)
        await cluster.until<Pod>(resources.pods, `default/${name}`, isSaidToBeUpgradable(set), patience)
      await manager?.stop()
      const now = await pods()
      const annotations = (name: string) => withoutTimes(now.get(name)?.metadata.annotations)
      for (const name of ['agents-1', 'agents-2', 'agents-3'])
        expect(annotations(name)['kruise.io/sidecarset-hash'], name).toBe(record('agents', '1.1'))
      expect(annotations('agents-0')['kruise.io/sidecarset-hash']).toBe(
        record('agents', '1.1').replace(
          /}$/,
          ',"native":{"updateTimestamp":"T","hash":"w55v74bbx95x8f5fdd8f27x4c547bw662vx658fvzc6c5w9v4d6744b44fw6b478","sidecarSetName":"native","sidecarList":["proxy"],"controllerRevision":"native-6c9b7d95f7"}}',
        ),
      )
      for (const name of ['rolling-1', 'rolling-3'])
        expect(annotations(name), name).toEqual({
          'kruise.io/sidecarset-injected-list': 'rolling',
          'kruise.io/sidecarset-hash': record('rolling', '1.1'),
          'kruise.io/sidecarset-hash-without-image': recordWithoutImage('rolling'),
          'kruise.io/sidecarset-inplace-update-state': `{"rolling":{"revision":"${agentHashes['1.1']?.hash}","updateTimestamp":"T","lastContainerStatuses":{"agent":{"imageID":"${imageIds['example/agent:1.0']}"}}}}`,
        })
      const { 'version.sidecarset.kruise.io/mesh-2': version, ...mesh } = annotations('mesh-untouched')
      expect(Number(version)).toBeGreaterThan(7)
      expect(mesh).toEqual({
        'kruise.io/sidecarset-injected-list': 'mesh-set',
        'kruise.io/sidecarset-hash': `{"mesh-set":{"updateTimestamp":"T","hash":"${meshHashes.v2.hash}","sidecarSetName":"mesh-set","sidecarList":["mesh"],"controllerRevision":"mesh-set-866c84b9f4"}}`,
        'kruise.io/sidecarset-hash-without-image': `{"mesh-set":{"updateTimestamp":"T","hash":"${meshWithoutImage}","sidecarSetName":"mesh-set","sidecarList":["mesh"]}}`,
        'kruise.io/sidecarset-working-hotupgrade-container': '{"mesh":"mesh-2"}',
        'version.sidecarset.kruise.io/mesh-1': '0',
        'versionalt.sidecarset.kruise.io/mesh-1': version,
        'versionalt.sidecarset.kruise.io/mesh-2': '0',
        'kruise.io/sidecarset-inplace-update-state': `{"mesh-set":{"revision":"${meshHashes.v2.hash}","updateTimestamp":"T","lastContainerStatuses":{"mesh-1":{"imageID":"${imageIds['example/mesh:v1']}"},"mesh-2":{"imageID":"${imageIds['example/mesh:empty']}"}}}}`,
      })
    })

    it('finds SidecarSets with its hashes, and revisions of its form', async () => {
      const agents = (await sets()).get('agents')
      expect(agents?.metadata.annotations).toMatchObject({
        'kruise.io/sidecarset-hash': agentHashes['1.1']?.hash,
        'kruise.io/sidecarset-hash-without-image': agentWithoutImage,
      })
      const [old, made, ...others] = await revisionsOf('agents')
      expect(others).toEqual([])
      expect(old?.metadata.name).toBe('agents-7c9ccc6db4')
      expect(made).toMatchObject({
        metadata: {
          name: 'agents-85c5ccd687',
          labels: {
            'controller.kubernetes.io/hash': '85c5ccd687',
            'kruise.io/sidecarset-name': 'agents',
            'apps.kruise.io/sidecarset-custom-version': '7',
          },
          annotations: {
            'kruise.io/sidecarset-hash': agentHashes['1.1']?.hash,
            'kruise.io/sidecarset-hash-without-image': agentWithoutImage,
          },
          ownerReferences: [
            { kind: 'SidecarSet', name: 'agents', uid: agents?.metadata.uid, controller: true },
          ],
        },
        revision: 2,
      })
      expect(made?.data).toEqual(JSON.parse(revisionTexts['85c5ccd687'] ?? ''))
    })

    it('gets back what was replaced, and all SidecarSets with it', async () => {
      expect((await outrigger('uninstall', '--yes')).exitCode).toBe(0)
      for (const [resource, object] of kruiseManifest(release))
        await cluster.client.patch<KubeObject>(
          resource,
          { namespace: object.metadata.namespace ?? '', name: object.metadata.name },
          { type: 'apply', body: object },
          { fieldManager: 'kubectl', force: true },
        )

      const stored = byName((await cluster.client.list<SidecarSet>(storedResource(release))).items)
      for (const [name, { metadata, spec }] of setsBefore) {
        const now = stored.get(name)
        expect(now?.metadata.uid, name).toBe(metadata.uid)
        expect(now?.metadata.labels, name).toEqual(metadata.labels)
        if (name !== 'agents') expect(now?.spec, name).toEqual(spec)
      }
      // Written through Outrigger with spec.namespace, which v1beta1 does not know.
      expect(stored.get('sentinel')?.spec).toMatchObject({
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
      })
      expect(stored.get('sentinel')?.spec.namespace).toBeUndefined()
      expect(await cluster.client.get(cloneSets, { namespace: 'default', name: 'shop' })).toBeDefined()
      const service = await cluster.client.get<Service>(resources.services, webhookService)
      expect(service.spec?.selector).toEqual({ 'control-plane': 'controller-manager' })
    })
  })
})

/** What the chart of this release applies, of that which Outrigger replaces. */
function kruiseManifest(release: KruiseRelease): [ResourceRef, KubeObject][] {
  const [mutating, validating] = kruiseWebhooks(release, '')
  return [
    [resources.customResourceDefinitions, kruiseSidecarSetDefinition(release)],
    [resources.services, kruiseService],
    [resources.mutatingWebhookConfigurations, mutating],
    [resources.validatingWebhookConfigurations, validating],
  ]
}

const web = { name: 'web', image: 'web:1' }

function createPod(cluster: SmallCluster, name: string, app: string): Promise<Pod> {
  return cluster.client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app } },
    spec: { nodeName: 'node', containers: [web] },
  })
}

/** A SidecarSet made now is counted and recorded after all that was there when the manager began. */
async function sentinel(cluster: SmallCluster, name: string): Promise<void> {
  await cluster.client.create<SidecarSet>(sidecarSets, {
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name },
    spec: {
      namespace: 'default',
      selector: { matchLabels: { app: name } },
      containers: [{ name: 'sentinel', image: 'example/sentinel:1' }],
    },
  })
  const { status } = await cluster.until<SidecarSet>(sidecarSets, name, has({ matchedPods: 0 }), patience)
  await cluster.until(
    resources.controllerRevisions,
    `kruise-system/${status?.latestRevision}`,
    () => true,
    patience,
  )
}

const byName = <T extends KubeObject>(objects: readonly T[]) =>
  new Map(objects.map((object) => [object.metadata.name, object] as const))

/** Pods of three SidecarSets that were upgraded by Outrigger. */
const upgraded = [
  ['agents-1', 'agents'],
  ['rolling-1', 'rolling'],
  ['mesh-untouched', 'mesh-set'],
] as const

/** The condition as kruise-manager writes it after an upgrade. */
const isSaidToBeUpgradable = (set: string) => (pod: Pod) =>
  pod.status?.conditions?.some(
    ({ type, status, reason, message }) =>
      type === 'SidecarSetUpgradable' &&
      status === 'True' &&
      reason === 'AllSidecarsetUpgradable' &&
      message === `{"${set}":true}`,
  ) ?? false

const statusOf = (pod: Pod | undefined, container: string) =>
  pod?.status?.containerStatuses?.find(({ name }) => name === container)

const imagesOf = (pod: Pod | undefined) => pod?.spec.containers.map(({ image }) => image)

const isEmptied = (container: string) => (pod: Pod) =>
  pod.spec.containers.some(({ name, image }) => name === container && image === 'example/mesh:empty')

const runs = (container: string, image: string) => (pod: Pod) => statusOf(pod, container)?.image === image

const has = (wanted: object) => (object: SidecarSet) =>
  Object.entries(wanted).every(([key, value]) => object.status?.[key as 'matchedPods'] === value)

const record = (set: string, image: string) =>
  `{"${set}":{"updateTimestamp":"T","hash":"${agentHashes[image]?.hash}","sidecarSetName":"${set}","sidecarList":["agent"],"controllerRevision":"${set}-${agentHashes[image]?.revision}"}}`

const recordWithoutImage = (set: string) =>
  `{"${set}":{"updateTimestamp":"T","hash":"${agentWithoutImage}","sidecarSetName":"${set}","sidecarList":["agent"]}}`

/** Annotations with T for every time of the form that OpenKruise writes. */
function withoutTimes(annotations: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => [
      key,
      value.replace(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"/g, '"T"'),
    ]),
  )
}

function kubeconfigOf({ url, token, authority }: SmallCluster): string {
  return formatYaml({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'it',
    clusters: [
      {
        name: 'it',
        cluster: { server: url, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    contexts: [{ name: 'it', context: { cluster: 'it', user: 'admin' } }],
    users: [{ name: 'admin', user: { token } }],
  })
}
