import {
  createEventRecorder,
  createLeaderElector,
  type EventRecorder,
  type LeaderElector,
  runInStages,
  runTogether,
} from '@outrigger/controller'
import { aborted, type Runnable } from '@outrigger/foundation'
import { installDefinitions } from './install/install-definitions.ts'
import { ManagerCaches } from './manager-caches.ts'
import { createManagerControllers, type ManagerControllers } from './manager-controllers.ts'
import { defaultNames, type ManagerOptions } from './manager-options.ts'
import { informerStatistics, type ManagerStatistics, sumOfEvents } from './manager-statistics.ts'
import { ManagerWebhooks } from './manager-webhooks.ts'
import { sidecarSetControllerName } from './sidecar-set-rollout/sidecar-set-controller.ts'

/** The product in a cluster: admission webhooks in every replica, controllers in the one that leads. */
export interface Manager extends Runnable {
  /**
   * Whether webhooks answer from filled caches and are registered: pods created from now on are injected. False from the
   * moment it is asked to stop, while webhooks go on answering until the work has ended.
   */
  readonly isReady: boolean
  /** Resolves once `isReady` is true for the first time. */
  readonly ready: Promise<void>
  /** For metrics. */
  readonly statistics: ManagerStatistics
}

/**
 * A manager that does nothing before `run`.
 *
 * @throws RangeError when the durations of `lease` contradict each other.
 */
export function createManager(options: ManagerOptions): Manager {
  return new OutriggerManager(options)
}

/** What the names of its pods, and so its identities, begin with. */
const kruiseDeployment = 'kruise-controller-manager-'

class OutriggerManager implements Manager {
  readonly name = 'manager'
  readonly ready: Promise<void>
  readonly #options: ManagerOptions
  readonly #leaseName: string
  readonly #caches: ManagerCaches
  readonly #webhooks: ManagerWebhooks
  readonly #elector: LeaderElector
  readonly #events: EventRecorder
  readonly #rolloutEvents: EventRecorder
  #controllers: ManagerControllers | undefined
  #isStopping = false
  #becomeReady: () => void = () => {}

  constructor(options: ManagerOptions) {
    this.#options = options
    this.#caches = new ManagerCaches(options)
    this.#webhooks = new ManagerWebhooks(options, this.#caches)
    const { lease = {} } = options
    const { duration, renewDeadline, retryPeriod } = lease
    this.#leaseName = lease.name ?? defaultNames.lease
    this.#elector = createLeaderElector({
      ...options,
      lease: { namespace: lease.namespace ?? this.#caches.namespace, name: this.#leaseName },
      durations: {
        ...(duration !== undefined && { lease: duration }),
        ...(renewDeadline !== undefined && { renewDeadline }),
        ...(retryPeriod !== undefined && { retryPeriod }),
      },
    })
    this.#events = createEventRecorder({ ...options, component: 'outrigger-manager', host: '' })
    // What OpenKruise tells too is told in the name of its controller.
    this.#rolloutEvents = createEventRecorder({ ...options, component: sidecarSetControllerName, host: '' })
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve
    })
  }

  get isReady(): boolean {
    if (this.#isStopping) return false
    return this.#caches.informers.hasSynced && (this.#webhooks.registration.isRegistered || this.#follows())
  }

  get statistics(): ManagerStatistics {
    const { isLeader, leader, terms } = this.#elector
    const { leaderElection = true } = this.#options
    return {
      isReady: this.isReady,
      leaderElection: { name: this.#leaseName, isLeader: isLeader || !leaderElection, leader, terms },
      controllers: (this.#controllers?.all ?? []).map(({ statistics }) => statistics),
      informers: informerStatistics(this.#caches.informers),
      missedPods: this.#controllers?.missedPods.missed ?? 0,
      events: sumOfEvents(this.#events.counters, this.#rolloutEvents.counters),
      webhooks: this.#webhooks.server.statistics,
    }
  }

  /**
   * What is asked to end first is listed last: workers finish what they do and the lease is released while caches are
   * current and webhooks still answer; events are written before the caches go.
   */
  async run(signal: AbortSignal): Promise<void> {
    const onAbort = () => {
      this.#isStopping = true
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#isStopping = signal.aborted
    const { certificate, server } = this.#webhooks
    const keeper = certificate.run ? [certificate as Runnable] : []
    try {
      await runInStages(
        [
          runTogether('webhooks', [...keeper, server]),
          { name: 'manager work', run: (inner) => this.#work(inner) },
        ],
        signal,
      )
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Caches can be filled only when the API server knows our resources. */
  async #work(signal: AbortSignal): Promise<void> {
    const { server, registration, release } = this.#webhooks
    await Promise.race([server.ready, aborted(signal)])
    if (signal.aborted) return
    await installDefinitions({ ...this.#options, definitions: this.#webhooks.definitionOptions() }, signal)
    if (signal.aborted) return
    // Before anything is injected. A server that does not answer now is asked again.
    await release.read(signal).catch(() => {})
    this.#controllers = createManagerControllers({
      manager: this.#options,
      caches: this.#caches,
      events: this.#events,
      rolloutEvents: this.#rolloutEvents,
      isAnswering: () => registration.isRegistered,
    })
    const work = [...this.#controllers.all, ...this.#controllers.companions, registration]
    const { leaderElection = true } = this.#options
    const leading = leaderElection ? this.#elector.runWhenLeader(work) : runTogether('controllers', work)
    await runInStages(
      [
        runTogether('caches', [this.#caches.informers, this.#events, this.#rolloutEvents, release]),
        leading,
        this.#readiness(),
      ],
      signal,
    )
  }

  /** kruise-manager shares the lease. Nothing here would tell why SidecarSets are left alone while it runs. */
  #sayWhoLeads(): void {
    const { leader = '' } = this.#elector
    if (!this.#follows() || !leader.startsWith(kruiseDeployment)) return
    this.#options.logger.warn(
      'kruise-manager holds the lease: SidecarSets are left to it until its Deployment is scaled to 0',
      { lease: this.#leaseName, leader },
    )
  }

  /** Whether another replica leads, whose business registration then is. */
  #follows(): boolean {
    return this.#elector.leader !== undefined && this.#elector.leader !== this.#options.identity
  }

  /** Says when the manager is ready. A replica that does not lead is so once its caches are filled. */
  #readiness(): Runnable {
    return {
      name: 'manager readiness',
      run: async (signal) => {
        while (!signal.aborted && !this.isReady) await this.#options.clock.sleep(50, signal).catch(() => {})
        if (signal.aborted) return
        this.#sayWhoLeads()
        this.#becomeReady()
      },
    }
  }
}
