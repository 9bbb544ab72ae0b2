import { type Client, isNotFound } from '@outrigger/client'
import {
  controllerReference,
  type KubeObject,
  keyOf,
  type LabelMatcher,
  parseKey,
  type ResourceRef,
} from '@outrigger/kube'

export interface ClaimOptions<T extends KubeObject> {
  readonly client: Client
  readonly owner: KubeObject
  readonly ownerResource: ResourceRef
  readonly resource: ResourceRef
  readonly selector: LabelMatcher
  /** Objects the owner controls. */
  readonly owned: readonly T[]
  /** Objects of the owner's namespace that nobody controls. */
  readonly orphans: readonly T[]
  /** Whether an orphan with the right labels may be taken. */
  readonly mayAdopt: (orphan: T) => boolean
}

/**
 * The objects that belong to the owner by reference and by selector, after giving strangers away and
 * adopting orphans. An owner that is being deleted claims nothing new, and neither does one that the
 * server no longer knows under its uid. Source: kubernetes/pkg/controller `ControllerRefManager`.
 */
export async function claimObjects<T extends KubeObject>(options: ClaimOptions<T>): Promise<readonly T[]> {
  const { client, owner, resource, selector } = options
  const matches = (object: T) => selector.matches(object.metadata.labels ?? {})
  const kept = options.owned.filter(matches)
  if (owner.metadata.deletionTimestamp !== undefined) return kept
  for (const stranger of options.owned) {
    if (matches(stranger)) continue
    const reference = { $patch: 'delete', uid: owner.metadata.uid }
    await patchOwners(client, resource, stranger, reference)
  }
  const wanted = options.orphans.filter(
    (orphan) =>
      orphan.metadata.deletionTimestamp === undefined && matches(orphan) && options.mayAdopt(orphan),
  )
  if (wanted.length === 0 || !(await isStillThere(options))) return kept
  for (const orphan of wanted) await patchOwners(client, resource, orphan, controllerReference(owner))
  return [...kept, ...wanted]
}

/** Adopting on the word of a cache could tie objects to an owner that was deleted and made anew. */
async function isStillThere<T extends KubeObject>(options: ClaimOptions<T>): Promise<boolean> {
  const { client, owner, ownerResource } = options
  try {
    const { metadata } = await client.get<KubeObject>(ownerResource, parseKey(keyOf(owner)))
    return metadata.uid === owner.metadata.uid && metadata.deletionTimestamp === undefined
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

async function patchOwners(
  client: Client,
  resource: ResourceRef,
  object: KubeObject,
  reference: object,
): Promise<void> {
  const body = { metadata: { uid: object.metadata.uid, ownerReferences: [reference] } }
  await client
    .patch(resource, parseKey(keyOf(object)), { type: 'strategic', body })
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
}
