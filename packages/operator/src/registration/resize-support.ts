import type { Client } from '@outrigger/client'
import { type Clock, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import { isRecord } from '@outrigger/kube'

export interface ResizeSupportOptions {
  readonly client: Pick<Client, 'raw'>
  readonly clock: Clock
  readonly logger: Logger
  /** Told when the answer is another than before. */
  readonly onChange: () => void
}

/** Whether the API server resizes pods in place; it may be upgraded under us. */
export interface ResizeSupport extends Runnable {
  /** False until the server has said so. */
  readonly isThere: boolean
}

const interval = 600_000
const soon = 5_000
const longestAnswer = 4 * 1024 * 1024

/** Asks the server at once and then every ten minutes. */
export function createResizeSupport({
  client,
  clock,
  logger,
  onChange,
}: ResizeSupportOptions): ResizeSupport {
  let isThere = false
  return {
    name: 'resize support',
    get isThere() {
      return isThere
    },
    async run(signal) {
      while (!signal.aborted) {
        let pause = interval
        try {
          const now = await readResizeSupport(client, signal)
          if (now !== isThere) {
            isThere = now
            onChange()
          }
        } catch (error) {
          pause = soon
          if (!signal.aborted)
            logger.warn('it is not known whether pods can be resized', { error: messageOf(error) })
        }
        await clock.sleep(pause, signal).catch(() => {})
      }
    },
  }
}

/** Whether pods have the subresource `resize`, by discovery: from 1.33 on. @throws when there is no answer. */
export async function readResizeSupport(client: Pick<Client, 'raw'>, signal?: AbortSignal): Promise<boolean> {
  const { status, body } = await client.raw({ method: 'GET', path: '/api/v1', ...(signal && { signal }) })
  if (status !== 200 || body.length > longestAnswer) return false
  try {
    const list: unknown = JSON.parse(body.toString('utf8'))
    const served: unknown = isRecord(list) ? list['resources'] : undefined
    return Array.isArray(served) && served.some((one) => isRecord(one) && one['name'] === 'pods/resize')
  } catch {
    return false
  }
}
