import { type Client, isNotFound } from '@outrigger/client'
import { type Clock, UserError } from '@outrigger/foundation'
import {
  type Deployment,
  deepEqual,
  type EndpointSlice,
  type KubeObject,
  resources,
  type Service,
} from '@outrigger/kube'

export interface ServiceSwitchOptions {
  readonly client: Pick<Client, 'get' | 'list'>
  readonly clock: Clock
  readonly report: (line: string) => void
  readonly signal: AbortSignal
  /** Milliseconds until the manager's first replica has to be available. Defaults to 300,000. */
  readonly availableWithin?: number
}

const pause = 1_000

/**
 * Whether the Service leads to somebody else's pods now, and one of them answers: reviews would go unanswered from the moment
 * it leads to pods of a manager that has only just been asked for.
 */
export async function servesOthers(
  wanted: Service,
  { client, signal }: Pick<ServiceSwitchOptions, 'client' | 'signal'>,
): Promise<boolean> {
  const { namespace = '', name } = wanted.metadata
  const present = await client.get<Service>(resources.services, { namespace, name }, { signal }).catch(absent)
  if (present === undefined || deepEqual(present.spec?.selector, wanted.spec?.selector)) return false
  const { items } = await client.list<EndpointSlice>(resources.endpointSlices, {
    namespace,
    labelSelector: `kubernetes.io/service-name=${name}`,
    signal,
  })
  return items.some(({ endpoints }) => endpoints?.some(({ conditions }) => conditions?.ready !== false))
}

/**
 * Waits until a replica of the manager is available. @throws UserError when none is in time; the Service then still leads where
 * it led.
 */
export async function untilAvailable(
  { metadata }: KubeObject,
  service: Service,
  options: ServiceSwitchOptions,
): Promise<void> {
  const { client, clock, report, signal, availableWithin = 300_000 } = options
  const { namespace = '', name } = metadata
  const deadline = clock.monotonic() + availableWithin
  const title = `service/${service.metadata.name}`
  report(`${title} leads to pods that answer: waiting for deployment.apps/${name} before it is switched`)
  for (;;) {
    const { status, metadata: now } = await client.get<Deployment>(
      resources.deployments,
      { namespace, name },
      { signal },
    )
    const isSeen = (status?.observedGeneration ?? 0) >= (now.generation ?? 0)
    if (isSeen && (status?.availableReplicas ?? 0) > 0) return
    if (clock.monotonic() >= deadline) {
      throw new UserError(
        `deployment.apps/${name} has no available replica after ${availableWithin / 1_000} s; ${title} leads where it led`,
        `look at kubectl -n ${namespace} describe pods -l app.kubernetes.io/name=outrigger, then repeat`,
      )
    }
    await clock.sleep(pause, signal)
  }
}

/** What is left to do about a kruise-manager that goes on beside; nothing where there is none. */
export async function remainingKruise(
  namespace: string,
  { client, signal }: Pick<ServiceSwitchOptions, 'client' | 'signal'>,
): Promise<string | undefined> {
  const name = 'kruise-controller-manager'
  const found = await client
    .get<Deployment>(resources.deployments, { namespace, name }, { signal })
    .catch(absent)
  if (found === undefined || found.spec?.replicas === 0) return undefined
  return `kruise-manager goes on leading: kubectl -n ${namespace} scale deployment ${name} --replicas=0`
}

function absent(error: unknown): undefined {
  if (isNotFound(error)) return undefined
  throw error
}
