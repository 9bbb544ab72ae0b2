import type { Client } from '@outrigger/client'
import { type Clock, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import { fieldSince, isRecord, type Release } from '@outrigger/kube'
import type { WebhookDeclaration } from '@outrigger/webhook'

export interface ServerReleaseOptions {
  readonly client: Pick<Client, 'raw'>
  readonly clock: Clock
  readonly logger: Logger
  /** Told what the server says, each time it is asked. */
  readonly onRead: (release: Release | undefined) => void
}

/** The release of the API server, which may be upgraded under us. */
export interface ServerRelease extends Runnable {
  /** Asks now. Undefined when the server does not say. @throws when it does not answer. */
  read(signal: AbortSignal): Promise<Release | undefined>
}

const interval = 600_000
const longestVersion = 64 * 1024

/** Asks the server at once and then every ten minutes. */
export function createServerRelease({ client, clock, logger, onRead }: ServerReleaseOptions): ServerRelease {
  const read = async (signal: AbortSignal) => {
    const release = await readRelease(client, signal)
    onRead(release)
    return release
  }
  return {
    name: 'server release',
    read,
    async run(signal) {
      while (!signal.aborted) {
        await read(signal).catch((error: unknown) => {
          if (!signal.aborted)
            logger.warn('the release of the API server is not known', { error: messageOf(error) })
        })
        await clock.sleep(interval, signal).catch(() => {})
      }
    },
  }
}

/** What `/version` says; undefined when it says nothing that can be understood. @throws when there is no answer. */
export async function readRelease(
  client: Pick<Client, 'raw'>,
  signal?: AbortSignal,
): Promise<Release | undefined> {
  const { status, body } = await client.raw({ method: 'GET', path: '/version', ...(signal && { signal }) })
  if (status !== 200 || body.length > longestVersion) return undefined
  const version = parse(body.toString('utf8'))
  if (!isRecord(version) || version['major'] !== '1') return undefined
  // Managed clusters write `28+`.
  const minor = typeof version['minor'] === 'string' ? Number.parseInt(version['minor'], 10) : Number.NaN
  return Number.isNaN(minor) ? undefined : minor
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const matchConditionsSince = fieldSince(
  'io.k8s.api.admissionregistration.v1.MutatingWebhook',
  'matchConditions',
)

/**
 * The declaration as a server of some release takes it: one without match conditions drops them or refuses the object;
 * it asks more often, and gets the same answers. A server that does not say is taken for an old one.
 */
export function declarationFor(
  release: Release | undefined,
  declaration: WebhookDeclaration,
): WebhookDeclaration {
  if ((release ?? 0) >= matchConditionsSince) return declaration
  const { matchConditions: _, ...rest } = declaration
  return rest
}
