import { type Client, isAlreadyExists, isNotFound } from '@outrigger/client'
import {
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import {
  compileLabelSelector,
  type Deployment,
  type Draft,
  deepEqual,
  keyOf,
  type Pod,
  parseKey,
  type ReplicaSet,
  resources,
} from '@outrigger/kube'
import { controllerReference, controllerUid, isControlledBy, ownedBy } from '../ownership.ts'
import { claimObjects } from '../pods/claim.ts'
import { isPodActive } from '../pods/pod-state.ts'
import { templateHash } from '../revision/template-hash.ts'
import { deploymentStatus, isComplete } from './deployment-status.ts'
import {
  currentAnnotations,
  desiredBefore,
  findCurrent,
  revisionAnnotation,
  surplusHistory,
  templateHashLabel,
} from './revision.ts'
import { boundsOf, planProportionalScale, planRollingStep, type Resize, sizeOf } from './rollout.ts'

export interface DeploymentControllerOptions {
  readonly client: Client
  /** Needs the index `namespace`. */
  readonly deployments: Informer<Deployment>
  /** Needs the indexes `owner`, `orphans` and `uid`. */
  readonly replicaSets: Informer<ReplicaSet>
  /** Needs the index `owner` (uid of the controlling owner). */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Keeps the ReplicaSets of Deployments: one per template, resized step by step within the rollout's
 * bounds. Source: kubernetes/pkg/controller/deployment.
 */
export function createDeploymentController(options: DeploymentControllerOptions): Runnable {
  const { deployments, replicaSets, pods, clock, random, logger } = options
  return createController({
    name: 'deployment',
    clock,
    random,
    logger,
    concurrency: 5,
    informers: [deployments, replicaSets, pods],
    sources: [
      (enqueue) =>
        deployments.onChange({
          onAdd: (object) => enqueue(keyOf(object)),
          onUpdate: (object) => enqueue(keyOf(object)),
        }),
      (enqueue) => {
        const enqueueOwner = (set: ReplicaSet) => {
          const owner = ownedBy(set, 'Deployment')
          if (owner !== undefined) enqueue(`${set.metadata.namespace}/${owner.name}`)
          if (controllerReference(set) === undefined) enqueueSelecting(deployments, set, enqueue)
        }
        const stops = [
          replicaSets.onChange({ onAdd: enqueueOwner, onUpdate: enqueueOwner, onDelete: enqueueOwner }),
          // Only Recreate waits for pods to be gone; everything else shows in the ReplicaSet's status.
          pods.onChange({
            onDelete: (pod) =>
              replicaSets.store.byIndex('uid', controllerUid(pod) ?? '').forEach(enqueueOwner),
          }),
        ]
        return () => {
          for (const stop of stops) stop()
        }
      },
    ],
    reconcile: (key) => new DeploymentPass(options, key).run(),
  })
}

function enqueueSelecting(
  deployments: Informer<Deployment>,
  set: ReplicaSet,
  enqueue: (key: string) => void,
): void {
  for (const deployment of deployments.store.byIndex('namespace', set.metadata.namespace ?? ''))
    if (compileLabelSelector(deployment.spec.selector).matches(set.metadata.labels ?? {}))
      enqueue(keyOf(deployment))
}

/** One look at one Deployment. */
class DeploymentPass {
  readonly #options: DeploymentControllerOptions
  readonly #key: string

  constructor(options: DeploymentControllerOptions, key: string) {
    this.#options = options
    this.#key = key
  }

  async run(): Promise<Outcome> {
    const deployment = this.#options.deployments.store.get(this.#key)
    if (deployment === undefined) return waitForChange
    const sets = await this.#claim(deployment)
    let current = findCurrent(deployment, sets)
    const old = sets.filter((set) => set !== current)
    if (deployment.metadata.deletionTimestamp !== undefined) return this.#finish(deployment, current, old)

    if (this.#needsProportionalScale(deployment, sets)) {
      await this.#scaleProportionally(deployment, current, old)
      return this.#finish(deployment, current, old)
    }
    if (deployment.spec.paused === true) return this.#finish(deployment, current, old)
    if (deployment.spec.strategy?.type === 'Recreate' && (await this.#emptyOld(deployment, old))) {
      return this.#finish(deployment, current, old)
    }
    current = await this.#ensureCurrent(deployment, current, old)
    if (current === undefined) return lookAgain(50)
    await this.#recordRevision(deployment, current)
    await this.#step(deployment, current, old)
    await this.#trimHistory(deployment, old)
    return this.#finish(deployment, current, old)
  }

  #claim(deployment: Deployment): Promise<readonly ReplicaSet[]> {
    const { client, replicaSets } = this.#options
    return claimObjects<ReplicaSet>({
      client,
      owner: deployment,
      ownerResource: resources.deployments,
      resource: resources.replicaSets,
      selector: compileLabelSelector(deployment.spec.selector),
      owned: replicaSets.store.byIndex('owner', deployment.metadata.uid ?? ''),
      orphans: replicaSets.store.byIndex('orphans', deployment.metadata.namespace ?? ''),
      mayAdopt: () => true,
    })
  }

  /** Whether spec.replicas changed since living ReplicaSets were last sized. */
  #needsProportionalScale(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
    return sets.some((set) => {
      const before = desiredBefore(set)
      return sizeOf(set) > 0 && before !== undefined && before !== (deployment.spec.replicas ?? 1)
    })
  }

  async #scaleProportionally(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
  ): Promise<void> {
    const living = [...(current === undefined ? [] : [current]), ...old].filter((set) => sizeOf(set) > 0)
    const only = living.length === 1 ? living[0] : undefined
    const oldWish = Math.max(...living.map((set) => desiredBefore(set) ?? 0))
    const wished = deployment.spec.replicas ?? 1
    const resizes =
      only !== undefined && (only === current || current === undefined)
        ? [{ replicaSet: only, to: wished }]
        : planProportionalScale(deployment, living, oldWish)
    const resized = new Set(resizes.map((resize) => resize.replicaSet))
    for (const resize of resizes) await this.#resize(deployment, resize)
    // The wish is written down on the others too, or the next pass would scale again.
    for (const set of living)
      if (!resized.has(set)) await this.#resize(deployment, { replicaSet: set, to: sizeOf(set) })
  }

  /** Recreate: takes the old pods down. True while there is still one. */
  async #emptyOld(deployment: Deployment, old: readonly ReplicaSet[]): Promise<boolean> {
    const filled = old.filter((set) => sizeOf(set) > 0)
    for (const set of filled) await this.#resize(deployment, { replicaSet: set, to: 0 })
    if (filled.length > 0) return true
    return old.some((set) =>
      this.#options.pods.store
        .byIndex('owner', set.metadata.uid ?? '')
        .some((pod) => isPodActive(pod) || pod.metadata.deletionTimestamp !== undefined),
    )
  }

  async #ensureCurrent(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
  ): Promise<ReplicaSet | undefined> {
    const wished = deployment.spec.replicas ?? 1
    const bounds = boundsOf(deployment)
    const sizes = { desired: wished, max: wished + bounds.maxSurge }
    const annotations = currentAnnotations(deployment, current, old, sizes)
    if (current !== undefined) return this.#withAnnotations(current, annotations)
    const room =
      deployment.spec.strategy?.type === 'Recreate'
        ? wished
        : Math.max(0, sizes.max - old.reduce((sum, set) => sum + sizeOf(set), 0))
    const draft = newReplicaSet(deployment, annotations, Math.min(wished, room))
    try {
      const made = await this.#options.client.create<ReplicaSet>(resources.replicaSets, draft)
      if (sizeOf(made) > 0)
        this.#tell(deployment, `Scaled up replica set ${made.metadata.name} from 0 to ${sizeOf(made)}`)
      return made
    } catch (error) {
      if (!isAlreadyExists(error)) throw error
      return this.#afterNameClash(deployment, draft)
    }
  }

  /** The name is taken: by our own set that the cache does not show yet, or by a stranger (hash collision). */
  async #afterNameClash(deployment: Deployment, draft: Draft<ReplicaSet>): Promise<ReplicaSet | undefined> {
    const key = { namespace: deployment.metadata.namespace ?? '', name: draft.metadata.name ?? '' }
    const existing = await this.#options.client.get<ReplicaSet>(resources.replicaSets, key)
    if (isControlledBy(existing, deployment) && findCurrent(deployment, [existing]) !== undefined)
      return existing
    const status = { ...deployment.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 }
    await this.#options.client.update(
      resources.deployments,
      { ...deployment, status },
      { subresource: 'status' },
    )
    return undefined
  }

  async #withAnnotations(set: ReplicaSet, annotations: Record<string, string>): Promise<ReplicaSet> {
    if (deepEqual(set.metadata.annotations ?? {}, annotations)) return set
    return this.#options.client.update<ReplicaSet>(resources.replicaSets, {
      ...set,
      metadata: { ...set.metadata, annotations },
    })
  }

  async #recordRevision(deployment: Deployment, current: ReplicaSet): Promise<void> {
    const revision = current.metadata.annotations?.[revisionAnnotation]
    if (revision === undefined || deployment.metadata.annotations?.[revisionAnnotation] === revision) return
    const key = parseKey(this.#key)
    const body = { metadata: { annotations: { [revisionAnnotation]: revision } } }
    await this.#options.client.patch(resources.deployments, key, { type: 'merge', body })
  }

  async #step(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): Promise<void> {
    if (deployment.spec.strategy?.type === 'Recreate') {
      const wished = deployment.spec.replicas ?? 1
      if (sizeOf(current) !== wished) await this.#resize(deployment, { replicaSet: current, to: wished })
      return
    }
    for (const resize of planRollingStep(deployment, current, old)) await this.#resize(deployment, resize)
  }

  async #resize(deployment: Deployment, { replicaSet, to }: Resize): Promise<void> {
    const wished = deployment.spec.replicas ?? 1
    const annotations = {
      ...replicaSet.metadata.annotations,
      'deployment.kubernetes.io/desired-replicas': String(wished),
      'deployment.kubernetes.io/max-replicas': String(wished + boundsOf(deployment).maxSurge),
    }
    const from = sizeOf(replicaSet)
    if (from === to && deepEqual(annotations, replicaSet.metadata.annotations)) return
    await this.#options.client.update<ReplicaSet>(resources.replicaSets, {
      ...replicaSet,
      metadata: { ...replicaSet.metadata, annotations },
      spec: { ...replicaSet.spec, replicas: to },
    })
    if (from !== to)
      this.#tell(
        deployment,
        `Scaled ${to > from ? 'up' : 'down'} replica set ${replicaSet.metadata.name} from ${from} to ${to}`,
      )
  }

  async #trimHistory(deployment: Deployment, old: readonly ReplicaSet[]): Promise<void> {
    if (deployment.status === undefined || !isComplete(deployment, deployment.status)) return
    for (const set of surplusHistory(deployment, old)) {
      const key = { namespace: set.metadata.namespace ?? '', name: set.metadata.name }
      await this.#options.client
        .delete(resources.replicaSets, key, { propagationPolicy: 'Background' })
        .catch((error: unknown) => {
          if (!isNotFound(error)) throw error
        })
    }
  }

  async #finish(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    old: readonly ReplicaSet[],
  ): Promise<Outcome> {
    const status = deploymentStatus(deployment, { current, old, now: this.#options.clock.now() })
    if (!deepEqual(status, deployment.status ?? {})) {
      const key = parseKey(this.#key)
      const latest = await this.#options.client.get<Deployment>(resources.deployments, key)
      if (latest.metadata.generation !== deployment.metadata.generation) return lookAgain(0)
      await this.#options.client.update<Deployment>(
        resources.deployments,
        { ...latest, status },
        { subresource: 'status' },
      )
    }
    const deadline = deployment.spec.progressDeadlineSeconds
    return deadline === undefined || isComplete(deployment, status) || deployment.spec.paused === true
      ? waitForChange
      : lookAgain((deadline + 1) * 1000)
  }

  #tell(deployment: Deployment, message: string): void {
    this.#options.events.event(deployment, { type: 'Normal', reason: 'ScalingReplicaSet', message })
  }
}

function newReplicaSet(
  deployment: Deployment,
  annotations: Record<string, string>,
  replicas: number,
): Draft<ReplicaSet> {
  const hash = templateHash(deployment.spec.template, deployment.status?.collisionCount ?? 0)
  const template = deployment.spec.template
  const labels = { ...template.metadata?.labels, [templateHashLabel]: hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? '',
      labels,
      annotations,
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          name: deployment.metadata.name,
          uid: deployment.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      replicas,
      minReadySeconds: deployment.spec.minReadySeconds ?? 0,
      selector: {
        ...deployment.spec.selector,
        matchLabels: { ...deployment.spec.selector.matchLabels, [templateHashLabel]: hash },
      },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  }
}
