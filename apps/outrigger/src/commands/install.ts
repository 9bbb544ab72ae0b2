import { SystemClock, UserError } from '@outrigger/foundation'
import { formatYaml } from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'
import type { Command } from 'commander'
import { type ConnectionSettings, connect, withConnectionFlags } from '../connection.ts'
import { createLogger } from '../create-logger.ts'
import { type Environment, stopSignal } from '../environment.ts'
import { applyInstallation } from '../installation/apply-installation.ts'
import { installation } from '../installation/manager-workload.ts'
import { removeInstallation } from '../installation/remove-installation.ts'
import { remainingKruise } from '../installation/service-switch.ts'
import { parseChoice, parseNumber } from '../settings.ts'

interface InstallSettings extends ConnectionSettings {
  readonly namespace: string
  readonly image: string
  readonly replicas: number
  readonly replaceOverflowPods: boolean
  readonly evictMissedPods: boolean
  readonly recreatePods: boolean
  readonly output: 'yaml' | 'json'
  readonly apply: boolean
}

interface UninstallSettings extends ConnectionSettings {
  readonly namespace: string
  readonly yes: boolean
  readonly crds: boolean
}

const image = 'outrigger:0.1.0'

/** `install` and `uninstall`. */
export function addInstallCommand(program: Command, environment: Environment): void {
  withConnectionFlags(program.command('install'))
    .description(
      'print what a cluster needs for the manager, or apply it: definitions, rights, service, deployment',
    )
    .option('--namespace <name>', 'namespace of the manager', defaultNames.namespace)
    .option('--image <reference>', 'image of the manager', image)
    .option('--replicas <number>', 'replicas of the manager', parseNumber('--replicas', 1, 100), 2)
    .option(
      '--replace-overflow-pods',
      'replace pods that came to a virtual node without their sidecars; gives the manager the right to delete pods',
      false,
    )
    .option(
      '--evict-missed-pods',
      'evict pods that were created while no webhook answered, where their SidecarSet asks for it; gives the manager the right to evict pods',
      false,
    )
    .option(
      '--recreate-pods',
      'evict pods within the budget for changes that no running pod can be given, where their SidecarSet asks for it; gives the manager the right to evict pods',
      false,
    )
    .option('-o, --output <format>', 'yaml or json', parseChoice('-o', ['yaml', 'json']), 'yaml')
    .option('--apply', 'apply it to the cluster instead of printing it', false)
    .action((settings: InstallSettings) => install(settings, environment))
  withConnectionFlags(program.command('uninstall'))
    .description('remove what install applied, webhooks first; sidecars in running pods stay')
    .option('--namespace <name>', 'namespace of the manager', defaultNames.namespace)
    .option('--crds', 'also the definitions with all SidecarSets, and the namespace', false)
    .option('--yes', 'do it', false)
    .action((settings: UninstallSettings) => uninstall(settings, environment))
}

async function install(settings: InstallSettings, environment: Environment): Promise<void> {
  const objects = installation({
    ...settings,
    replacesOverflowPods: settings.replaceOverflowPods,
    evictsMissedPods: settings.evictMissedPods,
    recreatesPods: settings.recreatePods,
  })
  if (!settings.apply) {
    const text =
      settings.output === 'json'
        ? `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, undefined, 2)}\n`
        : objects.map((object) => formatYaml(object)).join('---\n')
    return environment.writeOut(text)
  }
  await withCluster(settings, environment, async (cluster) => {
    await applyInstallation(objects, cluster)
    const left = await remainingKruise(settings.namespace, cluster)
    if (left !== undefined) environment.writeError(`${left}\n`)
  })
}

async function uninstall(settings: UninstallSettings, environment: Environment): Promise<void> {
  if (!settings.yes) {
    throw new UserError(
      `uninstall removes the manager from namespace ${settings.namespace}${settings.crds ? ', and every SidecarSet' : ''}`,
      'give --yes to do it',
    )
  }
  const { namespace, crds } = settings
  const objects = installation({ namespace, image, replicas: 1 })
  await withCluster(settings, environment, (cluster) =>
    removeInstallation(objects, { ...cluster, namespace, includesDefinitions: crds }),
  )
}

async function withCluster(
  settings: ConnectionSettings,
  environment: Environment,
  work: (cluster: {
    readonly client: ReturnType<typeof connect>
    readonly clock: SystemClock
    readonly report: (line: string) => void
    readonly signal: AbortSignal
  }) => Promise<void>,
): Promise<void> {
  const clock = new SystemClock()
  const logger = createLogger({
    clock,
    processId: environment.processId,
    format: 'text',
    verbosity: 0,
    write: environment.writeError,
  })
  const client = connect(settings, environment, { clock, logger, userAgent: 'outrigger/install' })
  const report = (line: string) => environment.writeOut(`${line}\n`)
  try {
    await work({ client, clock, report, signal: stopSignal() })
  } finally {
    await client.close()
  }
}
