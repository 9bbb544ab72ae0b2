import type { Pod } from '@outrigger/kube'
import type { BuiltSidecar } from './build-sidecar.ts'
import { InjectionFailure } from './injection-failure.ts'

/** What is made for one pod, by the list it goes to. */
export type BuiltLists = Record<'initContainers' | 'containers', BuiltSidecar[]>

/** No two containers of a pod may have one name, be they init containers or not. */
interface Clash {
  readonly loser: BuiltSidecar
  /** Who has the name. */
  readonly owner: string
}

/**
 * Refuses what the API server would refuse with the pod, and says who brings what.
 *
 * @throws InjectionFailure when two SidecarSets bring containers of one name, or one has the name of a container in the
 * pod's other list; a container of the same list is replaced.
 */
export function refuseClashes(pod: Pod, built: BuiltLists): void {
  const [clash] = clashesBetween(built)
  if (clash !== undefined)
    throw new InjectionFailure(
      `SidecarSet ${clash.loser.sidecarSet}`,
      `its container ${clash.loser.container.name} has the name of one that ${clash.owner} brings to this pod; rename one of the two, or narrow a selector`,
    )
  for (const [list, other, kind] of [
    ['initContainers', 'containers', 'a container'],
    ['containers', 'initContainers', 'an init container'],
  ] as const) {
    const taken = new Set((pod.spec[other] ?? []).map(({ name }) => name))
    const loser = built[list].find(({ container }) => taken.has(container.name))
    if (loser !== undefined)
      throw new InjectionFailure(
        `SidecarSet ${loser.sidecarSet}`,
        `its ${list === 'containers' ? 'container' : 'init container'} ${loser.container.name} has the name of ${kind} of the pod; rename one of the two`,
      )
  }
}

/** Leaves out, with a warning, what has the name of something another SidecarSet brings: for pods that exist already. */
export function leaveOutClashes(built: BuiltLists, warnings: string[]): void {
  const losers = new Set<BuiltSidecar>()
  for (const { loser, owner } of clashesBetween(built)) {
    losers.add(loser)
    warnings.push(
      `container ${loser.container.name} of SidecarSet ${loser.sidecarSet} is left out: ${owner} brings one of this name`,
    )
  }
  built.initContainers = built.initContainers.filter((sidecar) => !losers.has(sidecar))
  built.containers = built.containers.filter((sidecar) => !losers.has(sidecar))
}

/** The first of a name, init containers before containers and SidecarSets in order, has it. */
function clashesBetween(built: BuiltLists): Clash[] {
  const owners = new Map<string, BuiltSidecar>()
  return [...built.initContainers, ...built.containers].flatMap((sidecar) => {
    const owner = owners.get(sidecar.container.name)
    if (owner !== undefined) return [{ loser: sidecar, owner: `SidecarSet ${owner.sidecarSet}` }]
    owners.set(sidecar.container.name, sidecar)
    return []
  })
}
