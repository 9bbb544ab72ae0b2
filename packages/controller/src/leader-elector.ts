import { type Client, isAlreadyExists, isConflict, isNotFound } from '@outrigger/client'
import {
  aborted,
  type Clock,
  formatMicroTime,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import { type Lease, type LeaseSpec, type ObjectKey, resources } from '@outrigger/kube'
import { runAll } from './run-all.ts'
import { sharedAbortController } from './shared-abort-controller.ts'

/** All in milliseconds. */
export interface LeaderElectionDurations {
  /** How long others wait after the last renewal they saw before they take over. Defaults to 15,000. */
  readonly lease: number
  /** How long the leader tries to renew before it gives up. Defaults to 10,000; less than `lease`. */
  readonly renewDeadline: number
  /** Pause between attempts. Defaults to 2,000. */
  readonly retryPeriod: number
}

export interface LeaderElectorOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'update'>
  readonly lease: ObjectKey
  /** Tells this process from all others, also from its own predecessor: host name and a uuid. */
  readonly identity: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly durations?: Partial<LeaderElectionDurations>
}

/** At most one of several processes leads, by agreement on a Lease (the algorithm of client-go). */
export interface LeaderElector {
  readonly isLeader: boolean
  /** The holder last seen; undefined before the first look or when nobody holds the lease. */
  readonly leader: string | undefined
  /** Times this process has become leader. */
  readonly terms: number
  /**
   * A runnable that campaigns and, while leading, runs these.
   *
   * Guarantees: they are aborted as soon as leadership is lost, early enough that (clocks running at
   * the same speed) nobody else leads before; the next campaign begins after they have ended; on
   * stop they end first, then the lease is released so that another can take over at once. Rejects
   * when one of them fails.
   */
  runWhenLeader(runnables: readonly Runnable[]): Runnable
}

const defaults: LeaderElectionDurations = { lease: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 }
const retryJitter = 1.2

/** @throws RangeError when the durations contradict each other. */
export function createLeaderElector(options: LeaderElectorOptions): LeaderElector {
  const durations = { ...defaults, ...options.durations }
  if (durations.lease <= durations.renewDeadline)
    throw new RangeError('the lease duration must be longer than the renew deadline')
  if (durations.renewDeadline <= durations.retryPeriod * retryJitter)
    throw new RangeError('the renew deadline must be longer than 1.2 times the retry period')
  return new LeaseElector(options, durations)
}

/** The lease as last read, and when (on our clock) it was last seen to change. */
interface Observation {
  readonly lease: Lease
  readonly changedAt: number
}

class LeaseElector implements LeaderElector {
  readonly #options: LeaderElectorOptions
  readonly #durations: LeaderElectionDurations
  readonly #logger: Logger
  #observed: Observation | undefined
  #isLeader = false
  #terms = 0
  /** When the last write that made or kept us leader was begun, on our clock. */
  #renewedAt = 0

  constructor(options: LeaderElectorOptions, durations: LeaderElectionDurations) {
    this.#options = options
    this.#durations = durations
    this.#logger = options.logger.with({ lease: `${options.lease.namespace}/${options.lease.name}` })
  }

  get isLeader(): boolean {
    return this.#isLeader
  }

  get leader(): string | undefined {
    return this.#observed?.lease.spec.holderIdentity || undefined
  }

  get terms(): number {
    return this.#terms
  }

  runWhenLeader(runnables: readonly Runnable[]): Runnable {
    return {
      name: 'leader election',
      run: async (signal) => {
        while (!signal.aborted && (await this.#campaign(signal))) await this.#lead(runnables, signal)
      },
    }
  }

  /** Resolves with true once this process leads, with false once the signal has aborted. */
  async #campaign(signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#options
    this.#logger.info('waiting to become leader', { identity: this.#options.identity })
    while (!signal.aborted) {
      if (await this.#tryAcquireOrRenew(this.#durations.renewDeadline, signal)) return true
      const pause = this.#durations.retryPeriod * (1 + retryJitter * random.next())
      await clock.sleep(pause, signal).catch(() => {})
    }
    return false
  }

  async #lead(runnables: readonly Runnable[], signal: AbortSignal): Promise<void> {
    const term = sharedAbortController()
    const onAbort = () => term.abort(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    this.#isLeader = true
    this.#terms++
    this.#logger.info('became leader', { identity: this.#options.identity })
    const work = runAll(runnables, term.signal)
    // Renewal goes on while the work ends, so that nobody takes over before it has.
    const renewal = new AbortController()
    const renewing = this.#renew(renewal.signal).then((isLost) => {
      if (!isLost) return
      this.#isLeader = false
      this.#logger.error('leadership was lost', { identity: this.#options.identity })
      term.abort(new Error('leadership was lost'))
    })
    try {
      // Leadership is kept also when all the work is done: a leader with nothing to do still leads.
      await Promise.all([work, aborted(term.signal)])
    } catch (error) {
      term.abort(error)
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
      renewal.abort()
      await renewing
      if (this.#isLeader) await this.#release()
      this.#isLeader = false
    }
  }

  /** Renews until `signal` aborts (false) or no renewal succeeded for the renew deadline (true). */
  async #renew(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options
    while (!signal.aborted) {
      const deadline = this.#renewedAt + this.#durations.renewDeadline
      const pause = Math.min(this.#durations.retryPeriod, deadline - clock.monotonic())
      await clock.sleep(pause, signal).catch(() => {})
      if (signal.aborted) return false
      const left = deadline - clock.monotonic()
      if (left <= 0) return true
      if (await this.#tryAcquireOrRenew(left, signal)) continue
      if (this.#isHeldByAnother()) return true
    }
    return false
  }

  async #tryAcquireOrRenew(timeout: number, signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#attempt(timeout, signal)
    } catch (error) {
      if (signal.aborted) return false
      if (isConflict(error) || isAlreadyExists(error)) this.#logger.debug('another process was faster')
      else this.#logger.warn('lease could not be read or written', { error: messageOf(error) })
      return false
    }
  }

  async #attempt(timeout: number, signal: AbortSignal): Promise<boolean> {
    const { client, lease: key } = this.#options
    const startedAt = this.#options.clock.monotonic()
    // Both calls together must end in time: afterwards another may already lead.
    const call = () => ({
      signal,
      timeout: Math.max(1, startedAt + timeout - this.#options.clock.monotonic()),
    })
    const current = await client.get<Lease>(resources.leases, key, call()).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    if (current === undefined) {
      const created = await client.create<Lease>(resources.leases, this.#firstLease(), call())
      this.#observe(created)
      this.#renewedAt = startedAt
      return true
    }
    this.#observe(current)
    if (this.#isHeldByAnother() && !this.#hasExpired()) return false
    const updated = await client.update<Lease>(
      resources.leases,
      { ...current, spec: this.#nextSpec(current.spec) },
      call(),
    )
    this.#observe(updated)
    this.#renewedAt = startedAt
    return true
  }

  /** Best effort: whoever waits would otherwise have to wait for the lease to run out. */
  async #release(): Promise<void> {
    const observed = this.#observed?.lease
    if (observed === undefined || observed.spec.holderIdentity !== this.#options.identity) return
    const now = formatMicroTime(this.#options.clock.now())
    // Nobody holds it: the field goes, because the API server refuses an empty one.
    const { strategy: _, holderIdentity: __, ...kept } = observed.spec
    const spec: LeaseSpec = {
      ...kept,
      leaseDurationSeconds: 1,
      renewTime: now,
      acquireTime: now,
    }
    try {
      this.#observe(
        await this.#options.client.update<Lease>(
          resources.leases,
          { ...observed, spec },
          { timeout: this.#durations.retryPeriod },
        ),
      )
      this.#logger.info('released the lease')
    } catch (error) {
      this.#logger.warn('lease could not be released', { error: messageOf(error) })
    }
  }

  #firstLease() {
    const { namespace, name } = this.#options.lease
    const now = formatMicroTime(this.#options.clock.now())
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace, name },
      spec: {
        holderIdentity: this.#options.identity,
        leaseDurationSeconds: this.#leaseSeconds(),
        acquireTime: now,
        renewTime: now,
        leaseTransitions: 0,
      },
    }
  }

  #nextSpec(current: LeaseSpec): LeaseSpec {
    const now = formatMicroTime(this.#options.clock.now())
    const isOurs = current.holderIdentity === this.#options.identity
    return {
      ...current,
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: this.#leaseSeconds(),
      renewTime: now,
      acquireTime: isOurs ? (current.acquireTime ?? now) : now,
      leaseTransitions: (current.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
    }
  }

  #leaseSeconds(): number {
    return Math.max(1, Math.ceil(this.#durations.lease / 1000))
  }

  /** Times written by others are never compared with ours: only a change we see restarts the wait. */
  #observe(lease: Lease): void {
    if (this.#observed?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return
    const before = this.leader
    this.#observed = { lease, changedAt: this.#options.clock.monotonic() }
    if (this.leader !== before && this.leader !== undefined)
      this.#logger.info('leader observed', { leader: this.leader })
  }

  #isHeldByAnother(): boolean {
    return this.leader !== undefined && this.leader !== this.#options.identity
  }

  #hasExpired(): boolean {
    if (this.#observed === undefined) return true
    const seconds = this.#observed.lease.spec.leaseDurationSeconds ?? this.#leaseSeconds()
    return this.#observed.changedAt + seconds * 1000 <= this.#options.clock.monotonic()
  }
}
