import { type Client, isAlreadyExists, isNotFound } from '@outrigger/client'
import {
  type ControllerRevision,
  controllerReference,
  deepEqual,
  type KubeObject,
  keyOf,
  type PodTemplateSpec,
  parseKey,
  resources,
} from '@outrigger/kube'
import { isControlledBy } from '../ownership.ts'
import { templateHash } from './template-hash.ts'

/** The label of a pod and of a revision that says which template they are of. */
export const revisionHashLabel = 'controller-revision-hash'

/** Workloads that keep their templates as ControllerRevisions. */
export interface Revised extends KubeObject {
  spec: { template: PodTemplateSpec; revisionHistoryLimit?: number }
  status?: { collisionCount?: number }
}

/** What a revision stores: a patch that puts the template in its place. */
function revisionData({ spec }: Revised): { spec: { template: unknown } } {
  return { spec: { template: { ...spec.template, $patch: 'replace' } } }
}

/** The template a revision holds; undefined when it holds none. */
export function templateOf(revision: ControllerRevision): PodTemplateSpec | undefined {
  const data = revision.data as { readonly spec?: { readonly template?: object } } | undefined
  const template = data?.spec?.template
  if (template === undefined) return undefined
  const { $patch: _, ...rest } = template as Record<string, unknown>
  // Written by this controller from a template the server had checked.
  return rest as unknown as PodTemplateSpec
}

/** Oldest first; of equal numbers the older object first. */
export function byRevision(left: ControllerRevision, right: ControllerRevision): number {
  if (left.revision !== right.revision) return left.revision - right.revision
  const place = ({ metadata }: ControllerRevision) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`
  return place(left) < place(right) ? -1 : 1
}

/** What came of looking for the revision of today's template. */
export type CurrentRevision =
  | { readonly kind: 'found'; readonly revision: ControllerRevision }
  /** The name is taken by another template: the collision counter must go up. */
  | { readonly kind: 'collision' }

/**
 * The revision of the owner's template as it is today: the one that holds it, moved to the front when
 * newer ones exist (undo), or a new one. Source: kubernetes/pkg/controller/history.
 */
export async function ensureRevision(
  client: Client,
  owner: Revised,
  known: readonly ControllerRevision[],
): Promise<CurrentRevision> {
  const sorted = [...known].sort(byRevision)
  const newest = sorted.at(-1)
  const data = revisionData(owner)
  const equal = sorted.filter((revision) => deepEqual(revision.data, data)).at(-1)
  if (equal !== undefined) {
    if (equal === newest) return { kind: 'found', revision: equal }
    const revision = (newest?.revision ?? 0) + 1
    const moved = await client.update<ControllerRevision>(resources.controllerRevisions, {
      ...equal,
      revision,
    })
    return { kind: 'found', revision: moved }
  }
  const hash = templateHash(owner.spec.template, owner.status?.collisionCount ?? 0)
  const draft = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${owner.metadata.name}-${hash}`,
      namespace: owner.metadata.namespace ?? '',
      labels: { ...owner.spec.template.metadata?.labels, [revisionHashLabel]: hash },
      ...(owner.metadata.annotations && { annotations: owner.metadata.annotations }),
      ownerReferences: [controllerReference(owner)],
    },
    data: data as ControllerRevision['data'],
    revision: (newest?.revision ?? 0) + 1,
  }
  try {
    const made = await client.create<ControllerRevision>(resources.controllerRevisions, draft)
    return { kind: 'found', revision: made }
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    const taken = await client.get<ControllerRevision>(resources.controllerRevisions, {
      namespace: draft.metadata.namespace,
      name: draft.metadata.name,
    })
    return isControlledBy(taken, owner) && deepEqual(taken.data, data)
      ? { kind: 'found', revision: taken }
      : { kind: 'collision' }
  }
}

/** Deletes the oldest revisions beyond `revisionHistoryLimit` that are not in use. */
export async function trimHistory(
  client: Client,
  owner: Revised,
  known: readonly ControllerRevision[],
  isInUse: (revision: ControllerRevision) => boolean,
): Promise<void> {
  const unused = known.filter((revision) => !isInUse(revision)).sort(byRevision)
  const surplus = unused.length - (owner.spec.revisionHistoryLimit ?? 10)
  for (const revision of unused.slice(0, Math.max(0, surplus)))
    await client.delete(resources.controllerRevisions, parseKey(keyOf(revision))).catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
}
