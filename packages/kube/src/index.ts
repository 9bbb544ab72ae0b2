// Words
export {
  builtinSchema,
  columnTable,
  type DiscoveryDocument,
  type DiscoveryGroup,
  type DiscoveryResource,
  type DiscoverySubresource,
  type DiscoveryTable,
  type DiscoveryVersion,
  definitionNameOfKind,
  definitionNames,
  discoveryTable,
  type GroupVersionKind,
  type RawDefinition,
  rawDefinition,
  schemaOfKind,
  type TableColumn,
} from './builtin-schema.ts'
// Values
export { deepCopy } from './deep-copy.ts'
export { deepEqual, semanticEqual } from './deep-equal.ts'
export { deepFreeze } from './deep-freeze.ts'
// What is wrong with an object
export {
  duplicate,
  type FieldError,
  type FieldErrorType,
  fieldErrorBody,
  fieldErrorReason,
  forbidden,
  formatFieldError,
  invalid,
  required,
  tooLong,
  unsupported,
} from './field-error.ts'
export type * from './generated/kinds.ts'
// Patches
export {
  applyJsonPatch,
  createJsonPatch,
  type JsonPatchOperation,
  maxJsonPatchOperations,
  parseJsonPatch,
} from './json-patch.ts'
export { applyMergePatch, createMergePatch } from './merge-patch.ts'
export {
  apiVersionOf,
  type Draft,
  type KubeList,
  type KubeObject,
  keyOf,
  type ObjectKey,
  parseKey,
  type ResourceRef,
  type WatchEvent,
} from './object.ts'
export { PatchError } from './patch-error.ts'
export { isRecord } from './record.ts'
export { resources } from './resources.ts'
// Shapes
export type { Schema } from './schema.ts'
