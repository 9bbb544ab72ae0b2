import {
  foreignReferencesOf,
  formatInjectedReferences,
  hasForeignReference,
  type InjectedReference,
  isNativeSidecar,
  podAnnotations,
  podContainerNames,
  type SidecarSet,
} from '@outrigger/api'
import { type Container, deepEqual, type LocalObjectReference, type Pod, type Volume } from '@outrigger/kube'
import {
  appContainersOf,
  type BuiltSidecar,
  buildSidecar,
  injectedReferencesOf,
  isInjected,
} from './build-sidecar.ts'
import { type ContentDecision, contentDecision } from './content-decision.ts'
import { gatesWithOurs } from './in-service-gate.ts'
import { contentFor, contentsFor, type RevisionFacts, seedFor } from './injected-revision.ts'
import { hotUpgradeAnnotations, recordAnnotations } from './injection-records.ts'
import {
  isActive,
  matchSidecarSet,
  type NamespaceFacts,
  type SidecarSetDecision,
  suppressBases,
} from './match.ts'
import { type BuiltLists, leaveOutClashes, refuseClashes } from './name-clash.ts'
import { patchAnnotations } from './patch-metadata.ts'
import { measurableContainers } from './resources-policy.ts'
import type { SidecarSetIndex } from './sidecar-set-index.ts'
import {
  type Destination,
  planVirtualNode,
  type VirtualNodeFacts,
  type VirtualNodePlan,
} from './virtual-node.ts'

/** What a plan is made from, besides the pod. */
export interface InjectionFacts extends RevisionFacts {
  readonly sidecarSets: SidecarSetIndex
  readonly namespace: NamespaceFacts
  /** RFC 3339 in whole seconds: the time new records carry. */
  readonly time: string
  /** Whether injected containers are sorted by name, as OpenKruise's gate EnableSortSidecarContainerByName has it. Default false. */
  readonly sortsContainersByName?: boolean
}

/** What becomes of one injected container. */
export interface ContainerDecision {
  readonly sidecarSet: string
  readonly list: 'initContainers' | 'containers'
  readonly name: string
  readonly action: 'put before' | 'put after' | 'replace'
  readonly reason: string
}

/** What becomes of one volume that an injected container mounts. */
export interface VolumeDecision {
  readonly sidecarSet: string
  readonly name: string
  readonly action: 'add' | "keep the pod's"
  readonly reason: string
}

/** Everything injection would do to a pod, and why. Nothing is done until `applyPlan`. */
export interface InjectionPlan {
  /** One for each SidecarSet that came into question, sorted by name. */
  readonly sidecarSets: readonly SidecarSetDecision[]
  /** One for each SidecarSet that had several contents to choose from. */
  readonly contents: readonly ContentDecision[]
  readonly containers: readonly ContainerDecision[]
  readonly volumes: readonly VolumeDecision[]
  /** What the pod's author should see although nothing is refused. */
  readonly warnings: readonly string[]
  /** Whether applying the plan adds a container or a volume, or replaces one. */
  readonly injects: boolean
  readonly pieces: PodPieces
}

/** The parts of the pod that the plan sets; absent parts stay as they are. */
export interface PodPieces {
  /** Set one by one; other labels stay. */
  readonly labels: Readonly<Record<string, string>>
  /** Set one by one; other annotations stay. */
  readonly annotations: Readonly<Record<string, string>>
  readonly spec: Readonly<Partial<Pod['spec']>>
}

/** An injection plan together with the way to the virtual node. */
export interface PodPlan extends InjectionPlan {
  readonly destination: Destination
}

/**
 * Decides in one go where the pod goes and what it gets. Labels that routing adds are there already
 * when selectors are asked.
 *
 * @throws InjectionFailure when the pod must not be created as it is.
 */
export function planPod(pod: Pod, facts: InjectionFacts & VirtualNodeFacts): PodPlan {
  const routing = planVirtualNode(pod, facts)
  const plan = planInjection(withRouting(pod, routing), facts)
  return {
    ...plan,
    destination: routing.destination,
    warnings: [...routing.warnings, ...plan.warnings],
    pieces: {
      labels: routing.labels,
      annotations: plan.pieces.annotations,
      spec: { ...changedFields(pod.spec, routing.spec), ...plan.pieces.spec },
    },
  }
}

function withRouting(pod: Pod, routing: VirtualNodePlan): Pod {
  if (!routing.destination.isCertain) return pod
  const metadata = { ...pod.metadata, labels: { ...pod.metadata.labels, ...routing.labels } }
  return { ...pod, metadata, spec: routing.spec }
}

function changedFields(before: Pod['spec'], after: Pod['spec']): Partial<Pod['spec']> {
  if (before === after) return {}
  return Object.fromEntries(
    Object.entries(after).filter(([key, value]) => before[key as keyof Pod['spec']] !== value),
  )
}

/**
 * Decides what a pod gets from the SidecarSets. Pure and deterministic; SidecarSets count in the order
 * of their weights, those of the same weight in the order of their names. Planning for a pod that already carries everything plans nothing new.
 *
 * @throws InjectionFailure when the pod must not be created as it is.
 */
export function planInjection(pod: Pod, facts: InjectionFacts): InjectionPlan {
  if (!isActive(pod)) return emptyPlan([])
  const { decisions, selected: matching } = selectSidecarSets(pod, facts)
  if (matching.length === 0) return emptyPlan(decisions)
  const seed = seedFor(matching, pod, facts)
  const known = seed === undefined ? pod : withAnnotations(pod, { [podAnnotations.trackSeed]: seed })
  const selected = matching.map((sidecarSet) => contentFor(sidecarSet, known, facts))

  const patched = patchAnnotations(known.metadata.annotations ?? {}, selected)
  const subject = patched === known.metadata.annotations ? known : withAnnotations(pod, patched)
  const warnings: string[] = []
  const built = buildAll(subject, selected)
  if (facts.isLate) leaveOutUnaddable(built, pod, warnings)
  else refuseClashes(pod, built)
  if (facts.sortsContainersByName) sortByName(built.containers, facts.sidecarSets)
  // Init containers are sorted across SidecarSets, as OpenKruise has it.
  sortByName(built.initContainers, facts.sidecarSets)

  const containers: ContainerDecision[] = []
  const volumes: VolumeDecision[] = []
  const all = [...built.initContainers, ...built.containers]
  const initContainers = mergedContainers(pod.spec.initContainers, built.initContainers, containers, warnings)
  const appContainers = mergedContainers(pod.spec.containers, built.containers, containers, warnings)
  const podVolumes = mergedVolumes(pod.spec.volumes, all, volumes, warnings)
  const pullSecrets = facts.isLate ? undefined : mergedPullSecrets(pod.spec.imagePullSecrets, selected)
  const readinessGates = facts.isLate || all.length === 0 ? undefined : gatesWithOurs(pod, matching)
  for (const { notes } of all) warnings.push(...notes)

  const annotations = {
    ...difference(pod.metadata.annotations ?? {}, patched),
    ...recordsOf(patched, selected, all, facts),
    ...referenceAnnotation(pod, all),
  }
  return {
    sidecarSets: decisions,
    contents: matching.flatMap((sidecarSet) => contentDecision(sidecarSet, known) ?? []),
    containers,
    volumes,
    warnings,
    injects: all.length > 0,
    pieces: {
      labels: {},
      annotations,
      spec: {
        ...(initContainers && { initContainers }),
        ...(appContainers && { containers: appContainers }),
        ...(podVolumes && { volumes: podVolumes }),
        ...(pullSecrets && { imagePullSecrets: pullSecrets }),
        ...(readinessGates && { readinessGates }),
      },
    },
  }
}

function withAnnotations(pod: Pod, annotations: Readonly<Record<string, string>>): Pod {
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, ...annotations } },
  }
}

/** Of SidecarSets that bring nothing, nothing is recorded; late, they may have brought it before. */
function recordsOf(
  annotations: Readonly<Record<string, string>>,
  selected: readonly SidecarSet[],
  built: readonly BuiltSidecar[],
  { time, isLate }: InjectionFacts,
): Record<string, string> {
  if (built.length === 0 && !isLate) return {}
  const pairs = new Set(built.flatMap(({ pairOf }) => pairOf ?? []))
  return {
    ...recordAnnotations(annotations, selected, time),
    ...hotUpgradeAnnotations(annotations, pairs),
  }
}

function emptyPlan(sidecarSets: readonly SidecarSetDecision[]): InjectionPlan {
  return {
    sidecarSets,
    contents: [],
    containers: [],
    volumes: [],
    warnings: [],
    injects: false,
    pieces: { labels: {}, annotations: {}, spec: {} },
  }
}

/** The SidecarSets that are injected into a pod, in the order of injection, and a reason for each that came into question. */
export function selectSidecarSets(
  pod: Pod,
  facts: Pick<InjectionFacts, 'sidecarSets' | 'namespace'>,
): { decisions: SidecarSetDecision[]; selected: SidecarSet[] } {
  const labels = pod.metadata.labels ?? {}
  const candidates = facts.sidecarSets.candidates(labels, facts.namespace.name)
  const decisions = suppressBases(
    candidates.map((candidate) =>
      matchSidecarSet(candidate, labels, facts.namespace, facts.sidecarSets.release),
    ),
    candidates,
  )
  const selected = candidates
    .filter((_, i) => decisions[i]?.isInjected)
    // Candidates are sorted by name, and sorting keeps the order of equals.
    .sort((left, right) => left.weight - right.weight)
    .map(({ sidecarSet }) => sidecarSet)
  return { decisions, selected }
}

function buildAll(pod: Pod, sidecarSets: readonly SidecarSet[]): BuiltLists {
  const names = sidecarSets.flatMap(({ spec }) =>
    (spec.containers ?? []).flatMap((sidecar) => podContainerNames(sidecar, 'containers')),
  )
  const app = appContainersOf(pod, new Set(names), measurableContainers(pod, sidecarSets))
  const buildList = (list: 'initContainers' | 'containers') =>
    sidecarSets.flatMap((sidecarSet) =>
      (sidecarSet.spec[list] ?? []).flatMap((sidecar) => buildSidecar(sidecarSet, sidecar, list, app)),
    )
  return { initContainers: buildList('initContainers'), containers: buildList('containers') }
}

/** Keeps what the API server lets a bound pod still receive; the rest is said in warnings. */
function leaveOutUnaddable(built: BuiltLists, pod: Pod, warnings: string[]): void {
  const taken = new Set([...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name))
  const isAddable = ({ sidecarSet, list, container, pairOf }: BuiltSidecar): boolean => {
    const leave = (why: string) => {
      warnings.push(`container ${container.name} of SidecarSet ${sidecarSet} is left out: ${why}`)
      return false
    }
    const names = pairOf === undefined ? [container.name] : [`${pairOf}-1`, `${pairOf}-2`]
    const present = names.find((name) => taken.has(name))
    if (present !== undefined)
      return leave(`the pod has a container ${present}, which cannot be replaced any more`)
    if (list === 'initContainers' && !isNativeSidecar(container))
      return leave('a pod that is bound to its node gets no more init containers')
    return true
  }
  built.initContainers = built.initContainers.filter(isAddable)
  built.containers = built.containers.filter(isAddable)
  leaveOutClashes(built, warnings)
}

/**
 * Sorts by name what comes from SidecarSets without a weight. Those with one stand before or after all that, each with its
 * containers in its own order: somebody has said which order is meant.
 */
function sortByName(built: BuiltSidecar[], sidecarSets: SidecarSetIndex): void {
  if (built.length < 2) return
  const weightOf = ({ sidecarSet }: BuiltSidecar) => sidecarSets.get(sidecarSet)?.weight ?? 0
  // Array.prototype.sort keeps the order of equals.
  built.sort((left, right) => {
    const weight = weightOf(left)
    const difference = weight - weightOf(right)
    if (difference !== 0 || weight !== 0) return difference
    return left.container.name < right.container.name
      ? -1
      : left.container.name > right.container.name
        ? 1
        : 0
  })
}

/** Front list, the pod's own (replaced where the name is the same), back list; `undefined` if nothing is injected. */
function mergedContainers(
  own: readonly Container[] | undefined,
  built: readonly BuiltSidecar[],
  decisions: ContainerDecision[],
  warnings: string[],
): Container[] | undefined {
  if (built.length === 0) return undefined
  const middle = [...(own ?? [])]
  const front: Container[] = []
  const back: Container[] = []
  for (const { sidecarSet, list, placement, container } of built) {
    const index = own?.findIndex(({ name }) => name === container.name) ?? -1
    const decide = (action: ContainerDecision['action'], reason: string) =>
      decisions.push({ sidecarSet, list, name: container.name, action, reason })
    if (index >= 0) {
      const replaced = own?.[index]
      middle[index] = container
      const isOurs = replaced !== undefined && isInjected(replaced)
      decide('replace', isOurs ? 'it was injected before' : 'the pod has a container of this name')
      if (!isOurs)
        warnings.push(
          `spec.${list}[${index}]: container ${container.name} is replaced by the one of SidecarSet ${sidecarSet}; rename yours if that is not meant`,
        )
    } else if (placement === 'before') {
      front.push(container)
      decide('put before', 'podInjectPolicy is BeforeAppContainer')
    } else {
      back.push(container)
      decide('put after', 'podInjectPolicy is AfterAppContainer')
    }
  }
  return [...front, ...middle, ...back]
}

function mergedVolumes(
  own: readonly Volume[] | undefined,
  built: readonly BuiltSidecar[],
  decisions: VolumeDecision[],
  warnings: string[],
): Volume[] | undefined {
  const byName = new Map((own ?? []).map((volume) => [volume.name, volume]))
  const added = new Map<string, string>()
  for (const { sidecarSet, volumes } of built) {
    for (const volume of volumes) {
      const present = byName.get(volume.name)
      if (present === undefined) {
        byName.set(volume.name, volume)
        added.set(volume.name, sidecarSet)
        decisions.push({
          sidecarSet,
          name: volume.name,
          action: 'add',
          reason: 'an injected container mounts it',
        })
      } else if (!added.has(volume.name)) {
        decisions.push({
          sidecarSet,
          name: volume.name,
          action: "keep the pod's",
          reason: 'the pod has a volume of this name',
        })
        if (!deepEqual(present, volume) && !hasForeignReference(present))
          warnings.push(
            `spec.volumes: volume ${volume.name} of the pod is kept; SidecarSet ${sidecarSet} defines another one of this name, which its containers will not see`,
          )
      } else if (!deepEqual(present, volume)) {
        warnings.push(
          `spec.volumes: volume ${volume.name} is the one of SidecarSet ${added.get(volume.name)}; SidecarSet ${sidecarSet} defines another one of this name, which its containers will not see`,
        )
      }
    }
  }
  return added.size > 0 ? [...byName.values()] : undefined
}

/** The pod's entries, then the SidecarSets'; the first of a name stays. `undefined` if nothing changes. */
function mergedPullSecrets(
  own: readonly LocalObjectReference[] | undefined,
  sidecarSets: readonly SidecarSet[],
): LocalObjectReference[] | undefined {
  const theirs = sidecarSets.flatMap(({ spec }) => spec.imagePullSecrets ?? [])
  if (theirs.length === 0) return undefined
  const byName = new Map<string | undefined, LocalObjectReference>()
  for (const secret of [...(own ?? []), ...theirs])
    if (!byName.has(secret.name)) byName.set(secret.name, secret)
  return [...byName.values()]
}

/** Records which references to other namespaces came with the injection, for the node to believe. */
function referenceAnnotation(pod: Pod, built: readonly BuiltSidecar[]): Record<string, string> {
  const references = referencesOf(built, pod)
  if (references.length === 0) return {}
  return { [podAnnotations.injectedReferences]: formatInjectedReferences(references) }
}

function referencesOf(built: readonly BuiltSidecar[], pod: Pod): InjectedReference[] {
  const ownVolumes = new Map((pod.spec.volumes ?? []).map((volume) => [volume.name, volume]))
  return built.flatMap(({ sidecarSet, container, volumes }) => {
    // A volume of the pod itself takes the place of the SidecarSet's, unless it is the very same from before.
    const effective = volumes.filter(({ name }) => {
      const own = ownVolumes.get(name)
      return own === undefined || hasForeignReference(own)
    })
    return injectedReferencesOf(
      sidecarSet,
      foreignReferencesOf({ spec: { containers: [container], volumes: [...effective] } }),
    )
  })
}

/** Everything the SidecarSets that match this pod may rightly have brought of other namespaces. */
export function expectedReferences(
  pod: Pod,
  facts: Pick<InjectionFacts, 'sidecarSets' | 'namespace' | 'revisions'>,
): InjectedReference[] {
  const { selected } = selectSidecarSets(pod, facts)
  return selected
    .flatMap((sidecarSet) => contentsFor(sidecarSet, pod, facts))
    .flatMap((content) => {
      const built = buildAll(pod, [content])
      return referencesOf([...built.initContainers, ...built.containers], pod)
    })
}

function difference(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): Record<string, string> {
  if (before === after) return {}
  return Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value))
}
