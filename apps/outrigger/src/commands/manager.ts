import { setFlagsFromString } from 'node:v8'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import type { Client } from '@outrigger/client'
import { aborted, messageOf, type Runnable } from '@outrigger/foundation'
import { defaultNames, type Manager, type ManagerStatistics } from '@outrigger/operator'
import type { Command } from 'commander'
import { type ConnectionSettings, connect, findConnection, withConnectionFlags } from '../connection.ts'
import type { Environment } from '../environment.ts'
import { acceptKruiseFlags, ignoredFlags, type ManagerGates, readManagerGates } from '../kruise-flags.ts'
import { type LeaderSettings, readLeaderSettings, withLeaderFlags } from '../leader-flags.ts'
import { healthPage } from '../ops/health-pages.ts'
import { type ListenAddress, parseListenAddress } from '../ops/listen-address.ts'
import { createManagerMetrics } from '../ops/manager-metrics.ts'
import { type ClientTraffic, observeClient } from '../ops/observed-client.ts'
import { createOpsServer, type OpsAnswer } from '../ops/ops-server.ts'
import { findOwnUser } from '../own-user.ts'
import { ensureManagerGround } from '../parts/ensure-rights.ts'
import { createManagerPart, type ManagerPartOptions } from '../parts/manager.ts'
import { collect, type LogSettings, parseFeatureGates, parseNumber, parsePair } from '../settings.ts'
import { type Service, serve, withLogFlags } from './serve.ts'

interface ManagerSettings extends LogSettings, ConnectionSettings, LeaderSettings {
  readonly webhookPort?: number
  readonly webhookHost?: string
  readonly webhookUrl?: string
  readonly metricsAddr: ListenAddress | 'auto' | 'off'
  readonly healthProbeAddr: ListenAddress | 'auto' | 'off'
  readonly shutdownDelay?: number
  readonly replaceOverflowPods: boolean
  readonly evictMissedPods: boolean
  readonly recreatePods: boolean
  readonly sidecarsetWorkers?: number
  readonly webhookAnnotation: readonly (readonly [string, string])[]
  readonly featureGates: Readonly<Record<string, boolean>>
  readonly v?: number
}

export function addManagerCommand(program: Command, environment: Environment): void {
  const command = withConnectionFlags(program.command('manager'))
    .description('run the admission webhooks and controllers against any Kubernetes from 1.22 on')
    .option(
      '--webhook-port <port>',
      'port of the webhooks; 0 takes any free one (default: $WEBHOOK_PORT, 9876)',
      parseNumber('--webhook-port', 0, 65_535),
    )
    .option(
      '--webhook-host <address>',
      'outside of a cluster: address the webhooks listen on (default: 127.0.0.1)',
    )
    .option(
      '--webhook-url <url>',
      'outside of a cluster: where the API server reaches them (default: https://HOST:PORT)',
    )
    .option(
      '--feature-gates <gates>',
      'gates of kruise-manager, for example A=true,B=false',
      parseFeatureGates,
      {},
    )
    .option(
      '--webhook-annotation <key=value>',
      'with the gate EnableExternalCerts: annotation of the webhook configurations, for who writes their caBundle; repeatable',
      collect(parsePair('--webhook-annotation')),
      [],
    )
    .option(
      '--sidecarset-workers <number>',
      'SidecarSets that are worked on at the same time (default: 3)',
      parseNumber('--sidecarset-workers', 1, 100),
    )
    .option(
      '--replace-overflow-pods',
      'delete pods that came to a virtual node without their sidecars, where the API server lets no container be added, for their owners to make new ones',
      false,
    )
    .option(
      '--evict-missed-pods',
      'evict pods that were created while no webhook answered, where their SidecarSet says outrigger.dev/missed-pods: evict, and older ones where it says evict-all',
      false,
    )
    .option(
      '--recreate-pods',
      'evict pods within the budget, for their owners to make new ones, where their SidecarSet says Recreate for the class of a change (outrigger.dev/on-other-change and others)',
      false,
    )
    .option(
      '--shutdown-delay <seconds>',
      'how long webhooks still answer after readiness is off (default: 5 in a cluster, else 0)',
      parseNumber('--shutdown-delay', 0, 60),
    )
  withLeaderFlags(command)
  addAddressFlags(command)
  acceptKruiseFlags(withLogFlags(command)).action((settings: ManagerSettings) => {
    const given = { ...settings, verbosity: settings.v ?? settings.verbosity }
    const gates = readManagerGates(given.featureGates)
    // V8 lets garbage grow to thrice what is alive; a manager's limit is better spent on pods.
    setFlagsFromString('--heap-growing-percent=30')
    return serve(given, environment, (service) => {
      const ignored = [...ignoredFlags(command), ...gates.ignored]
      if (ignored.length > 0)
        service.logger.warn('settings of kruise-manager that decide nothing here', {
          ignored: ignored.join(' '),
        })
      return beginManager(given, gates, environment, service)
    })
  })
}

function addAddressFlags(command: Command): void {
  const metrics: (text: string) => ListenAddress | 'auto' | 'off' = parseListenAddress('--metrics-addr')
  const health: (text: string) => ListenAddress | 'auto' | 'off' = parseListenAddress('--health-probe-addr')
  command
    .option(
      '--metrics-addr <address>',
      'where /metrics is served; 0 for nowhere (default: :8080 in a cluster, else nowhere)',
      metrics,
      'auto',
    )
    .option(
      '--health-probe-addr <address>',
      'where /healthz and /readyz are served; 0 for nowhere (default: :8000 in a cluster, else nowhere)',
      health,
      'auto',
    )
    .option('--v <level>', 'the same as -v', parseNumber('--v', 0, 10))
}

async function beginManager(
  settings: ManagerSettings,
  { gates }: ManagerGates,
  environment: Environment,
  service: Service,
): Promise<void> {
  const { clock, random, logger, signal } = service
  const variables = environment.variables
  const base = connect(settings, environment, { clock, logger, userAgent: 'outrigger/manager' })
  const { client, traffic } = observeClient(base)
  service.atEnd(() => client.close())
  const isInPod = variables['KUBERNETES_SERVICE_HOST'] !== undefined && settings.kubeconfig === undefined
  const { server, credentials } = findConnection(settings, environment)
  let manager: Manager | undefined
  let isStopping = false
  const isReady = () => !isStopping && manager?.isReady === true
  const addresses = {
    metrics: addressOf(settings.metricsAddr, isInPod ? { port: 8080 } : undefined),
    health: addressOf(settings.healthProbeAddr, isInPod ? { port: 8000 } : undefined),
  }
  await startOps(addresses, service, {
    traffic,
    host: new URL(server).host,
    isReady,
    isStopping: () => isStopping,
    statistics: () => manager?.statistics,
  })
  const port = settings.webhookPort ?? Number(variables['WEBHOOK_PORT'] || 9876)
  const namespace = variables['POD_NAMESPACE'] || defaultNames.namespace
  const part = createManagerPart({
    client,
    userName: await findOwnUser(client, { ...(credentials && { credentials }), isInPod, signal }),
    identity: `${environment.hostName}_${random.uuid()}`,
    ...readLeaderSettings(settings),
    namespace,
    replacesOverflowPods: settings.replaceOverflowPods,
    evictsMissedPods: settings.evictMissedPods,
    recreatesPods: settings.recreatePods,
    ...(settings.sidecarsetWorkers !== undefined && { sidecarSetWorkers: settings.sidecarsetWorkers }),
    sortsContainersByName: gates.EnableSortSidecarContainerByName,
    allowsPatchPodMetadataByDefault: gates.SidecarSetPatchPodMetadataDefaultsAllowed,
    clock,
    random,
    logger,
    port,
    ...(variables['SERVICE_NAME'] && { service: variables['SERVICE_NAME'] }),
    ...(variables['SECRET_NAME'] && { certificateSecret: variables['SECRET_NAME'] }),
    ...(gates.EnableExternalCerts && {
      external: { annotations: Object.fromEntries(settings.webhookAnnotation) },
    }),
    ...(!isInPod && { url: await developmentUrl(settings, port, environment, clock.now()) }),
  })
  manager = part
  if (!isInPod) await prepareGround(client, namespace, service)
  await service.start(part, part.ready)
  await service.start(
    lameDuck(() => {
      isStopping = true
      return clock.sleep((settings.shutdownDelay ?? (isInPod ? 5 : 0)) * 1_000)
    }),
  )
  environment.writeOut('The manager is ready.\n')
}

/** A manager that may not write these gets along if somebody else did. */
async function prepareGround(client: Client, namespace: string, { logger, signal }: Service): Promise<void> {
  await ensureManagerGround(client, namespace, signal).catch((error: unknown) =>
    logger.warn('namespace and rights of virtual nodes could not be made sure of', {
      error: messageOf(error),
    }),
  )
}

/**
 * The part that is stopped first: it takes readiness away and lets the webhooks answer until the API server has
 * heard of it, so that no review meets a closed door.
 */
function lameDuck(leave: () => Promise<void>): Runnable {
  return {
    name: 'readiness',
    run: async (signal) => {
      await aborted(signal)
      await leave()
    },
  }
}

interface OpsAddresses {
  readonly metrics: ListenAddress | undefined
  readonly health: ListenAddress | undefined
}

/** On a laptop nobody scrapes, and a second manager there must not fail for a port that nobody asked for. */
function addressOf(
  given: ListenAddress | 'auto' | 'off',
  usual: ListenAddress | undefined,
): ListenAddress | undefined {
  if (given === 'off') return undefined
  return given === 'auto' ? usual : given
}

interface OpsFacts {
  readonly traffic: ClientTraffic
  readonly host: string
  readonly isReady: () => boolean
  readonly isStopping: () => boolean
  readonly statistics: () => ManagerStatistics | undefined
}

/** Probes and metrics answer from the beginning to the very end; addresses that are the same share one server. */
async function startOps(
  { metrics: metricsAddr, health: healthProbeAddr }: OpsAddresses,
  service: Service,
  facts: OpsFacts,
): Promise<void> {
  const health: Record<string, () => OpsAnswer> = {
    '/healthz': healthPage('healthz', []),
    '/readyz': healthPage('readyz', [
      { name: 'not-stopping', passes: () => !facts.isStopping() },
      { name: 'caches-and-webhooks', passes: facts.isReady },
    ]),
  }
  const metrics = metricsAddr && {
    '/metrics': await createManagerMetrics({ ...facts, version: '0.1.0' }),
  }
  const isShared =
    metricsAddr !== undefined &&
    metricsAddr.port !== 0 &&
    metricsAddr.port === healthProbeAddr?.port &&
    metricsAddr.host === healthProbeAddr.host
  const servers = [
    { name: 'probe server', listen: healthProbeAddr, pages: isShared ? { ...health, ...metrics } : health },
    { name: 'metrics server', listen: isShared ? undefined : metricsAddr, pages: { ...metrics } },
  ]
  for (const { name, listen, pages } of servers) {
    if (listen === undefined) continue
    const server = createOpsServer({ name, listen, pages, logger: service.logger })
    await service.start(server, server.ready)
  }
}

/** Outside of a cluster there is no Service: the webhooks get a URL, and a certificate for this run. */
async function developmentUrl(
  settings: ManagerSettings,
  port: number,
  environment: Environment,
  now: number,
): Promise<NonNullable<ManagerPartOptions['url']>> {
  const host = settings.webhookHost ?? '127.0.0.1'
  const names = [host, ...(settings.webhookUrl === undefined ? [] : [new URL(settings.webhookUrl).hostname])]
  const isAddress = (name: string) => /^[\d.]+$/.test(name) || name.includes(':')
  const authority = await createAuthority({ commonName: 'outrigger-webhook-ca', now })
  const serving = await issueCertificate(authority, {
    commonName: 'outrigger-webhook',
    dnsNames: ['localhost', environment.hostName, ...names.filter((name) => !isAddress(name))],
    ipAddresses: names.filter(isAddress),
    usages: ['server'],
    now,
  })
  return {
    host,
    port,
    serving,
    authority: authority.certificate,
    serverName: 'localhost',
    ...(settings.webhookUrl !== undefined && { advertised: settings.webhookUrl }),
  }
}
