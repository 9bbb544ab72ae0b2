// Names
// Conversion
export { ConversionFailure, convertSidecarSet } from './conversion.ts'
// Definitions
export { customResourceDefinitions, type DefinitionOptions } from './custom-resource-definitions.ts'
export { goJson, type JsonValue } from './go-json.ts'
// References to other namespaces
export {
  type GrantQuestion,
  grantsFor,
  isReferenceGranted,
  type ReferenceDecision,
} from './grants.ts'
export {
  injectedEnv,
  isInjectionAnnotation,
  outriggerResources,
  podAnnotations,
  sidecarSetAnnotations,
  sidecarSetLabels,
  sidecarSetUpgradableCondition,
  virtualNodeNames,
} from './names.ts'
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
// Kinds
export {
  canaryBaseOf,
  customVersionOf,
  isNativeSidecar,
  namespaceSelectorOf,
  type ResourceExpressions,
  type ResourcesPolicy,
  type ShareVolumePolicy,
  type SidecarContainer,
  type SidecarContainerUpgradeStrategy,
  type SidecarSet,
  type SidecarSetInjectionStrategy,
  type SidecarSetPatchPodMetadata,
  type SidecarSetSpec,
  type SidecarSetStatus,
  type SidecarSetUpdateStrategy,
  type TransferEnv,
  type UpdatePriorityStrategy,
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
export { revisionData, revisionHash, revisionName } from './sidecar-set-revision.ts'
export { type SidecarSetFacts, sidecarSetErrors } from './validation.ts'
export { bindingErrors } from './validation-binding.ts'
// Validation
export { sidecarSetShapeErrors } from './validation-shape.ts'
