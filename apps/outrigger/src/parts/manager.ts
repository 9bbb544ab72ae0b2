import type { KeyPair } from '@outrigger/certificates'
import type { Client } from '@outrigger/client'
import { type Clock, type Logger, type Random, UserError } from '@outrigger/foundation'
import { createManager, type Manager, type ManagerLeaseOptions } from '@outrigger/operator'
import { fixedCertificate } from '@outrigger/webhook'

export interface ManagerPartOptions {
  readonly client: Client
  /** The user `client` authenticates as. */
  readonly userName: string
  /** Tells this process from others in leader election. */
  readonly identity: string
  readonly leaderElection: boolean
  /** What replicas agree by; left out, the manager's own. */
  readonly lease?: ManagerLeaseOptions
  /** Webhooks reached by a URL; left out, by the Service in front of the manager's pods. */
  readonly url?: {
    /** Address to listen on. */
    readonly host: string
    /** 0 takes any free one. */
    readonly port: number
    readonly serving: KeyPair
    /** PEM of the authority that signed `serving`. */
    readonly authority: string
    /** Where the API server finds us; left out, `https://<host>:<port>`. */
    readonly advertised?: string
    /** A name in the serving certificate. */
    readonly serverName: string
  }
  /** Behind the Service: somebody else keeps the certificates, with these annotations on the webhook configurations. */
  readonly external?: { readonly annotations: Readonly<Record<string, string>> }
  /** The Service in front of the webhooks. Defaults to `kruise-webhook-service`. */
  readonly service?: string
  /** The Secret of their certificates. Defaults to `kruise-webhook-certs`. */
  readonly certificateSecret?: string
  /** Port of the webhooks behind the Service. */
  readonly port?: number
  /** The manager's own namespace. Defaults to `kruise-system`. */
  readonly namespace?: string
  /** Defaults to false. */
  readonly sortsContainersByName?: boolean
  /** Defaults to false. */
  readonly replacesOverflowPods?: boolean
  /** Defaults to false. */
  readonly evictsMissedPods?: boolean
  /** Defaults to false. */
  readonly recreatesPods?: boolean
  /** Defaults to 3. */
  readonly sidecarSetWorkers?: number
  /** Defaults to false. */
  readonly allowsPatchPodMetadataByDefault?: boolean
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** The manager: webhooks and controllers of the product. @throws UserError when its lease's times contradict. */
export function createManagerPart(options: ManagerPartOptions): Manager {
  try {
    return createPart(options)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new UserError(`the lease cannot be kept: ${error.message}`, 'look at the --leader-elect- flags', {
      cause: error,
    })
  }
}

function createPart(options: ManagerPartOptions): Manager {
  const { url, port, external, service, certificateSecret, ...manager } = options
  return createManager({
    ...manager,
    webhook:
      url === undefined
        ? {
            listen: { port: port ?? 9876 },
            ...(service !== undefined && { service }),
            ...(certificateSecret !== undefined && { certificateSecret }),
            ...(external && { external }),
          }
        : {
            listen: { host: url.host, port: url.port },
            target: (taken) => ({
              url:
                url.advertised ?? `https://${url.host.includes(':') ? `[${url.host}]` : url.host}:${taken}`,
            }),
            certificate: fixedCertificate(url.serving, url.authority),
            serverName: url.serverName,
          },
  })
}
