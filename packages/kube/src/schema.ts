/**
 * The shape of a value: one node of a schema with its references resolved. Built from the condensed
 * definitions of Kubernetes (`builtinSchema`) or from the structural schema of a custom resource; the
 * algorithms of this room (pruning, strategic merge, structured merge, field validation) know only this.
 *
 * Nodes may be reached again from below themselves (JSONSchemaProps), so never walk a schema alone:
 * walk a value and its schema together.
 */
export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'int-or-string' | 'any'
  /** `date-time`, `int32`, `byte`, `quantity`, ... */
  readonly format?: string
  /** Declared fields of an object. */
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  /** Values of a map with free keys. */
  readonly values?: Schema
  readonly items?: Schema
  /** Unknown fields are kept: any content is allowed beside `properties`. */
  readonly preservesUnknown?: boolean
  /** Holds a whole Kubernetes object: apiVersion, kind and metadata are known. */
  readonly isEmbeddedResource?: boolean
  readonly nullable?: boolean
  /** The value a missing field has. Structured merge needs it for keys of map lists (`protocol`). */
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  /** Structured merge: how a list is owned. Defaults to atomic. */
  readonly listType?: 'atomic' | 'set' | 'map'
  readonly listMapKeys?: readonly string[]
  /** Structured merge: whether an object is owned as one. Defaults to granular. */
  readonly mapType?: 'atomic' | 'granular'
  /**
   * Structured merge: Go keeps the field as a value, not a pointer, so it is there, empty, even when nobody
   * wrote it, and nobody owns it for having brought it in (`spec`, `spec.template`, `spec.containers`).
   */
  readonly isInherent?: boolean
  /** Strategic merge: `merge`, `replace`, `retainKeys`. */
  readonly patchStrategy?: readonly string[]
  readonly patchMergeKey?: string
  /** Full name of the definition this node was built from: `io.k8s.api.core.v1.Container`. */
  readonly definition?: string
}
