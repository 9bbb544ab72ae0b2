import { createAuthority, issueCertificate } from '@outrigger/certificates'
import type { Command } from 'commander'
import { type ConnectionSettings, connect, ownUserName, withConnectionFlags } from '../connection.ts'
import type { Environment } from '../environment.ts'
import { createManagerPart, type ManagerPartOptions } from '../parts/manager.ts'
import { type LogSettings, parseNumber } from '../settings.ts'
import { type Service, serve, withLogFlags } from './serve.ts'

interface ManagerSettings extends LogSettings, ConnectionSettings {
  readonly webhookPort: number
  readonly webhookHost?: string
  readonly webhookUrl?: string
  readonly leaderElect: boolean
}

export function addManagerCommand(program: Command, environment: Environment): void {
  const command = withConnectionFlags(program.command('manager'))
    .description('run the admission webhooks and controllers against any Kubernetes from 1.22 on')
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
      'outside of a cluster: where the API server reaches them (default: https://HOST:PORT)',
    )
    .option('--no-leader-elect', 'work without electing a leader; only for a single replica')
  withLogFlags(command).action((settings: ManagerSettings) =>
    serve(settings, environment, (service) => beginManager(settings, environment, service)),
  )
}

async function beginManager(
  settings: ManagerSettings,
  environment: Environment,
  service: Service,
): Promise<void> {
  const { clock, random, logger, signal } = service
  const client = connect(settings, environment, { clock, logger, userAgent: 'outrigger/manager' })
  service.atEnd(() => client.close())
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
  await service.start(manager, manager.ready)
  environment.writeOut('The manager is ready.\n')
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
