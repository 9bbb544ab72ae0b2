import { type SidecarSet, sidecarSetAnnotations, virtualNodeNames } from '@outrigger/api'
import {
  contentDecision,
  coversPod,
  destinationOf,
  hasVirtualNodeLabel,
  type InjectionRecord,
  isInjected,
  type NamespaceFacts,
  parseRecords,
  revisionNameOf,
} from '@outrigger/injection'
import { type ContainerStatus, keyOf, type Pod } from '@outrigger/kube'
import { ownerOf, podTargets, takesInRunningPods } from '@outrigger/operator'
import type { ClusterPicture } from '../manifests/cluster-picture.ts'
import { countOf } from '../rendering/count.ts'
import { wayWords } from '../rollout/change-way.ts'
import { unmetGates } from '../rollout/pod-readiness.ts'
import { judgeRollout, type RecordedContents } from '../rollout/rollout-state.ts'
import { failurePolicyOf } from './failure-policy.ts'
import { type DestinationStory, type ReferenceStory, referencesOf, storyOf } from './injection-explanation.ts'
import { whyLeftAlone } from './left-alone.ts'
import { nativeRemedy, outlivingSidecars } from './outliving-sidecars.ts'
import { type SidecarSetVerdict, verdictsFor } from './sidecar-set-verdict.ts'

/** How one SidecarSet and one running pod stand to each other. */
export interface SidecarSetStanding {
  readonly sidecarSet: string
  /** `missing`: it matches and yet is not there. `gone`: the pod carries it, the SidecarSet is no more. */
  readonly standing: 'injected' | 'missing' | 'not' | 'gone'
  readonly reason: string
  /** Whether its selector takes the pod's labels now, or the pod carries it. */
  readonly selectsPod: boolean
}

/** How current what a pod carries of one SidecarSet is. */
export interface CarriedRevision {
  readonly sidecarSet: string
  /** Names of the containers the record lists. */
  readonly containers: readonly string[]
  /** RFC 3339. */
  readonly since: string | null
  readonly revision: string
  /** The one it should have: the SidecarSet's present one, or that of its track; empty when the SidecarSet is no more. */
  readonly latest: string
  readonly isCurrent: boolean
  /** Which of several contents the pod should have, and why; absent where there is nothing to choose. */
  readonly choice?: string
  /** What becomes of it: why it is not updated now, or that nothing is to do. */
  readonly update: string
}

export interface ContainerStory {
  readonly name: string
  /** `injected`, as far as the container says so itself. */
  readonly from: 'injected' | 'the pod'
  readonly image: string
  readonly isReady: boolean
  readonly state: string
}

/** Why a running pod is as it is. */
export interface PodExplanation {
  /** `namespace/name`. */
  readonly pod: string
  readonly phase: string
  readonly node: string
  readonly destination: DestinationStory
  readonly sidecarSets: readonly SidecarSetStanding[]
  readonly revisions: readonly CarriedRevision[]
  readonly containers: readonly ContainerStory[]
  readonly references: readonly ReferenceStory[]
  /** What the pod waits for, in sentences; empty when for nothing. */
  readonly waiting: readonly string[]
}

/** What may be known about a pod besides the cluster's objects. */
export interface PodRecords {
  /** What the manager has said about sidecars that the pod cannot be given. */
  readonly refusal?: string | undefined
  /** See `managerAbsence`. */
  readonly managerAbsence?: string | undefined
  /** Recorded contents by the name of the SidecarSet. */
  readonly contents?: ReadonlyMap<string, RecordedContents>
}

/** Explains one pod of a cluster. `pods` are all pods, from which budgets are told. */
export function explainPod(
  pod: Pod,
  picture: ClusterPicture,
  pods: readonly Pod[],
  { refusal, managerAbsence, contents = new Map() }: PodRecords = {},
): PodExplanation {
  const namespace = picture.namespace(pod.metadata.namespace ?? 'default')
  const destination = storyOf(destinationOf(pod, { namespace, isVirtualNode: picture.isVirtualNode }), pod)
  const records = parseRecords(pod.metadata.annotations?.['kruise.io/sidecarset-hash']) ?? new Map()
  const verdicts = verdictsFor(pod.metadata.labels ?? {}, namespace, picture.sidecarSets)
  const references = referencesOf(pod, picture)
  return {
    pod: keyOf(pod),
    phase: pod.status?.phase ?? 'Unknown',
    node: pod.spec.nodeName ?? '',
    destination,
    sidecarSets: standingsOf(pod, verdicts, records, picture),
    revisions: [...records.values()].map((record) => carriedRevision(pod, record, picture, pods, contents)),
    containers: containerStories(pod),
    references,
    waiting: waitingFor(
      pod,
      destination,
      references,
      refusal === undefined
        ? (managerAbsence ?? 'see that the manager runs')
        : `the manager says: ${refusal}`,
    ),
  }
}

function standingsOf(
  pod: Pod,
  verdicts: readonly SidecarSetVerdict[],
  records: ReadonlyMap<string, InjectionRecord>,
  { sidecarSets, namespace }: ClusterPicture,
): SidecarSetStanding[] {
  const home = pod.metadata.namespace ?? 'default'
  const present = verdicts.map(
    ({ sidecarSet: name, isInjected: matches, reason, selectsPod }): SidecarSetStanding => {
      const compiled = sidecarSets.get(name)
      if (!records.has(name))
        return matches
          ? {
              sidecarSet: name,
              standing: 'missing',
              reason: missingReason(pod, namespace(home), compiled?.sidecarSet),
              selectsPod,
            }
          : { sidecarSet: name, standing: 'not', reason, selectsPod }
      const covers = compiled !== undefined && coversPod(compiled, pod.metadata.labels ?? {}, namespace(home))
      return {
        sidecarSet: name,
        standing: 'injected',
        reason: covers
          ? 'selector and namespace match'
          : `at creation; it would not be now, and is not updated any more: ${reason}`,
        selectsPod: true,
      }
    },
  )
  const gone = [...records.keys()]
    .filter((name) => sidecarSets.get(name) === undefined)
    .map(
      (name): SidecarSetStanding => ({
        sidecarSet: name,
        standing: 'gone',
        reason: `the SidecarSet was deleted; its containers stay until the pod is recreated: ${recreation(pod)}`,
        selectsPod: true,
      }),
    )
  return [...present, ...gone]
}

function missingReason(pod: Pod, home: NamespaceFacts, sidecarSet: SidecarSet | undefined): string {
  const leftAlone = whyLeftAlone(home)
  if (leftAlone !== undefined) return `it matches, but its pods are never injected: ${leftAlone}`
  const born = pod.metadata.creationTimestamp ?? ''
  const made = sidecarSet?.metadata.creationTimestamp ?? ''
  if (sidecarSet !== undefined && takesInRunningPods(sidecarSet) && ownerOf(pod).isReplaceable)
    return 'it matches, and a manager with --evict-missed-pods evicts the pod within the budget, for its owner to make one with it'
  if (born !== '' && made !== '' && born < made)
    return `it matches, but the pod is older (${born}) than the SidecarSet (${made}); sidecars come at creation: ${recreation(pod)}`
  const gap = isRequiredIn(home, sidecarSet)
    ? 'no webhook was registered then'
    : 'no manager answered then, which its failure policy allows'
  return `it matches now, but did not when the pod was created, or ${gap}; ${recreation(pod)}`
}

function isRequiredIn({ name }: NamespaceFacts, sidecarSet: SidecarSet | undefined): boolean {
  if (sidecarSet === undefined) return true
  const isStated = sidecarSet.metadata.annotations?.[sidecarSetAnnotations.failurePolicy] === 'Fail'
  return failurePolicyOf(sidecarSet).policy === 'Fail' && (isStated || name !== 'kube-system')
}

/** How to have a pod made anew. */
function recreation({ metadata: { name, namespace = 'default', ownerReferences } }: Pod): string {
  return ownerReferences?.some(({ controller }) => controller)
    ? `kubectl delete pod ${name} -n ${namespace}, and its owner makes a new one`
    : 'delete the pod and create it again; nobody else does'
}

function carriedRevision(
  pod: Pod,
  record: InjectionRecord,
  picture: ClusterPicture,
  pods: readonly Pod[],
  contents: ReadonlyMap<string, RecordedContents>,
): CarriedRevision {
  const { sidecarSetName: name, sidecarList, updateTimestamp, controllerRevision = '' } = record
  const sidecarSet = picture.sidecarSets.get(name)?.sidecarSet
  const carried = {
    sidecarSet: name,
    containers: sidecarList ?? [],
    since: updateTimestamp,
    revision: controllerRevision,
  }
  if (sidecarSet === undefined)
    return { ...carried, latest: '', isCurrent: false, update: 'never: the SidecarSet was deleted' }
  const { content, hash, missing } = podTargets(sidecarSet, contents.get(name)).of(pod)
  const isCurrent = missing === undefined && record.hash === hash
  const choice = contentDecision(sidecarSet, pod)?.reason
  return {
    ...carried,
    latest: missing ?? revisionNameOf(content),
    isCurrent,
    ...(choice !== undefined && { choice }),
    update: isCurrent ? 'up to date' : updateOf(pod, sidecarSet, picture, pods, contents.get(name)),
  }
}

function updateOf(
  pod: Pod,
  sidecarSet: SidecarSet,
  picture: ClusterPicture,
  pods: readonly Pod[],
  recorded: RecordedContents | undefined,
): string {
  const state = judgeRollout(sidecarSet, pods, picture.namespace, recorded, picture.canResizePods)
  const progress = state.pods.find((one) => one.pod === keyOf(pod))
  if (progress === undefined)
    return 'never: selector or namespace do not match any more, or the pod has ended'
  const way = wayWords[progress.way === 'wait' ? 'images' : progress.way]
  const intro = {
    current: 'up to date',
    changing: 'changing now',
    waiting: `${way}, soon`,
    'held back': `${way}, held back`,
    recreate: 'not in place',
  }[progress.standing]
  return `${intro}: ${progress.reason}`
}

function containerStories({ spec, status }: Pod): ContainerStory[] {
  const statuses = new Map(
    [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].map((one) => [
      one.name,
      one,
    ]),
  )
  return [...(spec.initContainers ?? []), ...spec.containers].map((container) => {
    const known = statuses.get(container.name)
    return {
      name: container.name,
      from: isInjected(container) ? 'injected' : 'the pod',
      image: container.image ?? '',
      isReady: known?.ready ?? false,
      state: stateText(known, container.readinessProbe !== undefined),
    }
  })
}

function stateText(status: ContainerStatus | undefined, hasReadinessProbe: boolean): string {
  const { running, terminated, waiting } = status?.state ?? {}
  const restarts = status?.restartCount ? `, ${countOf(status.restartCount, 'restart')}` : ''
  const isDoubted = hasReadinessProbe && status?.ready === false
  if (running) return `running${restarts}${isDoubted ? ', its readiness probe has not succeeded' : ''}`
  if (terminated)
    return `ended with exit code ${terminated.exitCode} (${terminated.reason ?? 'no reason given'})${restarts}`
  if (waiting)
    return (
      [`waits: ${waiting.reason ?? 'no reason given'}`, waiting.message].filter(Boolean).join(': ') + restarts
    )
  return 'its node has not reported on it'
}

function waitingFor(
  pod: Pod,
  { node }: DestinationStory,
  references: readonly ReferenceStory[],
  aboutLabel: string,
): string[] {
  const waiting: string[] = []
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (!pod.spec.nodeName)
    waiting.push(
      scheduled?.status === 'False'
        ? `a node: ${scheduled.message ?? scheduled.reason ?? 'none fits'}`
        : 'the scheduler, which has not looked at it yet',
    )
  if (pod.spec.nodeName && node === 'virtual' && !hasVirtualNodeLabel(pod))
    waiting.push(
      `the label ${virtualNodeNames.podLabel}: the virtual node starts no pod before Outrigger has decided on its sidecars; ${aboutLabel}`,
    )
  for (const { decision, message, object } of references) {
    if (node === 'none')
      waiting.push(
        `${object}, in vain: only virtual nodes resolve references to other namespaces; send the pod to one`,
      )
    else if (decision === 'waiting') waiting.push(`a grant: ${message}`)
  }
  return pod.status?.phase === 'Running'
    ? [...waiting, ...unmetGates(pod), ...outlivedBy(pod, node === 'virtual')]
    : waiting
}

/** Sidecars that keep a pod, whose own containers have ended for good, from its end. */
function outlivedBy(pod: Pod, isOnVirtualNode: boolean): string[] {
  const { spec, status, metadata } = pod
  const { restartPolicy = 'Always', containers } = spec
  if (restartPolicy === 'Always' || metadata.deletionTimestamp !== undefined) return []
  const statuses = new Map((status?.containerStatuses ?? []).map((one) => [one.name, one.state]))
  const hasEnded = ({ name }: { readonly name: string }) => {
    const code = statuses.get(name)?.terminated?.exitCode
    return code === 0 || (code !== undefined && restartPolicy === 'Never')
  }
  const own = containers.filter((container) => !isInjected(container))
  const left = outlivingSidecars(pod, isOnVirtualNode).filter((container) => !hasEnded(container))
  if (own.length === 0 || left.length === 0 || !own.every(hasEnded)) return []
  const names = left.map(({ name }) => name).join(', ')
  return [`the end of ${names}, while the pod's own containers have ended; ${nativeRemedy}`]
}
