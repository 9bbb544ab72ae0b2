import { type Client, isConflict, isNotFound } from '@outrigger/client'
import { type Pod, type PodStatus, resources } from '@outrigger/kube'
import { isOwnCondition } from './pod-conditions.ts'

/** Writes the status of one pod, and only what is new. */
export class StatusWriter {
  readonly #client: Client
  #written = ''
  #last: PodStatus

  constructor(client: Client, last: PodStatus) {
    this.#client = client
    this.#last = last
  }

  /** The status as we wrote it last, or as it was found. */
  get last(): PodStatus {
    return this.#last
  }

  /**
   * Sends the status unless it is what was sent before. Conditions of others are left alone: ours are
   * merged by type. Answers whether something was sent. A pod that is gone, or has another uid, is fine.
   * @throws ApiError, ConnectionError
   */
  async write(pod: Pod, status: PodStatus, signal: AbortSignal): Promise<boolean> {
    const conditions = status.conditions?.filter((condition) => isOwnCondition(condition.type))
    const text = JSON.stringify({ ...status, conditions })
    if (text === this.#written) return false
    const { name, namespace = '', uid } = pod.metadata
    const gone: Record<string, null> = {}
    for (const key of Object.keys(this.#last) as (keyof PodStatus)[]) {
      if (!(key in status) && ownFields.has(key)) gone[key] = null
    }
    const body = {
      metadata: { uid },
      status: {
        ...status,
        ...gone,
        ...(conditions !== undefined && {
          conditions,
          '$setElementOrder/conditions': conditions.map(({ type }) => ({ type })),
        }),
      },
    }
    try {
      const key = { namespace, name }
      await this.#client.patch(
        resources.pods,
        key,
        { type: 'strategic', body },
        { subresource: 'status', signal },
      )
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error
    }
    this.#written = text
    this.#last = status
    return true
  }

  /** Someone else wrote the pod: conditions that are not ours are theirs to say. */
  adopt(status: PodStatus | undefined): void {
    const theirs = (status?.conditions ?? []).filter((condition) => !isOwnCondition(condition.type))
    const ours = (this.#last.conditions ?? []).filter((condition) => isOwnCondition(condition.type))
    this.#last = { ...this.#last, conditions: [...theirs, ...ours] }
  }
}

const ownFields: ReadonlySet<keyof PodStatus> = new Set<keyof PodStatus>([
  'reason',
  'message',
  'podIP',
  'podIPs',
  'initContainerStatuses',
  'ephemeralContainerStatuses',
])
