// Words
export type {
  AdmissionOperation,
  AdmissionRequest,
  AdmissionResponse,
  AdmissionReview,
  ConversionRequest,
  ConversionResponse,
  ConversionReview,
  GroupVersionResource,
} from './admission-review.ts'
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
export { checkTypes } from './check-types.ts'
export { closestWord } from './closest-word.ts'
export {
  type AnyCondition,
  findCondition,
  isConditionTrue,
  withCondition,
  withoutCondition,
} from './conditions.ts'
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
export {
  type FieldRequirement,
  formatFieldSelector,
  matchesFields,
  parseFieldSelector,
} from './field-selector.ts'
export {
  duplicateFieldMessage,
  findUnknownFields,
  pruneUnknown,
  unknownFieldMessage,
} from './field-validation.ts'
export type * from './generated/kinds.ts'
export { formatGoValue } from './go-format.ts'
export { formatGoJson, formatGoString } from './go-json.ts'
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
export {
  annotationsSize,
  configMapKeyProblems,
  dns1035LabelProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  environmentNameProblems,
  labelValueProblems,
  maxAnnotationsSize,
  maxLabelLength,
  maxSubdomainLength,
  pathSegmentProblems,
  portNameProblems,
  portNumberProblems,
  qualifiedNameProblems,
  strictEnvironmentNameProblems,
  utf8Length,
} from './names.ts'
export {
  matchesNodeSelector,
  matchesNodeSelectorTerm,
  podAdmitsNode,
  preferredNodeWeight,
} from './node-affinity.ts'
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
export { controllerOf, controllerReference, isControlledBy, ownerReference } from './owner-reference.ts'
export { JsonError, type ParsedJson, parseJson } from './parse-json.ts'
export { PatchError } from './patch-error.ts'
export {
  isSidecar,
  podLimits,
  podRequests,
  type QosClass,
  qosClassOf,
  type ResourceAmounts,
} from './pod-resources.ts'
export {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  type ExactQuantity,
  formatQuantity,
  maxQuantity,
  parseQuantity,
  quantityFormMessage,
  quantityMillis,
  quantityToFraction,
  quantityToNumber,
  subtractQuantities,
} from './quantity.ts'
export { isRecord } from './record.ts'
// Shapes
export {
  fieldSince,
  newestRelease,
  oldestRelease,
  type Release,
  resourceSince,
  schemaOfRelease,
} from './release.ts'
export { resources } from './resources.ts'
export type { Schema } from './schema.ts'
// Selectors
export {
  type CompiledSelector,
  compileLabelSelector,
  compileRequirements,
  describeLabelSelector,
  everything,
  formatLabelSelector,
  type LabelMatcher,
  type LabelRequirement,
  type Labels,
  nothing,
  parseLabelSelector,
  requirementHolds,
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
export { sameOwnership } from './structured-merge/managed-fields.ts'
export { type UpdateRequest, updateManagers } from './structured-merge/update-managers.ts'
export { findUntoleratedTaint, toleratesTaint, toleratesTaints } from './taints.ts'
export { formatYaml, ManifestError, type ParsedManifest, parseManifests, parseYaml } from './yaml.ts'
