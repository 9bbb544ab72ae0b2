import {
  customResourceDefinitions,
  type MetadataWhitelist,
  outriggerResources,
  type SidecarSet,
  type SidecarSetResourceBinding,
  sidecarSetLabels,
  virtualNodeNames,
  whitelistConfigMap,
} from '@outrigger/api'
import { isNotFound } from '@outrigger/client'
import {
  type Controller,
  createEventRecorder,
  createInformers,
  createLeaderElector,
  type EventRecorder,
  type InformerSet,
  type LeaderElector,
  runInStages,
  runTogether,
  withoutManagedFields,
} from '@outrigger/controller'
import { aborted, type Runnable } from '@outrigger/foundation'
import { SidecarSetIndex } from '@outrigger/injection'
import {
  type ConfigMap,
  type ControllerRevision,
  type Namespace,
  type Node,
  type Pod,
  resources,
} from '@outrigger/kube'
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
import { changesRequirements, createRequiredValidator } from './admission/required-sidecar-sets.ts'
import {
  convertObjects,
  createSidecarSetValidator,
  mutateSidecarSet,
} from './admission/sidecar-set/sidecar-set-handlers.ts'
import { webhookDeclarations, webhookPaths } from './admission/webhook-declarations.ts'
import { installDefinitions } from './install/install-definitions.ts'
import { defaultNames, type ManagerOptions } from './manager-options.ts'
import { informerStatistics, type ManagerStatistics, sumOfEvents } from './manager-statistics.ts'
import {
  createMissedPodsController,
  type MissedPodsController,
} from './missed-pods/missed-pods-controller.ts'
import { followPods } from './overflow-replacement/follow-pods.ts'
import { createOverflowReplacement } from './overflow-replacement/overflow-replacement.ts'
import { ReplacementHints } from './overflow-replacement/replacement-hints.ts'
import { podIndexes } from './pod-indexes.ts'
import {
  createSecretCertificateStore,
  readExternalCertificates,
} from './registration/secret-certificate-store.ts'
import { createWebhookRegistration, type WebhookRegistration } from './registration/webhook-registration.ts'
import { createResourceBindingController } from './resource-binding/resource-binding-controller.ts'
import { createUpgradableConditionController } from './sidecar-set-condition/upgradable-condition-controller.ts'
import { RevisionHistory, revisionIndexes } from './sidecar-set-history/revision-history.ts'
import { createSidecarSetHistoryController } from './sidecar-set-history/sidecar-set-history-controller.ts'
import {
  createSidecarSetController,
  sidecarSetControllerName,
} from './sidecar-set-rollout/sidecar-set-controller.ts'
import { LedgerFeed } from './sidecar-set-status/ledger-feed.ts'
import { podTrim } from './sidecar-set-status/trimmed-pod.ts'
import { createVirtualNodeAuditController } from './virtual-node-audit/virtual-node-audit-controller.ts'
import { createVirtualNodeLabelController } from './virtual-node-label/virtual-node-label-controller.ts'

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

/** Milliseconds between two looks whether a watch has lost something. */
const auditInterval = 900_000
/** How objects are kept of which there are few. */
const whole = { trim: withoutManagedFields, audit: auditInterval }

class OutriggerManager implements Manager {
  readonly name = 'manager'
  readonly ready: Promise<void>
  readonly #options: ManagerOptions
  readonly #namespace: string
  readonly #leaseName: string
  readonly #informers: InformerSet
  readonly #index = new SidecarSetIndex()
  readonly #certificate: CertificateSource & Partial<Runnable>
  readonly #server: WebhookServer
  readonly #registration: WebhookRegistration
  readonly #elector: LeaderElector
  readonly #events: EventRecorder
  readonly #rolloutEvents: EventRecorder
  readonly #trimPod = podTrim()
  #controllers: readonly Controller[] = []
  #missedPods: MissedPodsController | undefined
  #isStopping = false
  #becomeReady: () => void = () => {}

  constructor(options: ManagerOptions) {
    this.#options = options
    this.#namespace = options.namespace ?? defaultNames.namespace
    this.#informers = createInformers(options)
    this.#certificate = options.webhook.certificate ?? this.#ownCertificates()
    this.#server = this.#createServer()
    this.#registration = this.#createRegistration()
    const { lease = {} } = options
    const { duration, renewDeadline, retryPeriod } = lease
    this.#leaseName = lease.name ?? defaultNames.lease
    this.#elector = createLeaderElector({
      ...options,
      lease: { namespace: lease.namespace ?? this.#namespace, name: this.#leaseName },
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
    return this.#informers.hasSynced && (this.#registration.isRegistered || this.#follows())
  }

  get statistics(): ManagerStatistics {
    const { isLeader, leader, terms } = this.#elector
    const { leaderElection = true } = this.#options
    return {
      isReady: this.isReady,
      leaderElection: { name: this.#leaseName, isLeader: isLeader || !leaderElection, leader, terms },
      controllers: this.#controllers.map(({ statistics }) => statistics),
      informers: informerStatistics(this.#informers),
      missedPods: this.#missedPods?.missed ?? 0,
      events: sumOfEvents(this.#events.counters, this.#rolloutEvents.counters),
      webhooks: this.#server.statistics,
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
    const certificate = this.#certificate.run ? [this.#certificate as Runnable] : []
    try {
      await runInStages(
        [
          runTogether('webhooks', [...certificate, this.#server]),
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
    await Promise.race([this.#server.ready, aborted(signal)])
    if (signal.aborted) return
    await installDefinitions({ ...this.#options, definitions: this.#definitions() }, signal)
    if (signal.aborted) return
    this.#controllers = this.#createControllers()
    const work = [...this.#controllers, this.#registration]
    const { leaderElection = true } = this.#options
    const leading = leaderElection ? this.#elector.runWhenLeader(work) : runTogether('controllers', work)
    await runInStages(
      [
        runTogether('caches', [this.#informers, this.#events, this.#rolloutEvents]),
        leading,
        this.#readiness(),
      ],
      signal,
    )
  }

  #definitions() {
    if (!this.#options.convertsVersions) return {}
    const { port } = this.#server.address
    const authorities = this.#certificate.isExternal ? '' : this.#certificate.authorities
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

  /** Every controller, as one list. */
  #createControllers(): Controller[] {
    const shared = { ...this.#options, events: this.#events }
    const pods = this.#pods()
    const sidecarSets = this.#sidecarSets()
    const namespaces = this.#namespaces()
    const feed = new LedgerFeed({ ...this.#options, sidecarSets, pods, namespaces })
    const history = new RevisionHistory(this.#revisions().store)
    const namespaceLabels = (name: string) => namespaces.store.get(name)?.metadata.labels
    const isAnswering = () => this.#registration.isRegistered
    const virtualNodes = this.#virtualNodes()
    this.#missedPods = createMissedPodsController({
      ...shared,
      ...{ sidecarSets, pods, namespaces, feed, isAnswering },
      index: this.#index,
      managerNamespace: this.#namespace,
      evicts: this.#options.evictsMissedPods ?? false,
      isVirtualNode: (name) => virtualNodes.store.get(name) !== undefined,
    })
    return [
      this.#missedPods,
      createSidecarSetController({
        ...shared,
        events: this.#rolloutEvents,
        workers: this.#options.sidecarSetWorkers ?? 3,
        sidecarSets,
        pods,
        namespaces,
        feed,
        revisionNameOf: (sidecarSet) => history.nameOf(sidecarSet),
      }),
      createSidecarSetHistoryController({
        ...shared,
        namespace: this.#namespace,
        sidecarSets,
        pods,
        namespaces,
        revisions: this.#revisions(),
        history,
        feed,
      }),
      createUpgradableConditionController({ ...shared, pods, sidecarSets, namespaces, feed }),
      createVirtualNodeLabelController({
        ...shared,
        pods,
        virtualNodes,
        ...(this.#options.replacesOverflowPods && {
          replacement: createOverflowReplacement({
            ...shared,
            pods,
            sidecarSets: this.#index,
            namespaceLabels,
            isAnswering,
          }),
        }),
      }),
      createVirtualNodeAuditController({ ...shared, pods, sidecarSets: this.#index, namespaceLabels }),
      createResourceBindingController({
        ...shared,
        sidecarSets,
        bindings: this.#informers.for<SidecarSetResourceBinding>(
          outriggerResources.sidecarSetResourceBindings,
          whole,
        ),
        subjects: {
          group: this.#options.virtualNodeGroup ?? virtualNodeNames.group,
          manager: this.#options.userName,
        },
      }),
    ]
  }

  #pods() {
    // One by one instead of in pages: of a large cluster no page of whole pods is ever in memory.
    return this.#informers.for<Pod>(resources.pods, {
      trim: this.#trimPod,
      indexes: podIndexes,
      watchList: true,
      audit: auditInterval,
    })
  }

  #namespaces() {
    return this.#informers.for<Namespace>(resources.namespaces, whole)
  }

  #sidecarSets() {
    return this.#informers.for<SidecarSet>(outriggerResources.sidecarSets, whole)
  }

  #revisions() {
    return this.#informers.for<ControllerRevision>(resources.controllerRevisions, {
      namespace: this.#namespace,
      labelSelector: sidecarSetLabels.name,
      ...whole,
      indexes: revisionIndexes,
    })
  }

  #virtualNodes() {
    const { nodeTypeLabel, nodeType } = virtualNodeNames
    return this.#informers.for<Node>(resources.nodes, {
      labelSelector: `${nodeTypeLabel}=${nodeType}`,
      ...whole,
    })
  }

  #createServer(): WebhookServer {
    const {
      client,
      clock,
      logger,
      random,
      userName,
      trustedUsers = [],
      sortsContainersByName = false,
    } = this.#options
    this.#sidecarSets().onChange({
      onAdd: (sidecarSet) => this.#index.set(sidecarSet),
      onUpdate: (sidecarSet) => this.#index.set(sidecarSet),
      onDelete: ({ metadata }) => this.#index.delete(metadata.name),
    })
    const history = new RevisionHistory(this.#revisions().store)
    const facts = createPodFacts({
      client,
      clock,
      sidecarSets: this.#index,
      namespaces: this.#namespaces().store,
      virtualNodes: this.#virtualNodes().store,
      sortsContainersByName,
      revisions: history,
      random,
    })
    const pod = {
      facts,
      logger,
      trustedUsers: [userName, ...trustedUsers],
      ...this.#replacements(),
    }
    const handlers: (readonly [readonly string[], AdmissionHandler])[] = [
      [webhookPaths.mutatePod, this.#whenSynced(createPodMutator(pod))],
      [webhookPaths.validatePod, this.#whenSynced(createPodValidator(pod))],
      [webhookPaths.validateRequired, this.#whenSynced(createRequiredValidator({ facts }))],
      [webhookPaths.mutateSidecarSet, mutateSidecarSet],
      [
        webhookPaths.validateSidecarSet,
        this.#whenSynced(
          createSidecarSetValidator(this.#index, { history, whitelist: () => this.#whitelist() }),
        ),
      ],
      [webhookPaths.validateBinding, validateBinding],
    ]
    return createWebhookServer({
      clock,
      logger,
      listen: this.#options.webhook.listen,
      certificate: this.#certificate,
      handlers: Object.fromEntries(
        handlers.flatMap(([paths, handler]) => paths.map((path) => [path, handler])),
      ),
      converters: Object.fromEntries(webhookPaths.convert.map((path) => [path, convertObjects])),
    })
  }

  /** In every replica: whichever is asked knows which pods take the place of others. */
  #replacements() {
    if (!this.#options.replacesOverflowPods) return {}
    const replacements = new ReplacementHints(this.#options.clock)
    followPods(replacements, this.#pods())
    return { replacements }
  }

  /** Asked for when it is needed: SidecarSets that patch annotations are written rarely. */
  async #whitelist(): Promise<MetadataWhitelist> {
    const { name, key } = whitelistConfigMap
    const { client, allowsPatchPodMetadataByDefault: allowsByDefault = false } = this.#options
    try {
      const found = await client.get<ConfigMap>(
        resources.configMaps,
        { namespace: this.#namespace, name },
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
      if (!this.#informers.hasSynced) throw new Error('the caches are not filled yet')
      return handler(request, signal)
    }
  }

  #createRegistration(): WebhookRegistration {
    const { client, clock, logger, webhook } = this.#options
    const registration = createWebhookRegistration({
      client,
      clock,
      logger,
      server: this.#server,
      certificate: this.#certificate,
      declarations: () => webhookDeclarations(this.#namespace, this.#index),
      ...(webhook.external?.annotations && { annotations: webhook.external.annotations }),
      names: webhook.names ?? defaultNames.webhooks,
      target: (port) => this.#target(port),
      serverName: webhook.serverName ?? 'localhost',
      isReady: () => this.#informers.hasSynced,
      definitions: () =>
        this.#options.convertsVersions ? customResourceDefinitions(this.#definitions()) : [],
    })
    const notice = (old: SidecarSet | undefined, next: SidecarSet | undefined) => {
      if (changesRequirements(old, next)) registration.look()
    }
    this.#sidecarSets().onChange({
      onAdd: (sidecarSet) => notice(undefined, sidecarSet),
      onUpdate: (sidecarSet, old) => notice(old, sidecarSet),
      onDelete: (sidecarSet) => notice(sidecarSet, undefined),
    })
    return registration
  }

  #target(port: number): WebhookTarget {
    const { target, service = defaultNames.service } = this.#options.webhook
    if (typeof target === 'function') return target(port)
    return target ?? { service: { namespace: this.#namespace, name: service } }
  }

  #ownCertificates(): CertificateSource & Runnable {
    const { client, clock, logger, webhook } = this.#options
    const { service = defaultNames.service, certificateSecret = defaultNames.certificateSecret } = webhook
    const secret = { namespace: this.#namespace, name: certificateSecret }
    if (webhook.external !== undefined) {
      const read = (signal: AbortSignal) => readExternalCertificates(client, secret, signal)
      return createExternalCertificates({ read, clock, logger })
    }
    return createSharedCertificates({
      store: createSecretCertificateStore(client, secret),
      dnsNames: [`${service}.${this.#namespace}.svc`],
      clock,
      logger,
    })
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
        if (!signal.aborted) this.#becomeReady()
      },
    }
  }
}
