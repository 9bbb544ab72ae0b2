import type { FieldError, KubeObject, ObjectKey, Schema } from '@outrigger/kube'
import type { UserInfo } from '../auth/identity.ts'

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch'

/**
 * Everything the server knows about one resource in one version. Built-in kinds and custom resources
 * produce the same value, and one generic handler serves them all.
 */
export interface Resource {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly verbs: readonly Verb[]
  /** Custom resources know no strategic merge patch and report unknown fields their own way. */
  readonly isCustom: boolean
  readonly schema: Schema
  readonly strategy: Strategy
  readonly columns: readonly Column[]
  /** What rows of a table say about an object besides its cells: a pod that has ended. */
  rowConditions?(object: KubeObject): readonly Readonly<Record<string, string>>[]
  /** Values for field selectors beyond metadata.name and metadata.namespace: `spec.nodeName` and so on. */
  selectableFields(object: KubeObject): Readonly<Record<string, string>>
  /** Names that `selectableFields` can yield; any other field in a selector is refused. */
  readonly selectableFieldNames: readonly string[]
  /** By name: `status`, `scale`, `binding`, `log`. */
  readonly subresources: Readonly<Record<string, Subresource>>
  readonly storage: StorageIdentity
  /**
   * Present for resources that are answered at once and never stored: reviews, `bindings`,
   * `componentstatuses`. The generic handler decodes, authorizes and negotiates, and calls this.
   */
  readonly virtual?: VirtualResource
  /** Set when clients of this version are to be told it is old. */
  readonly deprecationWarning?: string
}

/** How a resource that is never stored answers. A missing function is a 405. */
export interface VirtualResource {
  create?(
    request: VirtualRequest,
  ): Promise<{ readonly code: number; readonly object: KubeObject | Record<string, unknown> }>
  get?(request: Omit<VirtualRequest, 'body'>): Promise<KubeObject>
  list?(request: Omit<VirtualRequest, 'body'>): Promise<readonly KubeObject[]>
}

export interface VirtualRequest {
  /** Name is empty on create and list, namespace for cluster-scoped resources. */
  readonly key: ObjectKey
  /** Decoded and defaulted. */
  readonly body: KubeObject
  readonly user: UserInfo
  readonly isDryRun: boolean
  readonly context: WriteContext
  readonly signal: AbortSignal
}

/** Versions with the same `group` and `resource` here are views of the same stored objects. */
export interface StorageIdentity {
  readonly group: string
  readonly resource: string
  readonly version: string
  /** Absent when all versions have the same shape and only apiVersion differs. */
  readonly convert?: (
    objects: readonly KubeObject[],
    toApiVersion: string,
    signal: AbortSignal,
  ) => Promise<readonly KubeObject[]>
}

export interface WriteContext {
  readonly user: UserInfo
  /** Milliseconds since 1970. */
  readonly now: number
  readonly namespace: string
  /** `--feature-gates` of the server. */
  isEnabled(gate: string): boolean
}

/**
 * How objects of a resource come to be and change. All functions work on a private copy and may
 * change it in place; `old` is frozen. Metadata that is the same for every kind (uid, creationTimestamp,
 * generateName, name rules of metadata itself, ownerReferences, managedFields) is the generic handler's.
 */
export interface Strategy {
  /** Fills in defaults. Runs on every write after decoding, and again after mutating admission. */
  applyDefaults(object: KubeObject): void
  /** Drops what a creator may not set (status) and sets what the server sets. */
  prepareForCreate(object: KubeObject, context: WriteContext): void
  validateCreate(object: KubeObject, context: WriteContext): readonly FieldError[]
  /** Puts back what an update may not change (status on the main resource, spec on status). */
  prepareForUpdate(object: KubeObject, old: KubeObject, context: WriteContext): void
  validateUpdate(object: KubeObject, old: KubeObject, context: WriteContext): readonly FieldError[]
  /** Texts for Warning headers. `old` is absent on create. */
  warnings(object: KubeObject, old: KubeObject | undefined): readonly string[]
  /** Why `name` is no name for this kind, one text per reason. `isPrefix`: it is a generateName. */
  nameProblems(name: string, isPrefix: boolean): readonly string[]
  /** Whether a PUT to a name that does not exist creates the object. */
  readonly createsOnUpdate: boolean
  /** Whether an update may come without a resourceVersion. */
  readonly updatesUnconditionally: boolean
  /** Whether metadata.generation is kept: 1 at creation, one more when `generationFields` change. */
  readonly tracksGeneration: boolean
  /** Top-level fields whose change raises the generation. Empty: all but metadata and status. */
  readonly generationFields: readonly string[]
  /**
   * Seconds the object stays with a deletionTimestamp before it goes; undefined for kinds without
   * graceful deletion. Only pods have it.
   */
  gracePeriod?(object: KubeObject, requested: number | undefined): number
  /**
   * Whether something besides metadata.finalizers keeps a deleted object (spec.finalizers of a
   * namespace). While true a deletion only marks the object.
   */
  holdsDeletion?(object: KubeObject): boolean
  /** Changes a private copy that was just marked with a deletionTimestamp (phase Terminating). */
  prepareForDelete?(object: KubeObject, context: WriteContext): void
  /** Whether DELETE answers with the deleted object instead of a Status. Defaults to false. */
  readonly returnsDeleted?: boolean
  /** What to do with dependents when a deleter says nothing. Defaults to background. */
  readonly defaultPropagation?: 'background' | 'orphan'
  /** Runs after a write or deletion is stored. Must not fail the request. */
  afterWrite?(event: { readonly type: 'created' | 'updated' | 'deleted'; readonly object: KubeObject }): void
}

/** A part of an object with a path of its own. */
export type Subresource =
  /** The same object under other rules: status, ephemeralcontainers, resize, finalize, approval. */
  | {
      readonly type: 'view'
      readonly verbs: readonly ('get' | 'update' | 'patch')[]
      readonly strategy: Strategy
    }
  /** Another kind computed from the object and written back into it: scale. */
  | {
      readonly type: 'projection'
      readonly group: string
      readonly version: string
      readonly kind: string
      readonly schema: Schema
      readonly verbs: readonly ('get' | 'update' | 'patch')[]
      read(object: KubeObject): KubeObject
      /** Writes `projected` into `object` (a private copy). */
      write(object: KubeObject, projected: KubeObject): readonly FieldError[]
    }
  /** A POST that does something and answers with an object: binding, eviction, token. */
  | {
      readonly type: 'action'
      readonly group: string
      readonly version: string
      readonly kind: string
      readonly schema: Schema
      perform(
        request: ActionRequest,
      ): Promise<{ readonly code: number; readonly object: KubeObject | Record<string, unknown> }>
    }
  /** A stream or a proxied answer: log, exec, attach, portforward, proxy. */
  | {
      readonly type: 'connect'
      readonly verbs: readonly ('get' | 'create' | 'update' | 'patch' | 'delete')[]
      /** Kind named in discovery: PodExecOptions. */
      readonly optionsKind: string
      /** Whether the path goes on behind the subresource: proxy. */
      readonly takesPath?: boolean
    }

export interface ActionRequest {
  readonly key: ObjectKey
  readonly body: KubeObject
  readonly user: UserInfo
  readonly isDryRun: boolean
  readonly context: WriteContext
  readonly signal: AbortSignal
}

/** One column of a server-side Table. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format: string
  readonly description: string
  /** 0 always shown, 1 only with -o wide. */
  readonly priority: number
  /** What the cell holds. `now` is milliseconds since 1970. */
  cell(object: KubeObject, now: number): string | number | boolean | null
}
