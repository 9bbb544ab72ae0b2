import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { SystemClock, SystemRandom } from '@outrigger/foundation'
import type { Command } from 'commander'
import { type ConnectionSettings, connect, ownUserName } from '../connection.ts'
import { createLogger } from '../create-logger.ts'
import { type Environment, stopSignal } from '../environment.ts'
import { createManagerPart, type ManagerPartOptions } from '../parts/manager.ts'
import { type LogSettings, parseChoice, parseNumber } from '../settings.ts'
import { Stages } from '../stages.ts'

interface ManagerSettings extends LogSettings, ConnectionSettings {
  readonly webhookPort: number
  readonly webhookHost?: string
  readonly webhookUrl?: string
  readonly leaderElect: boolean
}

export function addManagerCommand(program: Command, environment: Environment): void {
  program
    .command('manager')
    .description('run the admission webhooks and controllers against any Kubernetes from 1.22 on')
    .option(
      '--kubeconfig <file>',
      'cluster to work for (default: $KUBECONFIG, the pod it runs in, ~/.kube/config)',
    )
    .option('--context <name>', 'context of the kubeconfig')
    .option(
      '--webhook-port <port>',
      'port of the webhooks; 0 takes any free one',
      parseNumber('--webhook-port', 0, 65_535),
      9876,
    )
    .option(
      '--webhook-host <address>',
      'outside of a cluster: address the webhooks listen on (default: 127.0.0.1)',
    )
    .option(
      '--webhook-url <url>',
      'outside of a cluster: where the API server reaches the webhooks (default: https://HOST:PORT)',
    )
    .option('--no-leader-elect', 'work without electing a leader; only for a single replica')
    .option(
      '--logging-format <format>',
      'text or json',
      parseChoice('--logging-format', ['text', 'json']),
      'text',
    )
    .option(
      '-v, --verbosity <level>',
      'how much to log; 4 and more says why nothing happened',
      parseNumber('-v', 0, 10),
      0,
    )
    .action((settings: ManagerSettings) => runManager(settings, environment, stopSignal()))
}

async function runManager(
  settings: ManagerSettings,
  environment: Environment,
  signal: AbortSignal,
): Promise<void> {
  const clock = new SystemClock()
  const random = new SystemRandom()
  const logger = createLogger({
    clock,
    processId: environment.processId,
    format: settings.loggingFormat,
    verbosity: settings.verbosity,
    write: environment.writeError,
  })
  const client = connect(settings, environment, { clock, logger, userAgent: 'outrigger/manager' })
  const stages = new Stages()
  try {
    const isInPod =
      environment.variables['KUBERNETES_SERVICE_HOST'] !== undefined && settings.kubeconfig === undefined
    const manager = createManagerPart({
      client,
      userName: await ownUserName(client, signal),
      identity: `${environment.hostName}_${random.uuid()}`,
      leaderElection: settings.leaderElect,
      clock,
      random,
      logger,
      port: settings.webhookPort,
      ...(!isInPod && { url: await developmentUrl(settings, environment, clock.now()) }),
    })
    await stages.start(manager, manager.ready)
    environment.writeOut('The manager is ready.\n')
    await Promise.race([
      stages.failure,
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    ])
  } finally {
    await stages.stop()
    await client.close()
  }
}

/** Outside of a cluster there is no Service: the webhooks get a URL, and a certificate for this run. */
async function developmentUrl(
  settings: ManagerSettings,
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
    port: settings.webhookPort,
    serving,
    authority: authority.certificate,
    serverName: 'localhost',
    ...(settings.webhookUrl !== undefined && { advertised: settings.webhookUrl }),
  }
}
