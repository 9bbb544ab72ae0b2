import {
  type InjectedReference,
  injectedEnv,
  podContainerNames,
  type SidecarContainer,
  type SidecarSet,
  sourceFieldValue,
  type TransferEnv,
} from '@outrigger/api'
import type { Container, EnvVar, Pod, Volume, VolumeDevice, VolumeMount } from '@outrigger/kube'
import { resourcesByPolicy } from './resources-policy.ts'

/** A container made for one pod from a SidecarSet's description. */
export interface BuiltSidecar {
  readonly sidecarSet: string
  readonly list: 'initContainers' | 'containers'
  readonly placement: 'before' | 'after'
  readonly container: Container
  /** The name of the description, where two containers are made of it. */
  readonly pairOf?: string
  /** The SidecarSet's volumes that the container itself mounts. */
  readonly volumes: readonly Volume[]
  /** Things a person should know: a name looked for in vain. */
  readonly notes: readonly string[]
}

/** What the app containers of a pod offer to share; the same for all sidecars, so looked up once. */
export interface AppContainers {
  readonly pod: Pod
  /** Containers that nobody injected: their mounts and devices can be shared. */
  readonly containers: readonly Container[]
  /** `container/variable` to the variable, also of containers that somebody injected; the last of a name counts. */
  readonly variables: ReadonlyMap<string, EnvVar>
  /** Containers that a resourcesPolicy may look at. */
  readonly measurable: readonly Container[]
}

/** `replaced` names containers that injection takes out: they share nothing, or injecting twice would differ. */
export function appContainersOf(
  pod: Pod,
  replaced: ReadonlySet<string>,
  measurable: readonly Container[] = [],
): AppContainers {
  const staying = pod.spec.containers.filter(({ name }) => !replaced.has(name))
  const variables = new Map<string, EnvVar>()
  for (const { name, env } of staying)
    for (const variable of env ?? []) variables.set(`${name}/${variable.name}`, variable)
  const containers = staying.filter((container) => !isInjected(container))
  return { pod, containers, variables, measurable }
}

/** Whether a container says of itself that it was injected, the first time it says anything. Anyone can write that; it grants nothing. */
export function isInjected(container: Pick<Container, 'env'>): boolean {
  return container.env?.find(({ name }) => name === injectedEnv.isInjected)?.value === 'true'
}

const alike = new WeakMap<SidecarSet, Map<SidecarContainer, readonly BuiltSidecar[]>>()

/**
 * The containers one description becomes in a pod: two for a hot upgrade, else one. What is the same in every pod is built
 * once for each SidecarSet object, so neither that object nor what comes back may be changed.
 */
export function buildSidecar(
  sidecarSet: SidecarSet,
  sidecar: SidecarContainer,
  list: 'initContainers' | 'containers',
  app: AppContainers,
): readonly BuiltSidecar[] {
  if (looksAtPod(sidecar)) return build(sidecarSet, sidecar, list, app)
  const known = alike.get(sidecarSet) ?? new Map<SidecarContainer, readonly BuiltSidecar[]>()
  if (known.size === 0) alike.set(sidecarSet, known)
  const before = known.get(sidecar)
  if (before !== undefined) return before
  const built = build(sidecarSet, sidecar, list, app)
  known.set(sidecar, built)
  return built
}

function looksAtPod({
  shareVolumePolicy,
  shareVolumeDevicePolicy,
  transferEnv,
  resourcesPolicy,
}: SidecarContainer): boolean {
  const shares = [shareVolumePolicy, shareVolumeDevicePolicy].some((policy) => policy?.type === 'enabled')
  return shares || (transferEnv?.length ?? 0) > 0 || resourcesPolicy !== undefined
}

function build(
  sidecarSet: SidecarSet,
  sidecar: SidecarContainer,
  list: 'initContainers' | 'containers',
  app: AppContainers,
): BuiltSidecar[] {
  const notes: string[] = []
  const shared = sharedMounts(sidecar, app, notes)
  const {
    podInjectPolicy,
    upgradeStrategy,
    shareVolumePolicy: _share,
    shareVolumeDevicePolicy: _devices,
    transferEnv: _transfer,
    resourcesPolicy,
    ...own
  } = sidecar
  const volumeMounts = mergedMounts(own.volumeMounts, own.volumeDevices, shared.mounts)
  const volumeDevices = mergedDevices(sidecar, volumeMounts, app)
  const container: Container = {
    ...own,
    env: mergedEnv(own.env ?? [], [...transferredEnv(sidecar, app), ...shared.env]),
    ...(volumeMounts && { volumeMounts }),
    ...(volumeDevices && { volumeDevices }),
    ...(resourcesPolicy && {
      resources: resourcesByPolicy(sidecarSet.metadata.name, sidecar, resourcesPolicy, app.measurable),
    }),
  }
  const built = {
    sidecarSet: sidecarSet.metadata.name,
    list,
    placement: podInjectPolicy === 'BeforeAppContainer' ? 'before' : 'after',
    volumes: ownVolumes(sidecarSet, sidecar, notes),
    notes,
  } as const
  const [first, second] = podContainerNames(sidecar, list)
  if (first === undefined || second === undefined) return [{ ...built, container }]
  const emptyImage = upgradeStrategy?.hotUpgradeEmptyImage ?? ''
  return [
    { ...built, pairOf: sidecar.name, container: hotContainer(container, first, container.image ?? '') },
    { ...built, pairOf: sidecar.name, container: hotContainer(container, second, emptyImage) },
  ]
}

function hotContainer(container: Container, name: string, image: string): Container {
  const fromAnnotation = (variable: string, prefix: string): EnvVar => ({
    name: variable,
    valueFrom: { fieldRef: { fieldPath: `metadata.annotations['${prefix}/${name}']` } },
  })
  return {
    ...container,
    name,
    image,
    env: [
      ...(container.env ?? []),
      fromAnnotation(injectedEnv.version, 'version.sidecarset.kruise.io'),
      fromAnnotation(injectedEnv.versionAlt, 'versionalt.sidecarset.kruise.io'),
    ],
  }
}

function ownVolumes({ spec, metadata }: SidecarSet, sidecar: SidecarContainer, notes: string[]): Volume[] {
  const names = [...(sidecar.volumeMounts ?? []), ...(sidecar.volumeDevices ?? [])].map(({ name }) => name)
  return [...new Set(names)].flatMap((name) => {
    const volume = spec.volumes?.find((candidate) => candidate.name === name)
    if (volume === undefined)
      notes.push(`container ${sidecar.name}: SidecarSet ${metadata.name} has no volume ${name}`)
    return volume ?? []
  })
}

const variableInPath = /\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)/g

function sharedMounts(
  sidecar: SidecarContainer,
  app: AppContainers,
  notes: string[],
): { mounts: VolumeMount[]; env: EnvVar[] } {
  const mounts: VolumeMount[] = []
  const env: EnvVar[] = []
  if (sidecar.shareVolumePolicy?.type !== 'enabled') return { mounts, env }
  for (const container of app.containers) {
    for (const mount of container.volumeMounts ?? []) {
      mounts.push(mount)
      for (const [, name = ''] of mount.subPathExpr?.matchAll(variableInPath) ?? []) {
        const variable = container.env?.find((candidate) => candidate.name === name)
        if (variable !== undefined) env.push(variable)
        else
          notes.push(
            `container ${sidecar.name}: subPathExpr ${mount.subPathExpr} of ${container.name} names ${name}, which that container does not define`,
          )
      }
    }
  }
  return { mounts, env }
}

/** Own mounts, then shared ones whose path is still free. */
function mergedMounts(
  own: readonly VolumeMount[] | undefined,
  devices: readonly VolumeDevice[] | undefined,
  shared: readonly VolumeMount[],
): VolumeMount[] | undefined {
  if (shared.length === 0) return own as VolumeMount[] | undefined
  const taken = new Set([
    ...(own ?? []).map(({ mountPath }) => mountPath),
    ...(devices ?? []).map(({ devicePath }) => devicePath),
  ])
  const merged = [...(own ?? [])]
  for (const mount of shared) {
    if (taken.has(mount.mountPath)) continue
    taken.add(mount.mountPath)
    merged.push(mount)
  }
  return merged
}

function mergedDevices(
  sidecar: SidecarContainer,
  mounts: readonly VolumeMount[] | undefined,
  app: AppContainers,
): VolumeDevice[] | undefined {
  if (sidecar.shareVolumeDevicePolicy?.type !== 'enabled') return sidecar.volumeDevices
  const merged = [...(sidecar.volumeDevices ?? [])]
  const taken = new Set([
    ...merged.map(({ devicePath }) => devicePath),
    ...(mounts ?? []).map(({ mountPath }) => mountPath),
  ])
  for (const device of app.containers.flatMap(({ volumeDevices }) => volumeDevices ?? [])) {
    if (taken.has(device.devicePath)) continue
    taken.add(device.devicePath)
    merged.push(device)
  }
  return merged.length > 0 ? merged : sidecar.volumeDevices
}

/** Own variables, the mark of injection, then the others whose name is still free. */
function mergedEnv(own: readonly EnvVar[], others: readonly EnvVar[]): EnvVar[] {
  const merged = [
    ...own.filter(({ name }) => name !== injectedEnv.isInjected),
    { name: injectedEnv.isInjected, value: 'true' },
  ]
  const taken = new Set(merged.map(({ name }) => name))
  for (const variable of others) {
    if (taken.has(variable.name)) continue
    taken.add(variable.name)
    merged.push(variable)
  }
  return merged
}

function transferredEnv(sidecar: SidecarContainer, app: AppContainers): EnvVar[] {
  return (sidecar.transferEnv ?? []).flatMap((transfer) => {
    const source = sourceContainerOf(transfer, app.pod)
    if (source === undefined) return []
    const names = [
      ...new Set([...(transfer.envName ? [transfer.envName] : []), ...(transfer.envNames ?? [])]),
    ].sort()
    return names.flatMap((name) => app.variables.get(`${source}/${name}`) ?? [])
  })
}

function sourceContainerOf(transfer: TransferEnv, { metadata }: Pod): string | undefined {
  const path = transfer.sourceContainerNameFrom?.fieldRef?.fieldPath
  if (path === undefined) return transfer.sourceContainerName
  return sourceFieldValue(path, metadata)
}

/** Which objects of other namespaces a volume or a container's variables name, as records. */
export function injectedReferencesOf(
  sidecarSet: string,
  references: readonly {
    kind?: 'ConfigMap' | 'Secret' | undefined
    namespace: string
    name: string
    holder: object
  }[],
): InjectedReference[] {
  return references.flatMap(({ kind, namespace, name, holder }) => {
    if (kind === undefined || 'imagePullSecret' in holder) return []
    return [{ sidecarSet, kind, namespace, name, ...(holder as { volume: string } | { container: string }) }]
  })
}
