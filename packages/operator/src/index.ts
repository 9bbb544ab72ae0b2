// Running
export { createPodFacts, type PodFactsOptions, type PodFactsSource } from './admission/pod/pod-facts.ts'
// Admission, for use without a manager
export { createPodMutator, createPodValidator, type PodHandlerOptions } from './admission/pod/pod-handlers.ts'
export { createSidecarSetValidator, mutateSidecarSet } from './admission/sidecar-set/sidecar-set-handlers.ts'
export { webhookDeclarations, webhookPaths } from './admission/webhook-declarations.ts'
export { type Ensured, ensureObject } from './ensure-object.ts'
// Installing
export { type InstallOptions, installDefinitions } from './install/install-definitions.ts'
export { type InstallManifestsOptions, installManifests } from './install/install-manifests.ts'
export {
  type ManagerRules,
  type ManagerRulesOptions,
  managerRules,
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
