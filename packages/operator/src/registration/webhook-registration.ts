import type { Client } from '@outrigger/client'
import { aborted, type Clock, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import {
  type CustomResourceDefinition,
  type MutatingWebhookConfiguration,
  type ResourceRef,
  resources,
  type ValidatingWebhookConfiguration,
} from '@outrigger/kube'
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
import { withEnforcedSelectors } from './enforced-selectors.ts'
import { withInjectedBundles } from './injected-bundles.ts'
import { declarationFor, type ServerRelease } from './server-release.ts'

export interface WebhookRegistrationOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'update' | 'raw'>
  readonly clock: Clock
  readonly logger: Logger
  readonly server: WebhookServer
  readonly certificate: CertificateSource
  /** What must be registered now. */
  readonly declarations: () => readonly WebhookDeclaration[]
  /** What the API server knows. */
  readonly release: Pick<ServerRelease, 'read'>
  readonly names: ConfigurationNames
  /** Put on both configurations, for an injector of caBundles to find. Defaults to none. */
  readonly annotations?: Readonly<Record<string, string>>
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
  /** What must be registered may have changed: looks at once instead of after the interval. */
  look(): void
}

const startPause = 200

/**
 * Registers the webhooks once our own endpoint answers over TLS, and keeps names, rules and caBundle as
 * they must be. Never takes them away: pods that need us must wait while we are down.
 */
export function createWebhookRegistration(options: WebhookRegistrationOptions): WebhookRegistration {
  const { client, clock, logger, server, certificate, interval = 60_000 } = options
  let isRegistered = false
  let waking = new AbortController()
  const wake = () => waking.abort()

  const register = async (signal: AbortSignal): Promise<void> => {
    const { port } = server.address
    const release = await options.release.read(signal)
    const declarations = options.declarations().map((declaration) => declarationFor(release, declaration))
    const [mutating, validating] = webhookConfigurations(
      options.names,
      declarations,
      options.target(port),
      certificate.isExternal ? '' : certificate.authorities,
    )
    for (const definition of options.definitions?.() ?? [])
      await ensureObject(client, resources.customResourceDefinitions, definition, signal)
    const outcomes = [
      await ensure(resources.mutatingWebhookConfigurations, mutating, signal),
      await ensure(resources.validatingWebhookConfigurations, validating, signal),
    ]
    if (outcomes.some((outcome) => outcome !== 'unchanged'))
      logger.info('webhooks are registered', { mutating: outcomes[0], validating: outcomes[1] })
    isRegistered = true
  }

  const ensure = <T extends MutatingWebhookConfiguration | ValidatingWebhookConfiguration>(
    resource: ResourceRef,
    configuration: T,
    signal: AbortSignal,
  ) => {
    const { annotations } = options
    const metadata = { ...configuration.metadata, ...(annotations && { annotations: { ...annotations } }) }
    const adapt = (wanted: T, found: T) =>
      withEnforcedSelectors(certificate.isExternal ? withInjectedBundles(wanted, found) : wanted, found)
    return ensureObject<T>(client, resource, { ...configuration, metadata }, signal, adapt)
  }

  const answersItself = async (): Promise<boolean> => {
    const { host, port } = server.address
    const own = host === '::' || host === '0.0.0.0' ? 'localhost' : host
    return answers({ host: own, port, serverName: options.serverName, authorities: certificate.authorities })
  }

  const run = async (signal: AbortSignal): Promise<void> => {
    await Promise.race([server.ready, aborted(signal)])
    const forget = certificate.onChange(wake)
    signal.addEventListener('abort', wake, { once: true })
    while (!signal.aborted) {
      let pause = interval
      // What changes while we are at it is seen in another round.
      if (waking.signal.aborted && !signal.aborted) waking = new AbortController()
      try {
        if (options.isReady() && (await answersItself())) await register(signal)
        else pause = startPause
      } catch (error) {
        if (signal.aborted) break
        logger.warn('webhooks could not be registered', { error: messageOf(error) })
        pause = 2_000
      }
      await clock.sleep(pause, waking.signal).catch(() => {})
    }
    signal.removeEventListener('abort', wake)
    forget()
  }

  return {
    name: 'webhook registration',
    run,
    look: wake,
    get isRegistered() {
      return isRegistered
    },
  }
}
