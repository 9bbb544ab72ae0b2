import { assignsBy, podAnnotations, type SidecarSet } from '@outrigger/api'
import { controllerOf, type Pod } from '@outrigger/kube'

/** For whom a SidecarSet chooses between contents: the same one gets the same for as long as the shares are. */
export interface PodIdentity {
  /** Made for one SidecarSet: the pods of another's trial are others. */
  readonly text: string
  /** What it was taken from, for people. */
  readonly origin: string
}

/**
 * Who a pod is for a SidecarSet: its workload where the SidecarSet assigns by workload and the pod has one, else the seed
 * recorded on the pod, else its name. `undefined` for a pod that has none of them yet.
 */
export function podIdentity(sidecarSet: SidecarSet, pod: Pod): PodIdentity | undefined {
  const { namespace = '', name, annotations } = pod.metadata
  const identity = (kind: string, id: string, origin: string) => ({
    text: `${sidecarSet.metadata.name} ${kind} ${id}`,
    origin,
  })
  const workload = assignsBy(sidecarSet) === 'Workload' ? workloadOf(pod) : undefined
  if (workload !== undefined)
    return identity('workload', `${namespace}/${workload}`, `its workload ${workload}`)
  const seed = annotations?.[podAnnotations.trackSeed]
  if (seed) return identity('seed', seed, `its seed ${seed}`)
  return name ? identity('pod', `${namespace}/${name}`, `its name ${namespace}/${name}`) : undefined
}

/** A seed for a pod without a name. `chance` is in [0, 1). */
export function seedFrom(chance: number): string {
  return Math.floor(chance * 36 ** 8)
    .toString(36)
    .padStart(8, '0')
}

/**
 * `Kind/name` of the topmost controller, as far as the pod itself tells: the Deployment of a ReplicaSet by the hash in its
 * name, the CronJob of a Job by the minutes in it.
 */
export function workloadOf(pod: Pod): string | undefined {
  const owner = controllerOf(pod)
  if (owner === undefined) return undefined
  const { kind, name } = owner
  const hash = pod.metadata.labels?.['pod-template-hash']
  if (kind === 'ReplicaSet' && hash && name.endsWith(`-${hash}`))
    return `Deployment/${name.slice(0, -hash.length - 1)}`
  const cronJob = kind === 'Job' ? /^(.+)-\d{8}$/.exec(name)?.[1] : undefined
  return cronJob === undefined ? `${kind}/${name}` : `CronJob/${cronJob}`
}
