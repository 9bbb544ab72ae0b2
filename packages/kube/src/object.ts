import type { ListMeta, ObjectMeta } from './generated/kinds.ts'

/** Any Kubernetes object. Fields of a kind we do not know are kept as they came. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

/** A list of objects as the API server sends it. */
export interface KubeList<T extends KubeObject = KubeObject> {
  apiVersion: string
  kind: string
  metadata: ListMeta
  items: T[]
}

/** An object on its way to be created: the server fills in what metadata lacks. */
export type Draft<T extends KubeObject> = Omit<T, 'metadata'> & { metadata: Partial<ObjectMeta> }

/** Where a resource of the API lives. `group` is empty for the core group. */
export interface ResourceRef {
  readonly group: string
  readonly version: string
  /** Plural, as in a path: `pods`. */
  readonly resource: string
  readonly kind: string
  readonly namespaced: boolean
}

/** `group/version`, or the version alone in the core group. */
export function apiVersionOf(ref: Pick<ResourceRef, 'group' | 'version'>): string {
  return ref.group === '' ? ref.version : `${ref.group}/${ref.version}`
}

/** Namespace and name, as controllers queue them. `namespace` is empty for cluster-scoped objects. */
export interface ObjectKey {
  readonly namespace: string
  readonly name: string
}

/** `namespace/name`, or the name alone. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata
  return namespace ? `${namespace}/${name}` : name
}

/** The inverse of `keyOf`. */
export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf('/')
  return slash < 0
    ? { namespace: '', name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** One message of a watch. A bookmark's object has only `metadata.resourceVersion`. */
export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly object: unknown }
