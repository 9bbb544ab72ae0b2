import { type DaemonSet, type DaemonSetStatus, type Node, type Pod, scaledValue } from '@outrigger/kube'
import { isPodFinished, isPodReady, untilAvailable } from '../pods/pod-state.ts'
import { revisionHashLabel } from '../revision/revision-history.ts'
import { judgeNode, targetNode } from './daemon-pod.ts'

/** What to do about one set's pods. */
export interface DaemonPlan {
  /** Names of nodes that get a pod. */
  readonly create: readonly string[]
  readonly remove: readonly Pod[]
  /** Pods that ended although a daemon never should; they are among `remove`. */
  readonly ended: readonly Pod[]
}

interface Place {
  readonly name: string
  readonly shouldRun: boolean
  readonly mayStay: boolean
  /** Pods on the node or meant for it, oldest first. */
  readonly pods: readonly Pod[]
}

interface Round {
  readonly set: DaemonSet
  readonly places: readonly Place[]
  /** Hash of today's template. */
  readonly hash: string
  readonly now: number
}

const isGoing = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined

/**
 * Pods to make and to remove so that every node that should have a pod has one, and, when nothing else
 * is to do, the next step of a rolling update. Source: kubernetes/pkg/controller/daemon.
 */
export function planDaemonSet(
  set: DaemonSet,
  nodes: readonly Node[],
  pods: readonly Pod[],
  hash: string,
  now: number,
): DaemonPlan {
  const round: Round = { set, places: placesOf(set, nodes, pods), hash, now }
  const create: string[] = []
  const remove: Pod[] = []
  const ended: Pod[] = []
  for (const place of round.places) {
    const staying = place.pods.filter((pod) => !isGoing(pod))
    if (!place.mayStay) {
      remove.push(...staying)
      continue
    }
    const over = staying.filter(isPodFinished)
    ended.push(...over)
    remove.push(...over)
    if (place.shouldRun && place.pods.length === 0) create.push(place.name)
    const alive = staying.filter((pod) => !isPodFinished(pod))
    remove.push(...surplusPods(round, alive))
  }
  const known = new Set(nodes.map(({ metadata }) => metadata.name))
  // Nobody but us knows that a pod meant for a node that is gone will never be placed.
  for (const pod of pods)
    if (!isGoing(pod) && !pod.spec.nodeName && !known.has(targetNode(pod) ?? '')) remove.push(pod)
  if (create.length > 0 || remove.length > 0) return { create, remove, ended }
  return set.spec.updateStrategy?.type === 'OnDelete' ? { create, remove, ended } : planRollingUpdate(round)
}

function placesOf(set: DaemonSet, nodes: readonly Node[], pods: readonly Pod[]): readonly Place[] {
  const byNode = new Map<string, Pod[]>()
  for (const pod of pods) {
    const name = targetNode(pod)
    if (name === undefined) continue
    const list = byNode.get(name)
    if (list === undefined) byNode.set(name, [pod])
    else list.push(pod)
  }
  const age = ({ metadata }: Pod) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`
  return nodes.map((node) => ({
    name: node.metadata.name,
    ...judgeNode(set, node),
    pods: (byNode.get(node.metadata.name) ?? []).sort((a, b) => (age(a) < age(b) ? -1 : 1)),
  }))
}

/** Of several living pods on a node one stays; during a surge an old and a new one. */
function surplusPods(round: Round, alive: readonly Pod[]): readonly Pod[] {
  const old = alive.filter((pod) => !isUpdated(round, pod))
  const fresh = alive.filter((pod) => isUpdated(round, pod))
  if (surgeOf(round) === 0) return alive.slice(1)
  const isReplaced = fresh.some((pod) => isAvailable(round, pod))
  return [...(isReplaced ? old : old.slice(1)), ...fresh.slice(1)]
}

function planRollingUpdate(round: Round): DaemonPlan {
  const { set } = round
  const places = round.places.filter(({ shouldRun }) => shouldRun)
  const surge = surgeOf(round)
  const create: string[] = []
  const remove: Pod[] = []
  if (surge > 0) {
    let room = surge
    for (const { pods } of places) if (pods.length > 1) room--
    for (const { name, pods } of places) {
      const [only] = pods
      if (only === undefined || pods.length > 1 || isGoing(only) || isUpdated(round, only)) continue
      // An old pod that does not work anyway is replaced, not surged.
      if (!isAvailable(round, only)) remove.push(only)
      else if (room-- > 0) create.push(name)
    }
    return { create, remove, ended: [] }
  }
  const allowed = scaledValue(
    set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1,
    places.length,
    'up',
  )
  let room = allowed
  const candidates: Pod[] = []
  for (const { pods } of places) {
    const pod = pods.find((each) => !isGoing(each))
    if (pod === undefined || !isAvailable(round, pod)) room--
    if (pod === undefined || isUpdated(round, pod)) continue
    // An old pod that is not available costs no availability.
    if (isAvailable(round, pod)) candidates.push(pod)
    else remove.push(pod)
  }
  return { create, remove: [...remove, ...candidates.slice(0, Math.max(0, room))], ended: [] }
}

function surgeOf({ set, places }: Round): number {
  const wanted = places.filter(({ shouldRun }) => shouldRun).length
  const rolling =
    set.spec.updateStrategy?.type === 'OnDelete' ? undefined : set.spec.updateStrategy?.rollingUpdate
  return scaledValue(rolling?.maxSurge ?? 0, wanted, 'up')
}

const isUpdated = ({ hash }: Round, pod: Pod): boolean => pod.metadata.labels?.[revisionHashLabel] === hash

const isAvailable = ({ set, now }: Round, pod: Pod): boolean =>
  untilAvailable(pod, set.spec.minReadySeconds ?? 0, now) === 0

/** The status that follows from nodes and pods. */
export function daemonSetStatus(
  set: DaemonSet,
  nodes: readonly Node[],
  pods: readonly Pod[],
  hash: string,
  now: number,
): DaemonSetStatus {
  const round: Round = { set, places: placesOf(set, nodes, pods), hash, now }
  const wanted = round.places.filter(({ shouldRun }) => shouldRun)
  const placed = wanted.filter(({ pods: own }) => own.length > 0)
  // Of several pods on a node the oldest ready one speaks for it.
  const speakers = placed.map(
    ({ pods: own }) => own.find((pod) => !isGoing(pod) && isPodReady(pod)) ?? own[0],
  )
  const count = (holds: (pod: Pod) => boolean) =>
    speakers.filter((pod) => pod !== undefined && holds(pod)).length
  const available = count((pod) => isPodReady(pod) && isAvailable(round, pod))
  const updated = placed.filter(({ pods: own }) => own.some((pod) => isUpdated(round, pod))).length
  return {
    currentNumberScheduled: placed.length,
    numberMisscheduled: round.places.filter(({ shouldRun, pods: own }) => !shouldRun && own.length > 0)
      .length,
    desiredNumberScheduled: wanted.length,
    numberReady: count(isPodReady),
    observedGeneration: set.metadata.generation ?? 0,
    ...(updated > 0 && { updatedNumberScheduled: updated }),
    ...(available > 0 && { numberAvailable: available }),
    ...(wanted.length > available && { numberUnavailable: wanted.length - available }),
    ...(set.status?.collisionCount !== undefined && { collisionCount: set.status.collisionCount }),
    ...(set.status?.conditions && { conditions: set.status.conditions }),
  }
}
