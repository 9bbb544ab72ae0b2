import { type Client, isNotFound } from '@outrigger/client'
import { type Clock, UserError } from '@outrigger/foundation'
import {
  type KubeObject,
  type MutatingWebhookConfiguration,
  type ObjectKey,
  type Pod,
  type ResourceRef,
  resources,
  type ValidatingWebhookConfiguration,
} from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'
import { resourceOfObject } from './apply-installation.ts'
import { takePodsIn } from './take-pods-in.ts'

export interface RemoveOptions {
  readonly client: Pick<Client, 'delete' | 'get' | 'list' | 'patch'>
  readonly clock: Clock
  readonly namespace: string
  /** Also the definitions, with every SidecarSet, and the namespace, with the history of SidecarSets. */
  readonly includesDefinitions: boolean
  readonly report: (line: string) => void
  readonly signal: AbortSignal
  /** Milliseconds to wait for the manager's pods to end. Defaults to 60,000. */
  readonly endWithin?: number
}

/**
 * Takes an installation away. The webhook configurations go first, so that nothing waits for a manager that is not
 * there any more; and once more after the manager, which would have put them back. Sidecars in running pods stay, and pods that
 * were out of service for a restart come back. Repeatable.
 */
export async function removeInstallation(
  objects: readonly KubeObject[],
  options: RemoveOptions,
): Promise<void> {
  await refuseOthers(options)
  await removeWebhooks(options)
  const workload = objects.filter(({ kind }) => kind === 'Deployment')
  for (const object of workload) await removeObject(object, options)
  await untilPodsEnd(workload, options)
  await removeWebhooks(options)
  await takePodsIn(options)
  for (const object of [...objects].reverse()) {
    if (workload.includes(object)) continue
    const isKept = object.kind === 'CustomResourceDefinition' || object.kind === 'Namespace'
    if (isKept && !options.includesDefinitions) continue
    await removeObject(object, options)
  }
  const own = (name: string) => ({ namespace: options.namespace, name })
  if (options.includesDefinitions) return
  await remove(resources.secrets, own(defaultNames.certificateSecret), options)
  await remove(resources.leases, own(defaultNames.lease), options)
}

type Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration

/** The names are the cluster's, and the same for every manager: what another one registered is not ours to take away. */
async function refuseOthers({ client, namespace, signal }: RemoveOptions): Promise<void> {
  const { mutating, validating } = defaultNames.webhooks
  for (const [resource, name] of [
    [resources.mutatingWebhookConfigurations, mutating],
    [resources.validatingWebhookConfigurations, validating],
  ] as const) {
    const found = await client
      .get<Configuration>(resource, { namespace: '', name }, { signal })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined
        throw error
      })
    const others = found?.webhooks?.flatMap(({ clientConfig }) => clientConfig.service?.namespace ?? [])
    const other = others?.find((place) => place !== namespace)
    if (other !== undefined)
      throw new UserError(
        `the webhooks of ${name} lead to a manager in namespace ${other}, not ${namespace}; nothing was removed`,
        `outrigger uninstall --namespace ${other} removes that one`,
      )
  }
}

async function removeWebhooks(options: RemoveOptions): Promise<void> {
  const { mutating, validating } = defaultNames.webhooks
  await remove(resources.mutatingWebhookConfigurations, { namespace: '', name: mutating }, options)
  await remove(resources.validatingWebhookConfigurations, { namespace: '', name: validating }, options)
}

function removeObject(object: KubeObject, options: RemoveOptions): Promise<void> {
  const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
  return remove(resourceOfObject(object), key, options)
}

async function remove(resource: ResourceRef, key: ObjectKey, options: RemoveOptions): Promise<void> {
  try {
    await options.client.delete(resource, key, { propagationPolicy: 'Background', signal: options.signal })
  } catch (error) {
    if (isNotFound(error)) return
    throw error
  }
  const group = resource.group === '' ? '' : `.${resource.group}`
  options.report(`${resource.kind.toLowerCase()}${group}/${key.name} deleted`)
}

/** A manager that is still there when the time is up is said to be so; the rest is removed all the same. */
async function untilPodsEnd(workload: readonly KubeObject[], options: RemoveOptions): Promise<void> {
  const { client, clock, namespace, signal, endWithin = 60_000 } = options
  const labels = Object.entries(workload[0]?.metadata.labels ?? {})
  if (labels.length === 0) return
  const labelSelector = labels.map(([key, value]) => `${key}=${value}`).join(',')
  const deadline = clock.monotonic() + endWithin
  for (;;) {
    const { items } = await client.list<Pod>(resources.pods, { namespace, labelSelector, signal })
    if (items.length === 0) return
    if (clock.monotonic() >= deadline) {
      options.report(`still running: ${items.map(({ metadata }) => metadata.name).join(', ')}`)
      return
    }
    await clock.sleep(500, signal)
  }
}
