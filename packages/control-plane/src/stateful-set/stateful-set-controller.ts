import { type Client, isAlreadyExists, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, type Logger, messageOf, type Random, type Runnable } from '@outrigger/foundation'
import {
  type ControllerRevision,
  compileLabelSelector,
  deepEqual,
  keyOf,
  ownerReference,
  type PersistentVolumeClaim,
  type Pod,
  parseKey,
  resources,
  type StatefulSet,
} from '@outrigger/kube'
import { isControlledBy, ownedBy } from '../ownership.ts'
import { claimObjects } from '../pods/claim.ts'
import { PodControl } from '../pods/pod-control.ts'
import { untilAvailable } from '../pods/pod-state.ts'
import { ensureRevision, revisionHashLabel, templateOf, trimHistory } from '../revision/revision-history.ts'
import { planStatefulSet, type Revisions, type StatefulStep, statefulSetStatus } from './stateful-plan.ts'
import { claimName, claimsOf, ordinalOf, statefulPod } from './stateful-pod.ts'

export interface StatefulSetControllerOptions {
  readonly client: Client
  /** Needs the index `namespace`. */
  readonly statefulSets: Informer<StatefulSet>
  /** Needs the index `owner`. */
  readonly revisions: Informer<ControllerRevision>
  /** Needs the indexes `owner` and `orphans`. */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Keeps the numbered pods of StatefulSets and their volume claims. Source: kubernetes/pkg/controller/statefulset.
 *
 * Names and claims are settled by number, so a cache that is behind can ask for nothing twice.
 */
export function createStatefulSetController(options: StatefulSetControllerOptions): Runnable {
  const { statefulSets, revisions, pods } = options
  const control = new PodControl({ ...options, ownerKind: 'StatefulSet' })
  return createController({
    ...options,
    name: 'statefulset',
    concurrency: 5,
    informers: [statefulSets, revisions, pods],
    sources: [
      (enqueue) =>
        statefulSets.onChange({
          onAdd: (set) => enqueue(keyOf(set)),
          onUpdate: (set) => enqueue(keyOf(set)),
        }),
      (enqueue) =>
        control.connect(enqueue, (pod) => {
          if (pod.metadata.labels === undefined) return
          for (const set of statefulSets.store.byIndex('namespace', pod.metadata.namespace ?? ''))
            if (compileLabelSelector(set.spec.selector).matches(pod.metadata.labels)) enqueue(keyOf(set))
        }),
      (enqueue) =>
        revisions.onChange({
          onDelete: (revision) => {
            const owner = ownedBy(revision, 'StatefulSet')
            if (owner !== undefined) enqueue(`${revision.metadata.namespace}/${owner.name}`)
          },
        }),
    ],
    reconcile: (key) => reconcileStatefulSet(options, control, key),
  })
}

async function reconcileStatefulSet(
  options: StatefulSetControllerOptions,
  control: PodControl,
  key: string,
): Promise<Outcome> {
  const set = options.statefulSets.store.get(key)
  if (set === undefined) return waitForChange
  const known = options.revisions.store.byIndex('owner', set.metadata.uid ?? '')
  if (set.metadata.deletionTimestamp !== undefined) return waitForChange
  const pods = await claimObjects<Pod>({
    client: options.client,
    owner: set,
    ownerResource: resources.statefulSets,
    resource: resources.pods,
    selector: compileLabelSelector(set.spec.selector),
    owned: control.ownedBy(set),
    orphans: options.pods.store.byIndex('orphans', set.metadata.namespace ?? ''),
    mayAdopt: (pod) => ordinalOf(set, pod) !== undefined,
  })
  const found = await ensureRevision(options.client, set, known)
  if (found.kind === 'collision') return raiseCollisions(options, set)
  const update = found.revision
  const current = known.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update
  const revisions: Revisions = { current: current.metadata.name, update: update.metadata.name }
  const now = options.clock.now()
  let failure: unknown
  for (const step of planStatefulSet(set, pods, revisions, now)) {
    const revision = step.kind === 'create' && step.revision === 'current' ? current : update
    await take(options, set, step, revision).catch((error: unknown) => {
      failure ??= error
    })
  }
  await writeStatus(options, set, pods, revisions)
  if (failure !== undefined) throw failure
  await trimHistory(options.client, set, known, ({ metadata: { name } }) => {
    const isLive = name === revisions.current || name === revisions.update
    return isLive || pods.some((pod) => pod.metadata.labels?.[revisionHashLabel] === name)
  })
  const waits = pods
    .map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, now) ?? 0)
    .filter((wait) => wait > 0)
  return waits.length === 0 ? waitForChange : lookAgain(Math.min(...waits) + 1)
}

async function raiseCollisions(options: StatefulSetControllerOptions, set: StatefulSet): Promise<Outcome> {
  const collisionCount = (set.status?.collisionCount ?? 0) + 1
  const status = { replicas: 0, ...set.status, collisionCount }
  await options.client.update<StatefulSet>(
    resources.statefulSets,
    { ...set, status },
    { subresource: 'status' },
  )
  return waitForChange
}

async function take(
  options: StatefulSetControllerOptions,
  set: StatefulSet,
  step: StatefulStep,
  revision: ControllerRevision,
): Promise<void> {
  if (step.kind === 'create') return createPod(options, set, step.ordinal, revision)
  const { client, events } = options
  const { pod, why } = step
  if (why === 'failed')
    events.event(set, {
      type: 'Warning',
      reason: 'RecreatingFailedPod',
      message: `StatefulSet ${keyOf(set)} is recreating failed Pod ${pod.metadata.name}`,
    })
  if (why === 'surplus') await releaseClaims(client, set, pod)
  await telling(options, set, 'Delete', `delete Pod ${pod.metadata.name}`, () =>
    client
      .delete(resources.pods, parseKey(keyOf(pod)), { preconditions: { uid: pod.metadata.uid ?? '' } })
      .catch(unless(isNotFound)),
  )
}

async function createPod(
  options: StatefulSetControllerOptions,
  set: StatefulSet,
  ordinal: number,
  revision: ControllerRevision,
): Promise<void> {
  const { client } = options
  const name = `${set.metadata.name}-${ordinal}`
  for (const claim of claimsOf(set, ordinal)) {
    const key = { namespace: set.metadata.namespace ?? '', name: claim.metadata.name ?? '' }
    const exists = await client
      .get(resources.persistentVolumeClaims, key)
      .then(() => true, unless(isNotFound))
    if (exists === true) continue
    await telling(options, set, 'Create', `create Claim ${claim.metadata.name} Pod ${name}`, () =>
      client.create<PersistentVolumeClaim>(resources.persistentVolumeClaims, claim),
    )
  }
  const template = templateOf(revision) ?? set.spec.template
  const draft = statefulPod(set, template, revision.metadata.name, ordinal)
  try {
    await telling(options, set, 'Create', `create Pod ${name}`, () =>
      client.create<Pod>(resources.pods, draft),
    )
  } catch (error) {
    // Our own pod shows up in the cache soon; a stranger's with our name must be waited out.
    const known = options.pods.store.get(`${set.metadata.namespace}/${name}`)
    if (!isAlreadyExists(error) || (known !== undefined && !isControlledBy(known, set))) throw error
  }
}

/** With `whenScaled: Delete` the claims of a pod that is scaled away go with it. */
async function releaseClaims(client: Client, set: StatefulSet, pod: Pod): Promise<void> {
  const ordinal = ordinalOf(set, pod)
  if (set.spec.persistentVolumeClaimRetentionPolicy?.whenScaled !== 'Delete' || ordinal === undefined) return
  for (const template of set.spec.volumeClaimTemplates ?? []) {
    const key = { namespace: set.metadata.namespace ?? '', name: claimName(set, template, ordinal) }
    const body = { metadata: { ownerReferences: [ownerReference(pod)] } }
    await client
      .patch(resources.persistentVolumeClaims, key, { type: 'merge', body })
      .catch(unless(isNotFound))
  }
}

/** Does it and says so in an event, in upstream's words. */
async function telling(
  { events }: StatefulSetControllerOptions,
  set: StatefulSet,
  verb: 'Create' | 'Delete',
  what: string,
  action: () => Promise<unknown>,
): Promise<void> {
  const message = `${what} in StatefulSet ${set.metadata.name}`
  try {
    await action()
    events.event(set, { type: 'Normal', reason: `Successful${verb}`, message: `${message} successful` })
  } catch (error) {
    if (!isAlreadyExists(error))
      events.event(set, {
        type: 'Warning',
        reason: `Failed${verb}`,
        message: `${message} failed error: ${messageOf(error)}`,
      })
    throw error
  }
}

async function writeStatus(
  { client, clock }: StatefulSetControllerOptions,
  set: StatefulSet,
  pods: readonly Pod[],
  revisions: Revisions,
): Promise<void> {
  const status = statefulSetStatus(set, pods, revisions, clock.now())
  if (deepEqual(status, set.status ?? {})) return
  await client
    .update<StatefulSet>(resources.statefulSets, { ...set, status }, { subresource: 'status' })
    .catch(unless((error) => isNotFound(error) || isConflict(error)))
}

function unless(isExpected: (error: unknown) => boolean): (error: unknown) => undefined {
  return (error) => {
    if (!isExpected(error)) throw error
    return undefined
  }
}
