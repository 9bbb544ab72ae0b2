import { type Client, isConflict, isNotFound, pauseAfter } from '@outrigger/client'
import { backoffDelay, type Clock, type Logger, messageOf, type Random } from '@outrigger/foundation'
import { type Pod, type PodCondition, type PodStatus, resources } from '@outrigger/kube'
import { isOwnCondition, isPassingCondition } from './pod-conditions.ts'

export interface StatusWriterOptions {
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Milliseconds. */
const retryBackoff = { initial: 500, max: 30_000, jitter: 0.2 }

/**
 * Writes the status of one pod, and only what is new. Containers do not wait for it: a status goes out while the
 * pod is worked on, one request at a time, and one that is outdated before its turn is never sent.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #stopping = new AbortController()
  #last: PodStatus
  /** What the server has, as text and as the status it was made from. */
  #sentText = ''
  #sent: PodStatus
  #wanted: Draft | undefined
  #sending: Promise<void> | undefined

  constructor(options: StatusWriterOptions, found: PodStatus) {
    this.#options = options
    this.#last = found
    this.#sent = found
  }

  /** The status as it was posted last, or as it was found. */
  get last(): PodStatus {
    return this.#last
  }

  /** Sees to it that this status reaches the server. Conditions of others are left alone. */
  post(pod: Pod, status: PodStatus): void {
    const conditions = status.conditions?.filter((condition) => isOwnCondition(condition.type))
    const text = JSON.stringify({ ...status, conditions })
    this.#last = status
    if (text === (this.#wanted?.text ?? this.#sentText)) return
    this.#wanted = { pod, status, text }
    if (this.#stopping.signal.aborted) return
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined
    })
  }

  /** Resolves once everything posted is at the server; rejects with the signal's reason. */
  async flushed(signal: AbortSignal): Promise<void> {
    while (this.#sending !== undefined) {
      signal.throwIfAborted()
      await untilAborted(this.#sending, signal)
    }
  }

  /** Someone else wrote the pod: conditions that are not ours are theirs to say. */
  adopt(status: PodStatus | undefined): void {
    const theirs = (status?.conditions ?? []).filter((condition) => !isOwnCondition(condition.type))
    const ours = (this.#last.conditions ?? []).filter((condition) => isOwnCondition(condition.type))
    this.#last = { ...this.#last, conditions: [...theirs, ...ours] }
  }

  /** Sends nothing more. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the kubelet is stopping'))
    await this.#sending
  }

  async #send(): Promise<void> {
    const { clock, random, logger } = this.#options
    const { signal } = this.#stopping
    for (let failures = 0; this.#wanted !== undefined && !signal.aborted; ) {
      const draft: Draft = this.#wanted
      try {
        await this.#patch(draft, signal)
        failures = 0
        this.#sentText = draft.text
        this.#sent = draft.status
        if (this.#wanted === draft) this.#wanted = undefined
      } catch (error) {
        if (signal.aborted) return
        failures++
        const { name, namespace } = draft.pod.metadata
        logger.warn('status could not be written', { pod: `${namespace}/${name}`, error: messageOf(error) })
        const pause = pauseAfter(error, backoffDelay(retryBackoff, failures, random))
        await clock.sleep(pause, signal).catch(() => {})
      }
    }
  }

  /** A pod that is gone, or has another uid, is fine. @throws ApiError, ConnectionError */
  async #patch({ pod, status }: Draft, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', uid } = pod.metadata
    try {
      await this.#options.client.patch(
        resources.pods,
        { namespace, name },
        { type: 'strategic', body: { metadata: { uid }, status: statusPatch(status, this.#sent) } },
        { subresource: 'status', signal },
      )
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error
    }
  }
}

interface Draft {
  readonly pod: Pod
  readonly status: PodStatus
  readonly text: string
}

/** Fields that come and go; what is not said of them has to be taken back. */
const ownFields = [
  'reason',
  'message',
  'podIP',
  'podIPs',
  'initContainerStatuses',
  'ephemeralContainerStatuses',
] as const satisfies (keyof PodStatus)[]

/** Our conditions are merged by type into those of others; one that has passed is deleted. */
function statusPatch(status: PodStatus, sent: PodStatus): object {
  const gone = ownFields.filter((key) => key in sent && !(key in status)).map((key) => [key, null])
  const own = status.conditions?.filter((condition) => isOwnCondition(condition.type))
  const before = new Map(sent.conditions?.map((condition) => [condition.type, condition]))
  const types = new Set(own?.map(({ type }) => type))
  const passed = (sent.conditions ?? [])
    .filter(({ type }) => isPassingCondition(type) && !types.has(type))
    .map(({ type }) => ({ $patch: 'delete', type }))
  return {
    ...status,
    ...Object.fromEntries(gone),
    ...(own !== undefined && {
      conditions: [
        ...own.map((condition) => ({ ...takenBack(before.get(condition.type), condition), ...condition })),
        ...passed,
      ],
      '$setElementOrder/conditions': own.map(({ type }) => ({ type })),
    }),
  }
}

/** A null for each field the condition had and has no more: merging by type would keep it. */
function takenBack(before: PodCondition | undefined, now: PodCondition): Readonly<Record<string, null>> {
  const gone = Object.keys(before ?? {}).filter((key) => !(key in now))
  return Object.fromEntries(gone.map((key) => [key, null]))
}

/** The work goes on when the signal aborts; only the waiting ends. */
function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
