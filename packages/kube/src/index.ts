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
// Arithmetic
export { type IntOrPercent, isPercent, scaledValue } from './int-or-string.ts'
// Patches
export {
  applyJsonPatch,
  createJsonPatch,
  type JsonPatchOperation,
  maxJsonPatchOperations,
  parseJsonPatch,
} from './json-patch.ts'
export { applyMergePatch, createMergePatch } from './merge-patch.ts'
export { matchesNodeSelector, matchesNodeSelectorTerm } from './node-affinity.ts'
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
export { podLimits, podRequests, type QosClass, qosClassOf, type ResourceAmounts } from './pod-resources.ts'
export {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  maxQuantity,
  parseQuantity,
  type Quantity,
  quantityMillis,
  quantityToNumber,
  subtractQuantities,
} from './quantity.ts'
export { isRecord } from './record.ts'
export { resources } from './resources.ts'
// Shapes
export type { Schema } from './schema.ts'
// Selectors
export {
  type CompiledSelector,
  compileLabelSelector,
  compileRequirements,
  everything,
  type FieldRequirement,
  formatLabelSelector,
  type Labels,
  matchesFields,
  nothing,
  parseFieldSelector,
  parseLabelSelector,
  type Requirement,
  requirementsOf,
  SelectorError,
  type SelectorOperator,
} from './selector.ts'
export { applyStrategicMergePatch } from './strategic-merge-patch.ts'
// Ownership of fields
export type { ApplyProblem } from './structured-merge/applied-fields.ts'
export {
  type ApplyConflict,
  type ApplyOutcome,
  type ApplyRequest,
  applyConfiguration,
  formatConflicts,
} from './structured-merge/apply-configuration.ts'
export {
  differenceOf,
  emptyFieldSet,
  equalFieldSets,
  type FieldPath,
  type FieldSet,
  fieldSetOf,
  formatFieldPath,
  hasPath,
  intersectionOf,
  isEmptyFieldSet,
  parseFieldSet,
  pathsOf,
  recursiveDifferenceOf,
  unionOf,
} from './structured-merge/field-set.ts'
export { type UpdateRequest, updateManagers } from './structured-merge/update-managers.ts'
export { toleratesTaint, toleratesTaints } from './taints.ts'
