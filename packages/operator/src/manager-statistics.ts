import type {
  ControllerStatistics,
  EventRecorderCounters,
  InformerCounters,
  InformerSet,
} from '@outrigger/controller'
import type { WebhookStatistics } from '@outrigger/webhook'

/**
 * What a manager has done since it was made. Counters only grow; read them as often as you like, it costs the manager
 * nothing in between. All durations are in seconds.
 */
export interface ManagerStatistics {
  readonly isReady: boolean
  readonly leaderElection: LeaderElectionStatistics
  /** One for each controller, also in a replica that does not lead. Empty before the definitions are installed. */
  readonly controllers: readonly ControllerStatistics[]
  /** One for each kind of object that is watched. */
  readonly informers: readonly InformerStatistics[]
  /** Pods that run without a SidecarSet they should carry, having been created unasked; 0 in a replica that does not lead. */
  readonly missedPods: number
  readonly events: EventRecorderCounters
  readonly webhooks: WebhookStatistics
}

export interface LeaderElectionStatistics {
  /** Name of the lease. */
  readonly name: string
  /** Whether this process runs the controllers; always true where replicas do not elect a leader. */
  readonly isLeader: boolean
  /** The holder last seen; `undefined` before the first look and without election. */
  readonly leader: string | undefined
  /** Times this process has become leader. */
  readonly terms: number
}

export interface InformerStatistics extends InformerCounters {
  /** Plural name and group: `pods`, `sidecarsets.apps.kruise.io`. */
  readonly resource: string
  readonly hasSynced: boolean
}

/** The numbers of all informers of a set. */
export function informerStatistics({ all }: Pick<InformerSet, 'all'>): InformerStatistics[] {
  return all.map(({ resource: { group, resource }, counters, hasSynced }) => ({
    resource: group === '' ? resource : `${resource}.${group}`,
    hasSynced,
    ...counters,
  }))
}

/** Two recorders counted as one. */
export function sumOfEvents(
  left: EventRecorderCounters,
  right: EventRecorderCounters,
): EventRecorderCounters {
  return {
    written: left.written + right.written,
    counted: left.counted + right.counted,
    held: left.held + right.held,
    dropped: left.dropped + right.dropped,
  }
}
