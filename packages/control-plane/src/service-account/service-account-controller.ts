import { type Client, isAlreadyExists, isNotFound } from '@outrigger/client'
import { createController, type Informer, type Outcome, waitForChange } from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import { type ConfigMap, keyOf, type Namespace, resources, type ServiceAccount } from '@outrigger/kube'

import { isNamespaceTerminating } from '../namespace/terminating.ts'

export interface ServiceAccountControllerOptions {
  readonly client: Client
  readonly namespaces: Informer<Namespace>
  readonly serviceAccounts: Informer<ServiceAccount>
  /** Only those called `kube-root-ca.crt` matter. */
  readonly rootCaConfigMaps: Informer<ConfigMap>
  /** The cluster's CA in PEM, published to every namespace as `kube-root-ca.crt`. */
  readonly rootCa: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** The name under which every namespace finds the cluster's CA. */
export const rootCaName = 'kube-root-ca.crt'

/**
 * Gives every namespace its service account `default` and the ConfigMap `kube-root-ca.crt`, again when
 * somebody removes or changes them. Source: kubernetes/pkg/controller/serviceaccount and .../certificates/rootcacertpublisher.
 */
export function createServiceAccountController(options: ServiceAccountControllerOptions): Runnable {
  const { namespaces, serviceAccounts, rootCaConfigMaps, clock, random, logger } = options
  return createController({
    name: 'service-account',
    clock,
    random,
    logger,
    concurrency: 4,
    informers: [namespaces, serviceAccounts, rootCaConfigMaps],
    sources: [
      (enqueue) => {
        const look = (namespace: Namespace) => enqueue(keyOf(namespace))
        const lookAround = (map: ConfigMap) => enqueue(map.metadata.namespace ?? '')
        const stops = [
          namespaces.onChange({ onAdd: look }),
          serviceAccounts.onChange({
            onDelete: (account) => {
              if (account.metadata.name === 'default') enqueue(account.metadata.namespace ?? '')
            },
          }),
          rootCaConfigMaps.onChange({ onUpdate: lookAround, onDelete: lookAround }),
        ]
        return () => {
          for (const stop of stops) stop()
        }
      },
    ],
    reconcile: (key) => reconcileNamespaceDefaults(options, key),
  })
}

async function reconcileNamespaceDefaults(
  options: ServiceAccountControllerOptions,
  name: string,
): Promise<Outcome> {
  const namespace = options.namespaces.store.get(name)
  if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return waitForChange
  if (options.serviceAccounts.store.get(`${name}/default`) === undefined)
    await ensureAccount(options.client, name)
  const published = options.rootCaConfigMaps.store.get(`${name}/${rootCaName}`)
  if (published?.data?.['ca.crt'] !== options.rootCa) await ensureRootCa(options.client, name, options.rootCa)
  return waitForChange
}

async function ensureAccount(client: Client, namespace: string): Promise<void> {
  await client
    .create<ServiceAccount>(resources.serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    })
    .catch(ignoreRace)
}

async function ensureRootCa(client: Client, namespace: string, rootCa: string): Promise<void> {
  const name = rootCaName
  const wanted = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      namespace,
      annotations: {
        'kubernetes.io/description':
          'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
      },
    },
    data: { 'ca.crt': rootCa },
  }
  try {
    await client.create<ConfigMap>(resources.configMaps, wanted)
  } catch (error) {
    if (!isAlreadyExists(error)) return ignoreRace(error)
    const existing = await client.get<ConfigMap>(resources.configMaps, { namespace, name })
    if (existing.data?.['ca.crt'] === rootCa) return
    await client.patch(
      resources.configMaps,
      { namespace, name },
      { type: 'merge', body: { data: wanted.data } },
    )
  }
}

/** The namespace may be on its way out, and somebody may have been quicker. */
function ignoreRace(error: unknown): void {
  if (!isAlreadyExists(error) && !isNotFound(error) && !isNamespaceTerminating(error)) throw error
}
