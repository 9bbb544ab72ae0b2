import type { Client } from '@outrigger/client'
import { aborted, type Clock, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import { type CustomResourceDefinition, resources } from '@outrigger/kube'
import {
  answers,
  type CertificateSource,
  type ConfigurationNames,
  type WebhookDeclaration,
  type WebhookServer,
  type WebhookTarget,
  webhookConfigurations,
} from '@outrigger/webhook'
import { ensureObject } from '../ensure-object.ts'

export interface WebhookRegistrationOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'update'>
  readonly clock: Clock
  readonly logger: Logger
  readonly server: WebhookServer
  readonly certificate: CertificateSource
  readonly declarations: readonly WebhookDeclaration[]
  readonly names: ConfigurationNames
  /** Asked once the server listens. */
  readonly target: (port: number) => WebhookTarget
  /** A name the certificate holds, for asking ourselves. */
  readonly serverName: string
  /** What must be true before anything is registered: caches filled. */
  readonly isReady: () => boolean
  /** Resource definitions that name our endpoint too, with the bundle as it is now. Defaults to none. */
  readonly definitions?: () => readonly CustomResourceDefinition[]
  /** Milliseconds between two checks. Defaults to 60,000. */
  readonly interval?: number
}

/** How far registration has come. */
export interface WebhookRegistration extends Runnable {
  /** Whether the configurations have been written at least once by this process. */
  readonly isRegistered: boolean
}

const startPause = 200

/**
 * Registers the webhooks once our own endpoint answers over TLS, and keeps names, rules and caBundle as
 * they must be. Never takes them away: pods that need us must wait while we are down.
 */
export function createWebhookRegistration(options: WebhookRegistrationOptions): WebhookRegistration {
  const { client, clock, logger, server, certificate, interval = 60_000 } = options
  let isRegistered = false

  const register = async (signal: AbortSignal): Promise<void> => {
    const { port } = server.address
    const [mutating, validating] = webhookConfigurations(
      options.names,
      options.declarations,
      options.target(port),
      certificate.authorities,
    )
    for (const definition of options.definitions?.() ?? [])
      await ensureObject(client, resources.customResourceDefinitions, definition, signal)
    const outcomes = [
      await ensureObject(client, resources.mutatingWebhookConfigurations, mutating, signal),
      await ensureObject(client, resources.validatingWebhookConfigurations, validating, signal),
    ]
    if (outcomes.some((outcome) => outcome !== 'unchanged'))
      logger.info('webhooks are registered', { mutating: outcomes[0], validating: outcomes[1] })
    isRegistered = true
  }

  const answersItself = async (): Promise<boolean> => {
    const { host, port } = server.address
    const own = host === '::' || host === '0.0.0.0' ? 'localhost' : host
    return answers({ host: own, port, serverName: options.serverName, authorities: certificate.authorities })
  }

  const run = async (signal: AbortSignal): Promise<void> => {
    await Promise.race([server.ready, aborted(signal)])
    let waking = new AbortController()
    const wake = () => waking.abort()
    const forget = certificate.onChange(wake)
    signal.addEventListener('abort', wake, { once: true })
    while (!signal.aborted) {
      let pause = interval
      try {
        if (options.isReady() && (await answersItself())) await register(signal)
        else pause = startPause
      } catch (error) {
        if (signal.aborted) break
        logger.warn('webhooks could not be registered', { error: messageOf(error) })
        pause = 2_000
      }
      await clock.sleep(pause, waking.signal).catch(() => {})
      if (waking.signal.aborted) waking = new AbortController()
    }
    signal.removeEventListener('abort', wake)
    forget()
  }

  return {
    name: 'webhook registration',
    run,
    get isRegistered() {
      return isRegistered
    },
  }
}
