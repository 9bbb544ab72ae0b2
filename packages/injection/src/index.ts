// Deciding
export { applyPlan, patchOf } from './apply-plan.ts'
export { assign, type Choice } from './assignment.ts'
export { inAuthoredForm } from './authored-form.ts'
export { isInjected } from './build-sidecar.ts'
export { type ContentDecision, contentDecision } from './content-decision.ts'
export {
  contentFor,
  contentOfTrack,
  isGivenRecorded,
  type RevisionFacts,
  type RevisionSource,
} from './injected-revision.ts'
export { InjectionFailure } from './injection-failure.ts'
export {
  type InjectionRecord,
  injectionAnnotations,
  parseRecords,
  rememberRevisionName,
  revisionNameOf,
} from './injection-records.ts'
export {
  coversPod,
  isActive,
  knowsNativeSidecars,
  matchSidecarSet,
  type NamespaceFacts,
  type SidecarSetDecision,
} from './match.ts'
export { patchAnnotations } from './patch-metadata.ts'
export {
  type ContainerDecision,
  expectedReferences,
  type InjectionFacts,
  type InjectionPlan,
  type PodPieces,
  type PodPlan,
  planInjection,
  planPod,
  selectSidecarSets,
  type VolumeDecision,
} from './plan.ts'
// Refusing
export {
  authoredPodErrors,
  falseClaimErrors,
  hasVirtualNodeLabel,
  injectedPodErrors,
  type PodProspects,
  updatedPodErrors,
} from './pod-guard.ts'
export { podIdentity, workloadOf } from './pod-identity.ts'
// Looking at pods that run
export { type SidecarResources, sidecarResources } from './sidecar-resources.ts'
export { type CompiledSidecarSet, compileSidecarSet, SidecarSetIndex } from './sidecar-set-index.ts'
export { trackOf, trackQuestion } from './track-choice.ts'
export {
  type Destination,
  destinationOf,
  planVirtualNode,
  type VirtualNodeFacts,
  type VirtualNodePlan,
} from './virtual-node.ts'
