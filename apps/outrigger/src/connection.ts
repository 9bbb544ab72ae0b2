import {
  type ClusterClient,
  type ConnectionConfig,
  createClient,
  inClusterConfig,
  isInCluster,
  loadKubeconfig,
} from '@outrigger/client'
import type { Clock, Logger } from '@outrigger/foundation'
import type { Command } from 'commander'
import type { Environment } from './environment.ts'

export interface ConnectionSettings {
  readonly kubeconfig?: string
  readonly context?: string
}

/** The flags of every command that speaks to a cluster. */
export function withConnectionFlags(command: Command): Command {
  return command
    .option(
      '--kubeconfig <file>',
      'cluster to work for (default: $KUBECONFIG, the pod it runs in, ~/.kube/config)',
    )
    .option('--context <name>', 'context of the kubeconfig')
}

/** The cluster a command is about: a kubeconfig that was named, else the pod's own, else kubectl's. @throws UserError */
export function findConnection(settings: ConnectionSettings, environment: Environment): ConnectionConfig {
  const variables = environment.variables
  if (
    settings.kubeconfig === undefined &&
    variables['KUBECONFIG'] === undefined &&
    isInCluster({ environment: variables })
  ) {
    return inClusterConfig({ environment: variables })
  }
  return loadKubeconfig({
    environment: variables,
    ...(settings.kubeconfig !== undefined && { path: settings.kubeconfig }),
    ...(settings.context !== undefined && { context: settings.context }),
  })
}

export function connect(
  settings: ConnectionSettings,
  environment: Environment,
  options: { readonly clock: Clock; readonly logger: Logger; readonly userAgent: string },
): ClusterClient {
  return createClient({ config: findConnection(settings, environment), ...options })
}
