import { injectedEnv, type SidecarContainer, type SidecarSet } from '@outrigger/api'
import type { ContainerDecision, SidecarSetIndex } from '@outrigger/injection'
import type { Container, Pod } from '@outrigger/kube'

/** Where one thing in an injected container came from, in words. */
export interface Origin {
  readonly name: string
  readonly origin: string
}

/** One injected container, why it is where it is, and where its parts came from. */
export interface ContainerOrigin extends ContainerDecision {
  readonly image: string
  readonly env: readonly Origin[]
  /** Named by mount path. */
  readonly mounts: readonly (Origin & { readonly volume: string })[]
}

/** Looks up, for each container of a plan, which SidecarSet or app container brought each of its parts. */
export function originsOf(
  pod: Pod,
  decisions: readonly ContainerDecision[],
  sidecarSets: SidecarSetIndex,
): ContainerOrigin[] {
  return decisions.map((decision) => {
    const container = pod.spec[decision.list]?.find(({ name }) => name === decision.name)
    const sidecarSet = sidecarSets.get(decision.sidecarSet)?.sidecarSet
    const source = sidecarSet && sourceOf(sidecarSet, decision)
    return {
      ...decision,
      image: container?.image ?? '',
      env: (container?.env ?? []).map(({ name }) => ({
        name,
        origin: variableOrigin(name, decision, source),
      })),
      mounts: (container?.volumeMounts ?? []).map((mount) => ({
        name: mount.mountPath,
        volume: mount.name,
        origin: source?.volumeMounts?.some(({ mountPath }) => mountPath === mount.mountPath)
          ? `from SidecarSet ${decision.sidecarSet}`
          : `shared with ${ownersOf(pod, container, mount.mountPath)} (shareVolumePolicy)`,
      })),
    }
  })
}

/** The description a container was made from; those for a hot upgrade are two with `-1` and `-2` behind the name. */
function sourceOf({ spec }: SidecarSet, { list, name }: ContainerDecision): SidecarContainer | undefined {
  return spec[list]?.find(
    (sidecar) =>
      sidecar.name === name ||
      (sidecar.upgradeStrategy?.upgradeType === 'HotUpgrade' &&
        [`${sidecar.name}-1`, `${sidecar.name}-2`].includes(name)),
  )
}

function variableOrigin(
  name: string,
  { sidecarSet }: ContainerDecision,
  source: SidecarContainer | undefined,
): string {
  if (name === injectedEnv.isInjected) return 'injection, to mark the container'
  if (source?.env?.some((variable) => variable.name === name)) return `SidecarSet ${sidecarSet}`
  if (name === injectedEnv.version || name === injectedEnv.versionAlt) return 'injection, for hot upgrades'
  const transfer = source?.transferEnv?.find(
    ({ envName, envNames }) => envName === name || envNames?.includes(name),
  )
  if (transfer === undefined) return 'a container of the pod whose mounts it shares'
  const path = transfer.sourceContainerNameFrom?.fieldRef?.fieldPath
  const container = path === undefined ? transfer.sourceContainerName : `that ${path} names`
  return `container ${container ?? ''} of the pod (transferEnv)`
}

function ownersOf(pod: Pod, self: Container | undefined, mountPath: string): string {
  const owners = pod.spec.containers.filter(
    (container) =>
      container !== self && container.volumeMounts?.some((mount) => mount.mountPath === mountPath),
  )
  return owners.length > 0 ? owners.map(({ name }) => name).join(', ') : 'the pod'
}
