import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import type { ConnectionConfig } from './connection-config.ts'
import { environmentProxy } from './proxy-setting.ts'

export interface InClusterOptions {
  /**
   * Kubernetes sets `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` in every container. `HTTPS_PROXY`
   * and `NO_PROXY` count as for every other program in the pod.
   */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Defaults to `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly folder?: string
}

/** Whether this looks like the inside of a pod. */
export function isInCluster(options: Pick<InClusterOptions, 'environment'>): boolean {
  return !!options.environment['KUBERNETES_SERVICE_HOST'] && !!options.environment['KUBERNETES_SERVICE_PORT']
}

/**
 * The connection of a pod as its service account. Token and authority are read again as the kubelet
 * renews them.
 *
 * @throws UserError outside of a pod, or in one without a mounted service account.
 */
export function inClusterConfig(options: InClusterOptions): ConnectionConfig {
  const host = options.environment['KUBERNETES_SERVICE_HOST']
  const port = options.environment['KUBERNETES_SERVICE_PORT']
  if (!host || !port)
    throw new UserError('this is not the inside of a pod', 'use a kubeconfig, or run in a cluster')
  const folder = options.folder ?? '/var/run/secrets/kubernetes.io/serviceaccount'
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  const proxy = environmentProxy(server, options.environment)
  try {
    const namespace = readFileSync(join(folder, 'namespace'), 'utf8').trim()
    return {
      server,
      certificateAuthority: readFileSync(join(folder, 'ca.crt'), 'utf8'),
      certificateAuthorityFile: join(folder, 'ca.crt'),
      ...(proxy && { proxy }),
      ...(namespace !== '' && { namespace }),
      credentials: { tokenFile: join(folder, 'token') },
    }
  } catch (error) {
    throw new UserError(
      `the service account cannot be read: ${messageOf(error)}`,
      'set automountServiceAccountToken: true on the pod',
      { cause: error },
    )
  }
}
