// Running
export { createPodFacts, type PodFactsOptions, type PodFactsSource } from './admission/pod/pod-facts.ts'
// Admission, for use without a manager
export { createPodMutator, createPodValidator, type PodHandlerOptions } from './admission/pod/pod-handlers.ts'
export {
  createSidecarSetMutator,
  createSidecarSetValidator,
} from './admission/sidecar-set/sidecar-set-handlers.ts'
export { webhookDeclarations, webhookPaths } from './admission/webhook-declarations.ts'
export { type Ensured, ensureObject } from './ensure-object.ts'
// Installing
export { type InstallOptions, installDefinitions } from './install/install-definitions.ts'
export { type InstallManifestsOptions, installManifests } from './install/install-manifests.ts'
export {
  evictionRules,
  type ManagerRules,
  type ManagerRulesOptions,
  managerRules,
  overflowReplacementRules,
  virtualNodeRules,
} from './install/manager-rules.ts'
export { createManager, type Manager } from './manager.ts'
export {
  defaultNames,
  type ManagerLeaseOptions,
  type ManagerOptions,
  type ManagerWebhookOptions,
} from './manager-options.ts'
export type { InformerStatistics, LeaderElectionStatistics, ManagerStatistics } from './manager-statistics.ts'
export { takesInRunningPods } from './missed-pods/missed-by.ts'
export { ownerOf } from './overflow-replacement/replaceable-owner.ts'
export { conditionBody } from './pod-condition/pod-condition-controller.ts'
export { drainExemption } from './pod-service/drain-step.ts'
export { drainText } from './pod-service/drain-text.ts'
export { closedGateTypes } from './pod-service/gates.ts'
export {
  isOutOfService,
  isSettled,
  type OutOfService,
  openCondition,
  type PodService,
  serviceOf,
} from './pod-service/pod-service.ts'
// Judging a cluster, for use without a manager
export { readResizeSupport } from './registration/resize-support.ts'
export { readRelease } from './registration/server-release.ts'
export type { Blocker } from './sidecar-set-rollout/blocker.ts'
export { type PodFate, pictureRollout, type RolloutPicture } from './sidecar-set-rollout/rollout-picture.ts'
export {
  amountOf,
  chooseRound,
  isManaged,
  isRolling,
  partitionOf,
  type RolloutRound,
} from './sidecar-set-rollout/rollout-round.ts'
export type { ChangeSources } from './sidecar-set-status/change-judge.ts'
export { injectedSidecarSets } from './sidecar-set-status/pod-annotations.ts'
export { type PodTarget, type PodTargets, podTargets } from './sidecar-set-status/pod-target.ts'
export {
  isRunningAndReady,
  type JudgedSidecarSet,
  judged,
  type PodKind,
  type PodView,
  pendingContainers,
  viewOf,
} from './sidecar-set-status/pod-view.ts'
export type { SidecarSetTally } from './sidecar-set-status/sidecar-set-ledger.ts'
