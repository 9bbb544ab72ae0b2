// Names
// What a change means for running pods

export { type AnnotationWarning, annotationWarnings } from './annotation-warnings.ts'
export {
  type ChangeClass,
  type ContentChange,
  changeBetween,
  fieldClass,
  type SidecarSetContent,
} from './change-class.ts'
export { type ChangePolicies, type ChangeWay, changePolicies, wayOfChange } from './change-policy.ts'
// Conversion
export { ConversionFailure, convertSidecarSet, withNamespaceSelector } from './conversion.ts'
// Definitions
export {
  customResourceDefinitions,
  type DefinitionOptions,
  withStoredVersionOf,
} from './custom-resource-definitions.ts'
export { drainTimeOf } from './drain-before-restart.ts'
export { ExpressionError } from './expression-error.ts'
export { goJson, type JsonValue, withSortedKeys } from './go-json.ts'
// References to other namespaces
export {
  type GrantQuestion,
  grantsFor,
  isReferenceGranted,
  type ReferenceDecision,
} from './grants.ts'
export { injectionWeightOf } from './injection-weight.ts'
export { type MetadataWhitelist, whitelistErrors } from './metadata-whitelist.ts'
export { compileNamePattern, type NamePattern } from './name-pattern.ts'
export {
  injectedEnv,
  inServiceGate,
  isInjectionAnnotation,
  outriggerResources,
  podAnnotations,
  sidecarSetAnnotations,
  sidecarSetLabels,
  sidecarSetUpgradableCondition,
  virtualNodeNames,
  whitelistConfigMap,
} from './names.ts'
export { type Respelled, withTodaysSpelling } from './old-spelling.ts'
export { pullPolicyWarnings } from './pull-policy-warnings.ts'
export {
  explanationOf,
  type ForeignReference,
  foreignReferencesOf,
  formatInjectedReferences,
  hasForeignReference,
  type InjectedReference,
  parseInjectedReferences,
  type ReferenceHolder,
} from './references.ts'
export {
  type ExpressionResource,
  evaluateResourceExpression,
  resourceExpressionProblem,
  usesVariable,
} from './resource-expression.ts'
// Kinds
export {
  canaryBaseOf,
  customVersionOf,
  isHotUpgrade,
  isNativeSidecar,
  type ManagedSidecar,
  managedSidecars,
  namespaceSelectorOf,
  podContainerNames,
  type ResourceExpressions,
  type ResourcesPolicy,
  type ShareVolumePolicy,
  type SidecarContainer,
  type SidecarContainerUpgradeStrategy,
  type SidecarSet,
  type SidecarSetCondition,
  type SidecarSetInjectionStrategy,
  type SidecarSetPatchPodMetadata,
  type SidecarSetSpec,
  type SidecarSetStatus,
  type SidecarSetUpdateStrategy,
  type TransferEnv,
  type UpdatePriorityStrategy,
  updatesNativeSidecars,
} from './sidecar-set.ts'
export { defaultSidecarSet, withDefaults } from './sidecar-set-defaults.ts'
export { hashText, type SidecarSetHashes, sidecarSetHashes } from './sidecar-set-hash.ts'
export type {
  BindingCondition,
  BindingResourceRef,
  BindingSubject,
  ReferenceKind,
  SidecarSetResourceBinding,
  SidecarSetResourceBindingSpec,
  SidecarSetResourceBindingStatus,
} from './sidecar-set-resource-binding.ts'
export {
  controllerRevisionOf,
  recordedData,
  revisionData,
  revisionHash,
  revisionName,
  sidecarSetAtRevision,
} from './sidecar-set-revision.ts'
export { sourceFieldValue } from './source-field.ts'
export { describeWish, type RevisionWish, type Track } from './track.ts'
export { assignsBy, tracksOf } from './tracks.ts'
// Validation
export { type SidecarSetFacts, sidecarSetErrors } from './validation.ts'
export { bindingErrors } from './validation-binding.ts'
export { sidecarSetShapeErrors } from './validation-shape.ts'
export { trackErrors } from './validation-tracks.ts'
