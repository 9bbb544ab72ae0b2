// Local copies

export type { DurationHistogram } from '@outrigger/foundation'
// Reconciling
export {
  type Controller,
  type ControllerOptions,
  type ControllerStatistics,
  createController,
  type Enqueue,
  type ReconcileResult,
  type Source,
} from './controller.ts'
export {
  createEventRecorder,
  type EventDraft,
  type EventRecorder,
  type EventRecorderCounters,
  type EventRecorderOptions,
} from './event-recorder.ts'
export { createExpectations, type Expectations, type ExpectationsOptions } from './expectations.ts'
export { IndexedStore } from './indexed-store.ts'
export type { ChangeHandler, IndexFunction, Informer, Store } from './informer.ts'
export {
  createInformers,
  type InformerSelection,
  type InformerSet,
  type InformerSetOptions,
} from './informer-set.ts'
// Leading, reporting, running
export {
  createLeaderElector,
  type LeaderElectionDurations,
  type LeaderElector,
  type LeaderElectorOptions,
} from './leader-elector.ts'
export {
  createInformer,
  type InformerCounters,
  type InformerOptions,
  type RunnableInformer,
} from './list-watch-informer.ts'
export { withoutManagedFields } from './object-cache.ts'
export { earliest, lookAgain, type Outcome, waitForChange } from './outcome.ts'
export { type Readiness, type ReadinessCheck, readinessOf } from './readiness.ts'
export { RunnableFailed, runAll, runTogether } from './run-all.ts'
export { runInStages } from './run-in-stages.ts'
export { type Syncing, waitForSync } from './wait-for-sync.ts'
export {
  createWorkQueue,
  type WorkQueue,
  type WorkQueueOptions,
  type WorkQueueStatistics,
} from './work-queue.ts'
