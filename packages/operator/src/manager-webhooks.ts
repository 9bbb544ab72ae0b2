import {
  customResourceDefinitions,
  type MetadataWhitelist,
  type SidecarSet,
  whitelistConfigMap,
} from '@outrigger/api'
import { isNotFound } from '@outrigger/client'
import type { Runnable } from '@outrigger/foundation'
import { type ConfigMap, resources } from '@outrigger/kube'
import {
  type AdmissionHandler,
  type CertificateSource,
  clientConfig,
  createExternalCertificates,
  createSharedCertificates,
  createWebhookServer,
  type WebhookServer,
  type WebhookTarget,
} from '@outrigger/webhook'
import { validateBinding } from './admission/binding/binding-handler.ts'
import { createPodFacts } from './admission/pod/pod-facts.ts'
import { createPodMutator, createPodValidator } from './admission/pod/pod-handlers.ts'
import {
  changesRequirements,
  createRequiredValidator,
  shareOneEntry,
} from './admission/required-sidecar-sets.ts'
import {
  convertObjects,
  createSidecarSetMutator,
  createSidecarSetValidator,
} from './admission/sidecar-set/sidecar-set-handlers.ts'
import { webhookDeclarations, webhookPaths } from './admission/webhook-declarations.ts'
import type { ManagerCaches } from './manager-caches.ts'
import { defaultNames, type ManagerOptions } from './manager-options.ts'
import { followPods } from './overflow-replacement/follow-pods.ts'
import { ReplacementHints } from './overflow-replacement/replacement-hints.ts'
import {
  createSecretCertificateStore,
  readExternalCertificates,
} from './registration/secret-certificate-store.ts'
import { createServerRelease, type ServerRelease } from './registration/server-release.ts'
import { createWebhookRegistration, type WebhookRegistration } from './registration/webhook-registration.ts'
import { RevisionHistory } from './sidecar-set-history/revision-history.ts'

/** The webhooks of one replica: who answers, with which certificate, and how the API server learns of it. */
export class ManagerWebhooks {
  readonly certificate: CertificateSource & Partial<Runnable>
  readonly server: WebhookServer
  /** For the replica that leads. */
  readonly registration: WebhookRegistration
  /** Decides what may be injected. */
  readonly release: ServerRelease
  readonly #options: ManagerOptions
  readonly #caches: ManagerCaches

  constructor(options: ManagerOptions, caches: ManagerCaches) {
    this.#options = options
    this.#caches = caches
    this.certificate = options.webhook.certificate ?? this.#ownCertificates()
    this.server = this.#createServer()
    this.release = createServerRelease({
      ...options,
      onRead: (release) => {
        caches.index.release = release
      },
    })
    this.registration = this.#createRegistration()
  }

  /** What the definitions of our resources need besides themselves, once the server listens. */
  definitionOptions() {
    if (!this.#options.convertsVersions) return {}
    const { port } = this.server.address
    const authorities = this.certificate.isExternal ? '' : this.certificate.authorities
    return {
      conversion: {
        strategy: 'Webhook',
        webhook: {
          clientConfig: clientConfig(this.#target(port), webhookPaths.convert[0], authorities),
          conversionReviewVersions: ['v1'],
        },
      },
    }
  }

  #createServer(): WebhookServer {
    const { clock, logger } = this.#options
    return createWebhookServer({
      clock,
      logger,
      listen: this.#options.webhook.listen,
      certificate: this.certificate,
      handlers: Object.fromEntries(
        this.#handlers().flatMap(([paths, handler]) => paths.map((path) => [path, handler])),
      ),
      converters: Object.fromEntries(webhookPaths.convert.map((path) => [path, convertObjects])),
    })
  }

  #handlers(): readonly (readonly [paths: readonly string[], handler: AdmissionHandler])[] {
    const { client, clock, logger, random, userName, trustedUsers = [] } = this.#options
    const { index } = this.#caches
    const history = new RevisionHistory(this.#caches.revisions().store)
    const facts = createPodFacts({
      client,
      clock,
      sidecarSets: index,
      namespaces: this.#caches.namespaces().store,
      virtualNodes: this.#caches.virtualNodes().store,
      sortsContainersByName: this.#options.sortsContainersByName ?? false,
      revisions: history,
      random,
    })
    const pod = { facts, logger, trustedUsers: [userName, ...trustedUsers], ...this.#replacements() }
    const sidecarSet = createSidecarSetValidator(index, { history, whitelist: () => this.#whitelist() })
    return [
      [webhookPaths.mutatePod, this.#whenSynced(createPodMutator(pod))],
      [webhookPaths.validatePod, this.#whenSynced(createPodValidator(pod))],
      [webhookPaths.validateRequired, this.#whenSynced(createRequiredValidator({ facts }))],
      [webhookPaths.mutateSidecarSet, createSidecarSetMutator({ clock })],
      [webhookPaths.validateSidecarSet, this.#whenSynced(sidecarSet)],
      [webhookPaths.validateBinding, validateBinding],
    ]
  }

  /** In every replica: whichever is asked knows which pods take the place of others. */
  #replacements() {
    if (!this.#options.replacesOverflowPods) return {}
    const replacements = new ReplacementHints(this.#options.clock)
    followPods(replacements, this.#caches.pods())
    return { replacements }
  }

  /** Asked for when it is needed: SidecarSets that patch annotations are written rarely. */
  async #whitelist(): Promise<MetadataWhitelist> {
    const { name, key } = whitelistConfigMap
    const { client, allowsPatchPodMetadataByDefault: allowsByDefault = false } = this.#options
    try {
      const found = await client.get<ConfigMap>(
        resources.configMaps,
        { namespace: this.#caches.namespace, name },
        { timeout: 3_000 },
      )
      return { text: found.data?.[key], allowsByDefault }
    } catch (error) {
      if (isNotFound(error)) return { text: undefined, allowsByDefault }
      throw error
    }
  }

  /** Answers from half a cache would leave pods without sidecars; no answer lets failurePolicy decide. */
  #whenSynced(handler: AdmissionHandler): AdmissionHandler {
    return (request, signal) => {
      if (!this.#caches.informers.hasSynced) throw new Error('the caches are not filled yet')
      return handler(request, signal)
    }
  }

  #createRegistration(): WebhookRegistration {
    const { client, clock, logger, webhook } = this.#options
    const registration = createWebhookRegistration({
      client,
      clock,
      logger,
      server: this.server,
      certificate: this.certificate,
      declarations: () => webhookDeclarations(this.#caches.namespace, this.#caches.index),
      release: this.release,
      ...(webhook.external?.annotations && { annotations: webhook.external.annotations }),
      names: webhook.names ?? defaultNames.webhooks,
      target: (port) => this.#target(port),
      serverName: webhook.serverName ?? 'localhost',
      isReady: () => this.#caches.informers.hasSynced,
      definitions: () =>
        this.#options.convertsVersions ? customResourceDefinitions(this.definitionOptions()) : [],
    })
    const notice = (old: SidecarSet | undefined, next: SidecarSet | undefined) => {
      if (changesRequirements(old, next) && !shareOneEntry(this.#caches.index)) registration.look()
    }
    this.#caches.sidecarSets().onChange({
      onAdd: (sidecarSet) => notice(undefined, sidecarSet),
      onUpdate: (sidecarSet, old) => notice(old, sidecarSet),
      onDelete: (sidecarSet) => notice(sidecarSet, undefined),
    })
    return registration
  }

  #target(port: number): WebhookTarget {
    const { target, service = defaultNames.service } = this.#options.webhook
    if (typeof target === 'function') return target(port)
    return target ?? { service: { namespace: this.#caches.namespace, name: service } }
  }

  #ownCertificates(): CertificateSource & Runnable {
    const { client, clock, logger, webhook } = this.#options
    const { service = defaultNames.service, certificateSecret = defaultNames.certificateSecret } = webhook
    const { namespace } = this.#caches
    const secret = { namespace, name: certificateSecret }
    if (webhook.external !== undefined) {
      const read = (signal: AbortSignal) => readExternalCertificates(client, secret, signal)
      return createExternalCertificates({ read, clock, logger })
    }
    return createSharedCertificates({
      store: createSecretCertificateStore(client, secret),
      dnsNames: [`${service}.${namespace}.svc`],
      clock,
      logger,
    })
  }
}
