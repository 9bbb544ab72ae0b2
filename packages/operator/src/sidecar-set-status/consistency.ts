import { isHotUpgrade, type ManagedSidecar } from '@outrigger/api'
import { parseTime } from '@outrigger/foundation'
import { type ContainerStatus, isRecord, type Pod } from '@outrigger/kube'
import { digestOf, isSameImage } from './image-identity.ts'
import { inPlaceStates } from './pod-annotations.ts'

/** The names a container goes by in pods: two for a hot upgrade. */
export function podContainerNames({ sidecar }: ManagedSidecar): readonly string[] {
  return isHotUpgrade(sidecar) ? [`${sidecar.name}-1`, `${sidecar.name}-2`] : [sidecar.name]
}

/** Judges whether the node runs the images that a pod's spec names, as far as can be told. */
export class ConsistencyJudge {
  readonly #statuses: ReadonlyMap<string, ContainerStatus>
  readonly #images: ReadonlyMap<string, string>
  /** The SidecarSet's entry in the in-place state; `undefined` where the annotation cannot be read. */
  readonly #state: Record<string, unknown> | undefined
  readonly #isComplete: boolean

  constructor(pod: Pod, sidecarSet: string) {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
    const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
    this.#statuses = new Map(
      [...initContainerStatuses, ...containerStatuses].map((status) => [status.name, status]),
    )
    this.#images = new Map(containers.map(({ name, image = '' }) => [name, image]))
    this.#isComplete = containerStatuses.length === pod.spec.containers.length
    const states = inPlaceStates(pod)
    const state = states?.[sidecarSet]
    this.#state = states && (isRecord(state) ? state : {})
  }

  /** Whether all of these containers run what they should. False while the node has not reported on all containers. */
  areConsistent(names: Iterable<string>): boolean {
    if (!this.#isComplete) return false
    for (const name of names) if (!this.isConsistent(name)) return false
    return true
  }

  isConsistent(name: string): boolean {
    const image = this.#images.get(name)
    if (image === undefined) return true
    const status = this.#statuses.get(name)
    const wanted = digestOf(image)
    const running = digestOf(status?.imageID ?? '')
    // A digest says what the content is, whichever registry or mirror it came from.
    if (wanted !== undefined && running !== undefined) return wanted === running
    if (wanted !== undefined && !status?.imageID) return false
    return this.#hasTakenImage(name, image, status)
  }

  /** After a change in place: another image ID than before, the name that is wanted, or a start since then. */
  #hasTakenImage(name: string, image: string, status: ContainerStatus | undefined): boolean {
    if (this.#state === undefined) return false
    const before = this.#state['lastContainerStatuses']
    const recorded = isRecord(before) ? before[name] : undefined
    if (!isRecord(recorded)) return true
    if ((status?.imageID ?? '') !== (recorded['imageID'] ?? '')) return true
    return isSameImage(status?.image ?? '', image) || this.#hasStartedSince(status)
  }

  /** Tags of one digest: the node may go on reporting the old one for ever. */
  #hasStartedSince(status: ContainerStatus | undefined): boolean {
    const changed = this.#state?.['updateTimestamp']
    // What cannot be read is not a number, and no number is later than that.
    return (
      typeof changed === 'string' && parseTime(status?.state?.running?.startedAt ?? '') > parseTime(changed)
    )
  }
}
