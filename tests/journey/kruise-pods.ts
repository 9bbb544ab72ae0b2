import type { Container, ContainerStatus, Draft, Pod, PodCondition } from '@outrigger/kube'
import {
  agentHashes,
  agentWithoutImage,
  meshHashes,
  meshWithoutImage,
  proxyHashes,
} from './kruise-literals.ts'

/** A pod as kruise-manager and a kubelet left it. */
export interface LeftPod {
  readonly pod: Draft<Pod>
  /** Written over what the node says when the pod has started; undefined for a pod that no node takes. */
  readonly status: Pod['status'] | undefined
  /** It is on its way out, and something holds it. */
  readonly isGoing?: boolean
}

type AgentImage = '1.0' | '1.1'
type MeshImage = 'v1' | 'v2' | 'empty'

const injectedAt = '2026-01-01T10:00:00Z'
const upgradedAt = '2026-01-01T10:05:00Z'

/** The image IDs a node reports: one for each image, as digests of the registry. */
export const imageIds: Readonly<Record<string, string>> = {
  'example/agent:1.0': `docker.io/example/agent@sha256:${'10'.repeat(32)}`,
  'example/agent:1.1': `docker.io/example/agent@sha256:${'11'.repeat(32)}`,
  'example/mesh:v1': `docker.io/example/mesh@sha256:${'a1'.repeat(32)}`,
  'example/mesh:v2': `docker.io/example/mesh@sha256:${'a2'.repeat(32)}`,
  'example/mesh:empty': `docker.io/example/mesh@sha256:${'a0'.repeat(32)}`,
  'example/proxy:1': `docker.io/example/proxy@sha256:${'b1'.repeat(32)}`,
  'web:1': `docker.io/library/web@sha256:${'c1'.repeat(32)}`,
}

const file = { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File' } as const
const injected = { name: 'IS_INJECTED', value: 'true' }
const web: Container = { name: 'web', image: 'web:1' }

/** The container `agent` as it is injected. */
export const injectedAgent = (image: string): Container => ({
  name: 'agent',
  image: `example/agent:${image}`,
  imagePullPolicy: 'IfNotPresent',
  env: [injected],
  resources: {},
  volumeMounts: [{ name: 'agent-data', mountPath: '/data' }],
  ...file,
})

const injectedMesh = (name: 'mesh-1' | 'mesh-2', image: MeshImage): Container => ({
  name,
  image: `example/mesh:${image}`,
  imagePullPolicy: 'IfNotPresent',
  env: [
    injected,
    ...['version', 'versionalt'].map((key) => ({
      name: key === 'version' ? 'SIDECARSET_VERSION' : 'SIDECARSET_VERSION_ALT',
      valueFrom: {
        fieldRef: {
          apiVersion: 'v1',
          fieldPath: `metadata.annotations['${key}.sidecarset.kruise.io/${name}']`,
        },
      },
    })),
  ],
  resources: {},
  ...file,
})

const injectedProxy: Container = {
  name: 'proxy',
  image: 'example/proxy:1',
  imagePullPolicy: 'IfNotPresent',
  env: [injected],
  resources: {},
  restartPolicy: 'Always',
  ...file,
}

function statusOf(name: string, image: string, restartCount = 0): ContainerStatus {
  return {
    name,
    image,
    imageID: imageIds[image] ?? '',
    containerID: `containerd://${name}-${restartCount}`,
    ready: true,
    started: true,
    restartCount,
    state: { running: { startedAt: '2026-01-01T10:00:02Z' } },
  } as ContainerStatus
}

const ready = (status: 'True' | 'False'): PodCondition[] =>
  ['Ready', 'ContainersReady'].map((type) => ({ type, status, lastTransitionTime: '2026-01-01T10:00:05Z' }))

/** The condition that kruise-manager writes after an upgrade, or where none is possible. */
const upgradable = (set: string, is: boolean): PodCondition => ({
  type: 'SidecarSetUpgradable',
  status: is ? 'True' : 'False',
  reason: is ? 'AllSidecarsetUpgradable' : 'UpdateImmutableField',
  message: `{"${set}":${is}}`,
  lastTransitionTime: '2026-01-01T10:05:00Z',
})

const agentRecord = (set: string, image: AgentImage, at: string) =>
  `{"${set}":{"updateTimestamp":"${at}","hash":"${agentHashes[image]?.hash}","sidecarSetName":"${set}","sidecarList":["agent"],"controllerRevision":"${set}-${agentHashes[image]?.revision}"}}`

const agentRecordWithoutImage = (set: string) =>
  `{"${set}":{"updateTimestamp":"${injectedAt}","hash":"${agentWithoutImage}","sidecarSetName":"${set}","sidecarList":["agent"]}}`

interface AgentPod {
  readonly set: string
  /** The image that its spec and its records name. */
  readonly image: AgentImage
  /** It had another image before, and was upgraded in place from that. */
  readonly from?: AgentImage
  /** What the node runs. Defaults to `image`. */
  readonly runs?: AgentImage
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly cannotBeUpgraded?: boolean
}

/** A pod with the container `agent` of one SidecarSet. */
export function agentPod(name: string, options: AgentPod): LeftPod {
  const { set, image, from, runs = image, labels, annotations, cannotBeUpgraded = false } = options
  const conditions = from !== undefined || cannotBeUpgraded ? [upgradable(set, !cannotBeUpgraded)] : []
  return {
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace: 'default',
        labels: { app: set, ...labels },
        annotations: {
          'kruise.io/sidecarset-injected-list': set,
          'kruise.io/sidecarset-hash': agentRecord(set, image, from === undefined ? injectedAt : upgradedAt),
          'kruise.io/sidecarset-hash-without-image': agentRecordWithoutImage(set),
          ...(from !== undefined && {
            'kruise.io/sidecarset-inplace-update-state': `{"${set}":{"revision":"${agentHashes[image]?.hash}","updateTimestamp":"${upgradedAt}","lastContainerStatuses":{"agent":{"imageID":"${imageIds[`example/agent:${from}`]}"}}}}`,
          }),
          ...annotations,
        },
      },
      spec: {
        nodeName: 'node',
        containers: [injectedAgent(image), web],
        volumes: [{ name: 'agent-data', emptyDir: {} }],
      },
    },
    status: {
      phase: 'Running',
      conditions: [...ready('True'), ...conditions],
      containerStatuses: [
        statusOf('agent', `example/agent:${runs}`, from !== undefined && runs === image ? 1 : 0),
        statusOf('web', 'web:1'),
      ],
    },
  }
}

/** Records of one pod in every form that releases of OpenKruise have written. */
export const oldRecords = {
  /** The first releases: name and hash. */
  names: {
    'kruise.io/sidecarset-hash': `{"agents":"${agentHashes['1.0']?.hash}"}`,
    'kruise.io/sidecarset-hash-without-image': `{"agents":"${agentWithoutImage}"}`,
  },
  /** Before the list of containers and the revision were recorded. */
  short: {
    'kruise.io/sidecarset-hash': `{"agents":{"updateTimestamp":"2021-01-01T10:00:00Z","hash":"${agentHashes['1.0']?.hash}","sidecarSetName":"agents"}}`,
    'kruise.io/sidecarset-hash-without-image': `{"agents":{"updateTimestamp":"2021-01-01T10:00:00Z","hash":"${agentWithoutImage}","sidecarSetName":"agents"}}`,
  },
  /** What became of the first form when a later release wrote it again. */
  converted: {
    'kruise.io/sidecarset-hash': `{"agents":{"updateTimestamp":null,"hash":"${agentHashes['1.0']?.hash}","sidecarSetName":"agents","sidecarList":null}}`,
    'kruise.io/sidecarset-hash-without-image': `{"agents":{"updateTimestamp":null,"hash":"${agentWithoutImage}","sidecarSetName":"agents","sidecarList":null}}`,
  },
} as const

/** A pod of `agents` that also has the native sidecar of `native`. */
export function podOfTwo(name: string): LeftPod {
  const record = (key: 'hash' | 'withoutImage', revision: string) =>
    `"native":{"updateTimestamp":"${injectedAt}","hash":"${proxyHashes[key]}","sidecarSetName":"native","sidecarList":["proxy"]${revision}}`
  const one = agentPod(name, {
    set: 'agents',
    image: '1.0',
    labels: { native: 'yes' },
    annotations: {
      'kruise.io/sidecarset-injected-list': 'agents,native',
      'kruise.io/sidecarset-hash': agentRecord('agents', '1.0', injectedAt).replace(
        /}$/,
        `,${record('hash', `,"controllerRevision":"native-${proxyHashes.revision}"`)}}`,
      ),
      'kruise.io/sidecarset-hash-without-image': agentRecordWithoutImage('agents').replace(
        /}$/,
        `,${record('withoutImage', '')}}`,
      ),
    },
  })
  return {
    pod: { ...one.pod, spec: { ...one.pod.spec, initContainers: [injectedProxy] } },
    status: { ...one.status, initContainerStatuses: [statusOf('proxy', 'example/proxy:1')] },
  }
}

interface MeshPod {
  /** Images of `mesh-1` and `mesh-2` in the spec. */
  readonly images: readonly [MeshImage, MeshImage]
  /** What the node runs in them. Defaults to the same. */
  readonly runs?: readonly [MeshImage, MeshImage]
  readonly working: 'mesh-1' | 'mesh-2'
  readonly hash: 'v1' | 'v2'
  /** `version` of both, then `versionalt` of both. */
  readonly versions: readonly [string, string, string, string]
  /** Containers whose image was changed in place, with the image they had. */
  readonly changed?: Readonly<Record<string, string>>
}

/** A pod of `mesh-set`, which is upgraded hot. */
export function meshPod(
  name: string,
  { images, runs = images, working, hash, versions, changed }: MeshPod,
): LeftPod {
  const isUpgraded = changed !== undefined
  const record = (text: string, revision: string) =>
    `{"mesh-set":{"updateTimestamp":"${isUpgraded && revision ? upgradedAt : injectedAt}","hash":"${text}","sidecarSetName":"mesh-set","sidecarList":["mesh"]${revision}}}`
  const last = Object.entries(changed ?? {}).map(
    ([container, image]) => `"${container}":{"imageID":"${imageIds[image]}"}`,
  )
  return {
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace: 'default',
        labels: { app: 'mesh-set' },
        annotations: {
          'kruise.io/sidecarset-injected-list': 'mesh-set',
          'kruise.io/sidecarset-hash': record(
            meshHashes[hash].hash,
            `,"controllerRevision":"mesh-set-${meshHashes[hash].revision}"`,
          ),
          'kruise.io/sidecarset-hash-without-image': record(meshWithoutImage, ''),
          'kruise.io/sidecarset-working-hotupgrade-container': `{"mesh":"${working}"}`,
          'version.sidecarset.kruise.io/mesh-1': versions[0],
          'version.sidecarset.kruise.io/mesh-2': versions[1],
          'versionalt.sidecarset.kruise.io/mesh-1': versions[2],
          'versionalt.sidecarset.kruise.io/mesh-2': versions[3],
          ...(isUpgraded && {
            'kruise.io/sidecarset-inplace-update-state': `{"mesh-set":{"revision":"${meshHashes.v2.hash}","updateTimestamp":"${upgradedAt}","lastContainerStatuses":{${last.join(',')}}}}`,
          }),
        },
      },
      spec: {
        nodeName: 'node',
        containers: [injectedMesh('mesh-1', images[0]), injectedMesh('mesh-2', images[1]), web],
      },
    },
    status: {
      phase: 'Running',
      conditions: [...ready('True'), ...(isUpgraded ? [upgradable('mesh-set', true)] : [])],
      containerStatuses: [
        statusOf('mesh-1', `example/mesh:${runs[0]}`),
        statusOf('mesh-2', `example/mesh:${runs[1]}`),
        statusOf('web', 'web:1'),
      ],
    },
  }
}

const notReady = (left: LeftPod, phase: 'Pending' | 'Succeeded'): LeftPod['status'] => ({
  ...left.status,
  phase,
  conditions: ready('False'),
})

/** Every state in which a pod with sidecars can be when kruise-manager stops. */
export function leftPods(): LeftPod[] {
  const finished = agentPod('agents-finished', { set: 'agents', image: '1.0' })
  const waiting = agentPod('agents-waiting', { set: 'agents', image: '1.0' })
  const { nodeName: _, ...unplaced } = waiting.pod.spec
  const going = agentPod('agents-going', { set: 'agents', image: '1.0' })
  const older = (name: string, annotations: Readonly<Record<string, string>>) =>
    agentPod(name, { set: 'agents', image: '1.0', annotations })
  const half = (set: string, prefix: string) => [
    agentPod(`${prefix}-0`, { set, image: '1.1', from: '1.0' }),
    agentPod(`${prefix}-1`, { set, image: '1.0' }),
  ]
  return [
    podOfTwo('agents-0'),
    older('agents-1', oldRecords.names),
    older('agents-2', oldRecords.short),
    older('agents-3', oldRecords.converted),
    { pod: { ...waiting.pod, spec: { ...unplaced, nodeSelector: { no: 'where' } } }, status: undefined },
    {
      pod: { ...finished.pod, spec: { ...finished.pod.spec, restartPolicy: 'Never' } },
      status: notReady(finished, 'Succeeded'),
    },
    {
      pod: { ...going.pod, metadata: { ...going.pod.metadata, finalizers: ['example.com/held'] } },
      status: going.status,
      isGoing: true,
    },
    ...half('rolling', 'rolling'),
    // The node has not taken the new image yet.
    agentPod('rolling-2', { set: 'rolling', image: '1.1', from: '1.0', runs: '1.0' }),
    agentPod('rolling-3', { set: 'rolling', image: '1.0' }),
    ...half('paused', 'paused'),
    ...half('partitioned', 'partitioned'),
    agentPod('frozen-0', { set: 'frozen', image: '1.1' }),
    agentPod('frozen-1', { set: 'frozen', image: '1.0' }),
    agentPod('grown-0', { set: 'grown', image: '1.0', cannotBeUpgraded: true }),
    agentPod('pinned-0', { set: 'pinned', image: '1.0' }),
    agentPod('base-0', { set: 'base', image: '1.0' }),
    agentPod('canary-0', { set: 'base-canary', image: '1.1', labels: { app: 'base', canary: 'yes' } }),
    meshPod('mesh-untouched', {
      images: ['v1', 'empty'],
      working: 'mesh-1',
      hash: 'v1',
      versions: ['1', '0', '0', '1'],
    }),
    meshPod('mesh-begun', {
      images: ['v1', 'v2'],
      runs: ['v1', 'empty'],
      working: 'mesh-2',
      hash: 'v2',
      versions: ['1', '7', '7', '1'],
      changed: { 'mesh-2': 'example/mesh:empty' },
    }),
    meshPod('mesh-migrated', {
      images: ['v1', 'v2'],
      working: 'mesh-2',
      hash: 'v2',
      versions: ['1', '7', '7', '1'],
      changed: { 'mesh-2': 'example/mesh:empty' },
    }),
    meshPod('mesh-emptying', {
      images: ['empty', 'v2'],
      runs: ['v1', 'v2'],
      working: 'mesh-2',
      hash: 'v2',
      versions: ['0', '7', '7', '0'],
      changed: { 'mesh-1': 'example/mesh:v1', 'mesh-2': 'example/mesh:empty' },
    }),
    meshPod('mesh-settled', {
      images: ['empty', 'v2'],
      working: 'mesh-2',
      hash: 'v2',
      versions: ['0', '7', '7', '0'],
      changed: { 'mesh-1': 'example/mesh:v1', 'mesh-2': 'example/mesh:empty' },
    }),
  ]
}
