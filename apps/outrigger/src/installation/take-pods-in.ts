import { type Client, isConflict, isNotFound } from '@outrigger/client'
import type { Clock } from '@outrigger/foundation'
import { type Pod, resources } from '@outrigger/kube'
import { conditionBody, isOutOfService, openCondition, serviceOf } from '@outrigger/operator'
import { countOf } from '../rendering/count.ts'

export interface TakePodsInOptions {
  readonly client: Pick<Client, 'list' | 'patch'>
  readonly clock: Clock
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

/** Pods of a page. */
const pageSize = 500
/** How often a pod is tried whose node writes at the same time. */
const attempts = 5

/**
 * Opens the gate `outrigger.dev/in-service` of every pod where it is closed: for when there is no manager any more that would.
 * Repeatable.
 */
export async function takePodsIn({ client, clock, report, signal }: TakePodsInOptions): Promise<void> {
  let count = 0
  let page: string | undefined
  do {
    const pods = await client.list<Pod>(resources.pods, {
      limit: pageSize,
      signal,
      ...(page !== undefined && { continue: page }),
    })
    for (const pod of pods.items) if (isKeptOut(pod) && (await open(pod))) count++
    page = pods.metadata.continue || undefined
  } while (page !== undefined)
  if (count > 0) report(`${countOf(count, 'pod')} taken back into service`)

  async function open({ metadata }: Pod): Promise<boolean> {
    const { namespace = '', name, uid } = metadata
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        // Only the pod matters, not its version: nobody else closes gates now.
        const body = conditionBody({ metadata: { name, ...(uid && { uid }) } }, openCondition(clock.now()))
        const call = { subresource: 'status', signal } as const
        await client.patch<Pod>(resources.pods, { namespace, name }, { type: 'strategic', body }, call)
        return true
      } catch (error) {
        if (isNotFound(error)) return false
        if (!isConflict(error)) throw error
      }
    }
    return false
  }
}

function isKeptOut(pod: Pod): boolean {
  const service = serviceOf(pod)
  return service === 'not opened' || isOutOfService(service)
}
