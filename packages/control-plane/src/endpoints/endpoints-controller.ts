import { type Client, isAlreadyExists, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  createExpectations,
  type EventRecorder,
  type Expectations,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  type Clock,
  formatTime,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import {
  deepEqual,
  type EndpointSlice,
  type Endpoints,
  type KubeObject,
  keyOf,
  type Node,
  type Pod,
  parseKey,
  resources,
  type Service,
} from '@outrigger/kube'
import { isNamespaceTerminating } from '../namespace/terminating.ts'
import { isPodReady } from '../pods/pod-state.ts'
import { endpointFacts, passedLabels } from './endpoint-facts.ts'
import { endpointSubsets } from './endpoints-plan.ts'
import { managedByLabel, planSlices, serviceNameLabel, sliceManager } from './slice-plan.ts'

export interface EndpointsControllerOptions {
  readonly client: Client
  /** Needs the index `namespace`. */
  readonly services: Informer<Service>
  /** Needs the index `service`. */
  readonly slices: Informer<EndpointSlice>
  readonly endpoints: Informer<Endpoints>
  readonly nodes: Informer<Node>
  /** Needs the index `namespace`. */
  readonly pods: Informer<Pod>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Index of slices by the service they are of: `namespace/name`. */
export const sliceIndexes = {
  service: ({ metadata }: KubeObject): readonly string[] => {
    const service = metadata.labels?.[serviceNameLabel]
    return service === undefined ? [] : [`${metadata.namespace}/${service}`]
  },
} as const

const triggerTime = 'endpoints.kubernetes.io/last-change-trigger-time'
const endpointsManager = { 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' }
/** Several pods of a rollout become ready together; one write serves them. In milliseconds. */
const gather = 20

/**
 * Keeps EndpointSlices and Endpoints of Services with selectors. Services without one are their
 * author's own business. Source: kubernetes/pkg/controller/endpointslice and .../endpoint.
 */
export function createEndpointsController(options: EndpointsControllerOptions): Runnable {
  const { services, slices, endpoints, nodes, pods } = options
  const expectations = createExpectations({ clock: options.clock })
  return createController({
    ...options,
    name: 'endpoints',
    concurrency: 5,
    informers: [services, slices, endpoints, nodes, pods],
    sources: [
      (enqueue) => {
        const look = (service: Service) => enqueue(keyOf(service))
        return services.onChange({ onAdd: look, onUpdate: look, onDelete: look })
      },
      (enqueue) => {
        const look = (pod: Pod) => {
          for (const service of services.store.byIndex('namespace', pod.metadata.namespace ?? ''))
            if (selects(service, pod)) enqueue(keyOf(service), gather)
        }
        return pods.onChange({
          onAdd: look,
          onUpdate(pod, before) {
            if (!hasMoved(pod, before)) return
            look(pod)
            if (!deepEqual(pod.metadata.labels, before.metadata.labels)) look(before)
          },
          onDelete: look,
        })
      },
      (enqueue) => {
        const look = ({ metadata }: EndpointSlice) => {
          const name = metadata.labels?.[serviceNameLabel]
          if (name === undefined) return
          const key = `${metadata.namespace}/${name}`
          expectations.observeCreation(key, metadata.name)
          enqueue(key)
        }
        return slices.onChange({ onAdd: look, onUpdate: look, onDelete: look })
      },
      (enqueue) => {
        const look = (object: Endpoints) => enqueue(keyOf(object))
        return endpoints.onChange({ onUpdate: look, onDelete: look })
      },
    ],
    reconcile: (key, signal) => reconcileService(options, expectations, key, signal),
  })
}

function selects({ spec }: Service, pod: Pod): boolean {
  const selector = Object.entries(spec.selector ?? {})
  return selector.length > 0 && selector.every(([key, value]) => pod.metadata.labels?.[key] === value)
}

/** Whether anything changed that an endpoint shows. */
function hasMoved(pod: Pod, before: Pod): boolean {
  return (
    isPodReady(pod) !== isPodReady(before) ||
    pod.status?.phase !== before.status?.phase ||
    pod.spec.nodeName !== before.spec.nodeName ||
    pod.metadata.deletionTimestamp !== before.metadata.deletionTimestamp ||
    !deepEqual(pod.status?.podIPs, before.status?.podIPs) ||
    !deepEqual(pod.metadata.labels, before.metadata.labels)
  )
}

async function reconcileService(
  options: EndpointsControllerOptions,
  expectations: Expectations,
  key: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const service = options.services.store.get(key)
  // What belonged to a service that is gone goes with its owner; Endpoints have none and are ours to delete.
  if (service === undefined) return removeEndpoints(options, key, signal)
  if (service.metadata.deletionTimestamp !== undefined) return waitForChange
  if (Object.keys(service.spec.selector ?? {}).length === 0 || service.spec.type === 'ExternalName')
    return waitForChange
  const waiting = expectations.remaining(key)
  if (waiting > 0) return lookAgain(waiting + 1)
  const facts = options.pods.store
    .byIndex('namespace', service.metadata.namespace ?? '')
    .filter((pod) => selects(service, pod))
    .flatMap((pod) => endpointFacts(service, pod, options.nodes.store.get(pod.spec.nodeName ?? '')))
  try {
    await writeSlices(options, expectations, service, facts, signal)
    await writeEndpoints(options, service, facts, signal)
  } catch (error) {
    if (isNamespaceTerminating(error)) return waitForChange
    if (isConflict(error) || isNotFound(error))
      throw new Error('endpoints changed meanwhile', { cause: error })
    options.events.event(service, {
      type: 'Warning',
      reason: 'FailedToUpdateEndpointSlices',
      message: `Error updating Endpoint Slices for Service ${key}: ${messageOf(error)}`,
    })
    throw error
  }
  return waitForChange
}

async function writeSlices(
  { client, slices, clock, random }: EndpointsControllerOptions,
  expectations: Expectations,
  service: Service,
  facts: Parameters<typeof planSlices>[1],
  signal: AbortSignal,
): Promise<void> {
  const own = slices.store
    .byIndex('service', keyOf(service))
    .filter(({ metadata }) => metadata.labels?.[managedByLabel] === sliceManager)
  const plan = planSlices(service, facts, own)
  const stamp = { [triggerTime]: formatTime(clock.now()) }
  for (const draft of plan.create) {
    // The name is drawn here so that the slice can be expected: a cache that is behind must not make two.
    const name = (draft.metadata.generateName ?? '').slice(0, 58) + random.suffix(5)
    expectations.expectCreations(keyOf(service), [name])
    const metadata = { ...draft.metadata, name, annotations: stamp }
    try {
      await client.create<EndpointSlice>(resources.endpointSlices, { ...draft, metadata }, { signal })
    } catch (error) {
      expectations.observeCreation(keyOf(service), name)
      throw error
    }
  }
  for (const slice of plan.update) {
    const annotations = { ...slice.metadata.annotations, ...stamp }
    const metadata = { ...slice.metadata, annotations }
    await client.update<EndpointSlice>(resources.endpointSlices, { ...slice, metadata }, { signal })
  }
  for (const slice of plan.remove)
    await client
      .delete(resources.endpointSlices, parseKey(keyOf(slice)), {
        preconditions: { uid: slice.metadata.uid ?? '' },
        signal,
      })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
}

async function writeEndpoints(
  { client, endpoints, clock }: EndpointsControllerOptions,
  service: Service,
  facts: Parameters<typeof planSlices>[1],
  signal: AbortSignal,
): Promise<void> {
  const subsets = endpointSubsets(service, facts)
  const labels = { ...passedLabels(service), ...endpointsManager }
  const before = endpoints.store.get(keyOf(service))
  if (before === undefined) {
    const { name, namespace = '' } = service.metadata
    const metadata = { name, namespace, labels, annotations: { [triggerTime]: formatTime(clock.now()) } }
    await client
      .create<Endpoints>(
        resources.endpoints,
        { apiVersion: 'v1', kind: 'Endpoints', metadata, subsets },
        { signal },
      )
      .catch((error: unknown) => {
        // The cache is behind: the event that shows the object brings the next pass.
        if (!isAlreadyExists(error)) throw error
      })
    return
  }
  if (deepEqual(before.subsets ?? [], subsets) && deepEqual(before.metadata.labels, labels)) return
  const annotations = { ...before.metadata.annotations, [triggerTime]: formatTime(clock.now()) }
  await client.update<Endpoints>(
    resources.endpoints,
    { ...before, metadata: { ...before.metadata, labels, annotations }, subsets },
    { signal },
  )
}

async function removeEndpoints(
  { client, endpoints }: EndpointsControllerOptions,
  key: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const left = endpoints.store.get(key)
  const isOurs = left?.metadata.labels?.['endpoints.kubernetes.io/managed-by'] === 'endpoint-controller'
  if (isOurs)
    await client.delete(resources.endpoints, parseKey(key), { signal }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
  return waitForChange
}
