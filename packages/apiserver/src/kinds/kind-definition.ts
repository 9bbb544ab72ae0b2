import type { KubeObject, Schema } from '@outrigger/kube'
import type { StorageIdentity, Strategy, Subresource, VirtualResource } from '../registry/resource.ts'
import type { KindsEnvironment } from './environment.ts'

/** What makes one built-in kind different from the table it is listed in. */
export interface KindDefinition {
  readonly strategy: Strategy
  /** The strategy of `/status`; without it status writes are not checked beyond the schema. */
  readonly status?: Strategy
  /** Subresources of its own, by name. Connect subresources and `scale` come from the discovery table. */
  readonly subresources?: Readonly<Record<string, Subresource>>
  /** Field selectors beyond name and namespace, each with the way to its value. */
  readonly selectable?: Readonly<Record<string, (object: KubeObject) => string>>
  readonly storage?: StorageIdentity
  readonly virtual?: VirtualResource
  readonly deprecationWarning?: string
}

/** Makes the definition of a kind for one server. */
export type KindBuilder = (schema: Schema, environment: KindsEnvironment) => KindDefinition

/** Builders by `group/version/resource`; the core group is called `core`. */
export type KindBuilders = Readonly<Record<string, KindBuilder>>

/** A way to a selectable value that forgets the kind it was written for. */
export function selectableOf<T extends KubeObject>(
  fields: Readonly<Record<string, (object: T) => string | undefined>>,
): Readonly<Record<string, (object: KubeObject) => string>> {
  return Object.fromEntries(
    Object.entries(fields).map(([field, read]) => [field, (object: KubeObject) => read(object as T) ?? '']),
  )
}
