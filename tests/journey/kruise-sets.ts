import type { SidecarSet, SidecarSetStatus } from '@outrigger/api'
import type { ControllerRevision } from '@outrigger/kube'
import type { KruiseRelease } from './kruise-definitions.ts'
import {
  agentHashes,
  agentWithLevel,
  agentWithoutImage,
  firstRevision,
  meshHashes,
  meshWithoutImage,
  proxyHashes,
  revisionTexts,
} from './kruise-literals.ts'

/** A SidecarSet as kruise-manager left it. */
export interface LeftSet {
  readonly sidecarSet: SidecarSet
  readonly status: SidecarSetStatus
  /** Ends of the names of its ControllerRevisions, oldest first. */
  readonly revisions: readonly string[]
}

const cold = { upgradeType: 'ColdUpgrade' } as const
const container = (name: string, image: string, more: object = {}) => ({
  name,
  image,
  imagePullPolicy: 'IfNotPresent',
  resources: {},
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  podInjectPolicy: 'BeforeAppContainer',
  upgradeStrategy: cold,
  shareVolumePolicy: { type: 'disabled' },
  ...more,
})
const data = { volumeMounts: [{ name: 'agent-data', mountPath: '/data' }] }

interface Given {
  readonly name: string
  readonly image?: '1.0' | '1.1'
  readonly updateStrategy?: object
  readonly selector?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly revisions: readonly string[]
  /** Matched, updated, ready, updated and ready. */
  readonly counts: readonly [number, number, number, number]
  readonly hashes?: readonly [string, string]
  readonly spec?: object
  readonly injectionStrategy?: object
}

function leftSet({
  name,
  image = '1.0',
  updateStrategy = {},
  selector = { app: name },
  annotations = {},
  revisions,
  counts: [matchedPods, updatedPods, readyPods, updatedReadyPods],
  hashes = [agentHashes[image]?.hash ?? '', agentWithoutImage],
  spec = {
    containers: [container('agent', `example/agent:${image}`, data)],
    volumes: [{ name: 'agent-data', emptyDir: {} }],
  },
  injectionStrategy = {},
}: Given): LeftSet {
  return {
    sidecarSet: {
      apiVersion: 'apps.kruise.io/v1alpha1',
      kind: 'SidecarSet',
      metadata: {
        name,
        annotations: {
          'kruise.io/sidecarset-hash': hashes[0],
          'kruise.io/sidecarset-hash-without-image': hashes[1],
          ...annotations,
        },
      },
      spec: {
        selector: { matchLabels: { ...selector } },
        ...spec,
        updateStrategy: { type: 'RollingUpdate', partition: 0, maxUnavailable: 1, ...updateStrategy },
        injectionStrategy,
        revisionHistoryLimit: 10,
      },
    } as SidecarSet,
    status: {
      observedGeneration: 1,
      matchedPods,
      updatedPods,
      readyPods,
      updatedReadyPods,
      latestRevision: `${name}-${revisions.at(-1)}`,
      collisionCount: 0,
    },
    revisions,
  }
}

const first = agentHashes['1.0']?.revision ?? ''
const second = agentHashes['1.1']?.revision ?? ''

/** A SidecarSet for every kind of rollout, each with its counters as they were when kruise-manager stopped. */
export function leftSets(): LeftSet[] {
  return [
    leftSet({
      name: 'agents',
      updateStrategy: { maxUnavailable: 2 },
      revisions: [first],
      counts: [5, 5, 4, 4],
    }),
    leftSet({ name: 'rolling', image: '1.1', revisions: [first, second], counts: [4, 2, 3, 1] }),
    leftSet({
      name: 'paused',
      image: '1.1',
      updateStrategy: { paused: true },
      revisions: [first, second],
      counts: [2, 1, 2, 1],
    }),
    leftSet({
      name: 'partitioned',
      image: '1.1',
      updateStrategy: { partition: 1 },
      revisions: [first, second],
      counts: [2, 1, 2, 1],
    }),
    leftSet({
      name: 'frozen',
      image: '1.1',
      updateStrategy: { type: 'NotUpdate' },
      revisions: [first, second],
      counts: [2, 1, 2, 1],
    }),
    leftSet({
      name: 'grown',
      hashes: [agentWithLevel.hash, agentWithLevel.withoutImage],
      revisions: [first, agentWithLevel.revision],
      counts: [1, 0, 1, 0],
      spec: {
        containers: [
          container('agent', 'example/agent:1.0', { env: [{ name: 'LEVEL', value: 'info' }], ...data }),
        ],
        volumes: [{ name: 'agent-data', emptyDir: {} }],
      },
    }),
    // New pods get what was recorded first.
    leftSet({
      name: 'pinned',
      image: '1.1',
      updateStrategy: { type: 'NotUpdate' },
      injectionStrategy: { revision: { revisionName: `pinned-${first}`, policy: 'Always' } },
      revisions: [first, second],
      counts: [1, 0, 1, 0],
    }),
    leftSet({ name: 'base', revisions: [firstRevision], counts: [1, 1, 1, 1] }),
    leftSet({
      name: 'base-canary',
      image: '1.1',
      selector: { app: 'base', canary: 'yes' },
      annotations: { 'apps.kruise.io/sidecarset-canary': 'true', 'apps.kruise.io/sidecarset-base': 'base' },
      updateStrategy: { type: 'NotUpdate' },
      revisions: [second],
      counts: [1, 1, 1, 1],
    }),
    leftSet({
      name: 'native',
      selector: { native: 'yes' },
      hashes: [proxyHashes.hash, proxyHashes.withoutImage],
      updateStrategy: { type: 'NotUpdate' },
      revisions: [proxyHashes.revision],
      counts: [1, 1, 1, 1],
      spec: {
        initContainers: [
          container('proxy', 'example/proxy:1', {
            restartPolicy: 'Always',
            podInjectPolicy: 'AfterAppContainer',
          }),
        ],
      },
    }),
    leftSet({
      name: 'mesh-set',
      hashes: [meshHashes.v2.hash, meshWithoutImage],
      revisions: [meshHashes.v1.revision, meshHashes.v2.revision],
      counts: [5, 4, 2, 1],
      spec: {
        containers: [
          container('mesh', 'example/mesh:v2', {
            upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'example/mesh:empty' },
          }),
        ],
      },
    }),
  ]
}

/** How this release stores a SidecarSet: the one of `agents` has the custom version 7. */
export function storedSet({ sidecarSet }: LeftSet, release: KruiseRelease): SidecarSet {
  const { metadata, spec } = sidecarSet
  const hasVersion = metadata.name === 'agents'
  if (release === '1.8')
    return hasVersion
      ? {
          ...sidecarSet,
          metadata: { ...metadata, labels: { 'apps.kruise.io/sidecarset-custom-version': '7' } },
        }
      : sidecarSet
  return {
    ...sidecarSet,
    apiVersion: 'apps.kruise.io/v1beta1',
    spec: hasVersion ? { ...spec, customVersion: '7' } : spec,
  }
}

/** The ControllerRevisions of a SidecarSet that is stored with this uid. */
export function leftRevisions(
  { sidecarSet, revisions }: LeftSet,
  uid: string,
  release: KruiseRelease,
): ControllerRevision[] {
  const { name, annotations = {} } = sidecarSet.metadata
  const hashOf = (end: string) => Object.values(agentHashes).find(({ revision }) => revision === end)?.hash
  return revisions.map((end, index) => ({
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name}-${end}`,
      namespace: 'kruise-system',
      labels: {
        'controller.kubernetes.io/hash': end,
        'kruise.io/sidecarset-name': name,
        ...(name === 'agents' && { 'apps.kruise.io/sidecarset-custom-version': '7' }),
      },
      annotations: {
        ...annotations,
        ...(index < revisions.length - 1 && {
          'kruise.io/sidecarset-hash': hashOf(end) ?? meshHashes.v1.hash,
          ...(name === 'grown' && { 'kruise.io/sidecarset-hash-without-image': agentWithoutImage }),
        }),
      },
      ownerReferences: [
        {
          apiVersion: release === '1.8' ? 'apps.kruise.io/v1alpha1' : 'apps.kruise.io/v1beta1',
          kind: 'SidecarSet',
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    revision: index + 1,
    data: JSON.parse(revisionTexts[end] ?? '{}') as Record<string, unknown>,
  }))
}
