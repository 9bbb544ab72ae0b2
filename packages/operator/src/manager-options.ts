import type { Client } from '@outrigger/client'
import type { Clock, Logger, Random } from '@outrigger/foundation'
import type { CertificateSource, ConfigurationNames, WebhookTarget } from '@outrigger/webhook'

/** The names OpenKruise gives its parts; ours unless told otherwise. */
export const defaultNames = {
  namespace: 'kruise-system',
  service: 'kruise-webhook-service',
  certificateSecret: 'kruise-webhook-certs',
  lease: 'kruise-manager',
  webhooks: {
    mutating: 'kruise-mutating-webhook-configuration',
    validating: 'kruise-validating-webhook-configuration',
  },
} as const

export interface ManagerOptions {
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** The manager's own namespace, which its webhooks leave alone. Defaults to `kruise-system`. */
  readonly namespace?: string
  /** Tells this process from all others in leader election: host name and a uuid. */
  readonly identity: string
  /**
   * The user name `client` authenticates as. It alone may set the virtual-node label and change
   * injection records, besides `trustedUsers`.
   */
  readonly userName: string
  /** Further users that are Outrigger, for example the manager of the release before. */
  readonly trustedUsers?: readonly string[]
  readonly webhook: ManagerWebhookOptions
  /** Whether replicas agree on a leader. Defaults to true; a single process may do without. */
  readonly leaderElection?: boolean
  /** What replicas agree by. Defaults to the lease `kruise-manager` in the manager's own namespace: where kruise-manager leads, no other does. */
  readonly lease?: ManagerLeaseOptions
  /** SidecarSets whose rollouts are worked on at the same time. Defaults to 3, as OpenKruise's `--sidecarset-workers` does. */
  readonly sidecarSetWorkers?: number
  /** Group of the virtual nodes, which gets the rights of resource bindings. Defaults to `outrigger:virtual-nodes`. */
  readonly virtualNodeGroup?: string
  /** Converts between the versions of SidecarSet by webhook. Defaults to false: one schema for both. */
  readonly convertsVersions?: boolean
  /**
   * Whether SidecarSets may patch annotations of pods that no rule of the ConfigMap `kruise-configuration` is about, as
   * the gate SidecarSetPatchPodMetadataDefaultsAllowed has it. Defaults to false.
   */
  readonly allowsPatchPodMetadataByDefault?: boolean
  /**
   * Whether pods that came to a virtual node without their sidecars, where the API server lets no container be added, are
   * deleted for their owners to make new ones. Needs the right to delete pods. Defaults to false: they wait.
   */
  readonly replacesOverflowPods?: boolean
  /**
   * Whether pods that were created while no webhook answered are evicted where their SidecarSet says
   * `outrigger.dev/missed-pods: evict`. Needs the right to evict pods. Defaults to false: an event tells of them.
   */
  readonly evictsMissedPods?: boolean
  /**
   * Whether pods are evicted, for their owners to make new ones, where their SidecarSet says `Recreate` for a class of changes.
   * Needs the right to evict pods. Defaults to false: they wait until somebody makes them anew.
   */
  readonly recreatesPods?: boolean
  /** Sorts injected containers by name, as the gate EnableSortSidecarContainerByName does. Defaults to false. */
  readonly sortsContainersByName?: boolean
}

/** Which lease the leader holds, and how long it lasts. All times in milliseconds. */
export interface ManagerLeaseOptions {
  /** Defaults to the manager's namespace. The manager has rights on leases there alone. */
  readonly namespace?: string
  /** Defaults to `kruise-manager`. */
  readonly name?: string
  /** How long others wait after the last renewal they saw before they take over. Defaults to 15,000. */
  readonly duration?: number
  /** How long the leader tries to renew before it gives up; less than `duration`. Defaults to 10,000. */
  readonly renewDeadline?: number
  /** Pause between attempts; less than `renewDeadline` divided by 1.2. Defaults to 2,000. */
  readonly retryPeriod?: number
}

export interface ManagerWebhookOptions {
  /** Port 0: any free one. */
  readonly listen: { readonly host?: string; readonly port: number }
  /**
   * How the API server reaches us. A function is told the port that was taken. Defaults to the
   * Service in the manager's namespace.
   */
  readonly target?: WebhookTarget | ((port: number) => WebhookTarget)
  /** The Service in front of the manager's webhooks. Defaults to `kruise-webhook-service`. */
  readonly service?: string
  /** The Secret that holds their certificates. Defaults to `kruise-webhook-certs`. */
  readonly certificateSecret?: string
  /** What to show. Left out: made by the manager and shared by its replicas in a Secret. */
  readonly certificate?: CertificateSource
  /**
   * Somebody else keeps the Secret `kruise-webhook-certs` (`tls.crt`, `tls.key`, `ca.crt`) and writes the caBundles, as
   * cert-manager and its injector do; the manager writes neither. `annotations` go onto both webhook configurations, for
   * the injector to find them. The gate EnableExternalCerts of kruise-manager.
   */
  readonly external?: { readonly annotations?: Readonly<Record<string, string>> }
  /** A name in a certificate that is handed in. Defaults to `localhost`. */
  readonly serverName?: string
  readonly names?: ConfigurationNames
}
