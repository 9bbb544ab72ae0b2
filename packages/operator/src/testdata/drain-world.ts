import {
  defaultSidecarSet,
  inServiceGate,
  type SidecarContainer,
  type SidecarSet,
  type SidecarSetSpec,
} from '@outrigger/api'
import { type EndpointSlice, type Pod, type PodCondition, resources } from '@outrigger/kube'
import { injectedPod, webPod } from './injected-pod.ts'
import { RolloutWorld } from './rollout-world.ts'

/** A cluster in memory whose pods stand behind a Service: a rollout's controllers, nodes and endpoints, each moved by hand. */
export class DrainWorld extends RolloutWorld {
  /** What nobody should see: restarts under traffic, and traffic for pods whose restart is not over. */
  readonly offences: string[] = []
  /** By the pod's name: when endpoints last sent it traffic, in milliseconds. */
  readonly #lastSent = new Map<string, number>()
  readonly #allowed = new Set<string>()
  readonly #duration: number

  constructor(duration = 5_000) {
    super()
    this.#duration = duration
    const patch = this.cluster.patch.bind(this.cluster)
    this.cluster.patch = async (resource, key, body, options) => {
      const before = resource === resources.pods ? this.#find(key.name) : undefined
      const after = await patch(resource, key, body, options)
      if (before !== undefined && !options?.dryRun) this.#watch(before, after as unknown as Pod)
      return after as never
    }
  }

  /** The nodes report what their pods run, and endpoints follow. */
  async react(names: Iterable<string> = this.names): Promise<void> {
    for (const name of names) if (this.#find(name)) await this.node(name)
    this.endpoints()
  }

  /** Endpoints follow the readiness of pods; those of `deaf` stay as they are. */
  endpoints(deaf: readonly string[] = []): void {
    const slices = this.cluster.of(resources.endpointSlices)
    const before = (slices.get('shop/web-1') as EndpointSlice | undefined)?.endpoints ?? []
    const endpoints = this.names.map((name) => {
      const known = before.find(({ targetRef }) => targetRef?.name === name)
      if (known !== undefined && deaf.includes(name)) return known
      const serving = conditionOf(this.pod(name), 'Ready')?.status === 'True'
      return {
        addresses: ['10.0.0.1'],
        conditions: { ready: serving, serving, terminating: false },
        targetRef: { kind: 'Pod', name, namespace: 'shop', uid: this.pod(name).metadata.uid ?? '' },
      }
    })
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: 'shop' },
      addressType: 'IPv4',
      endpoints,
    }
    this.#remember()
    slices.set('shop/web-1', slice)
    this.#remember()
  }

  /** Time passes while everybody does their work. */
  async live(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 500) {
      await this.pass(250)
      await this.react()
      await this.pass(250)
    }
  }

  override async pass(milliseconds: number): Promise<void> {
    this.#remember()
    await super.pass(milliseconds)
    this.#remember()
  }

  /** What was asked for is no offence: the restart of this pod under traffic. */
  allow(name: string): void {
    this.#allowed.add(name)
  }

  #find(name: string): Pod | undefined {
    return this.cluster.of(resources.pods).get(`shop/${name}`) as Pod | undefined
  }

  #remember(): void {
    const slice = this.cluster.of(resources.endpointSlices).get('shop/web-1') as EndpointSlice | undefined
    for (const { conditions, targetRef } of slice?.endpoints ?? [])
      if (conditions?.serving) this.#lastSent.set(targetRef?.name ?? '', this.clock.now())
  }

  #watch(before: Pod, after: Pod): void {
    const { name } = after.metadata
    const image = (pod: Pod) => pod.spec.containers.map((container) => container.image).join()
    if (!hasGate(before) || this.#allowed.has(name)) return
    if (image(before) !== image(after)) {
      this.#remember()
      const since = this.clock.now() - (this.#lastSent.get(name) ?? 0)
      if (since < this.#duration) this.offences.push(`${name} restarts ${since} ms after its last traffic`)
      if (gateOf(before)?.status !== 'False') this.offences.push(`${name} restarts while it may be served`)
    }
    const isOpened = gateOf(before)?.status !== 'True' && gateOf(after)?.status === 'True'
    const runs = (after.status?.containerStatuses ?? []).map((status) => status.image).join()
    if (isOpened && gateOf(before) !== undefined && runs !== image(after))
      this.offences.push(`${name} is taken in before its restart is over`)
  }
}

/** The condition of the gate. */
export const gateOf = (pod: Pod): PodCondition | undefined => conditionOf(pod, inServiceGate)
const hasGate = ({ spec }: Pod) =>
  spec.readinessGates?.some(({ conditionType }) => conditionType === inServiceGate) ?? false
const conditionOf = ({ status }: Pod, wanted: string) =>
  status?.conditions?.find(({ type }) => type === wanted)

let generation = 0

/** A SidecarSet with one container `agent` that asks for a drain; an empty `drain`: it does not. */
export function drainingSet(
  image: string,
  {
    name = 'agents',
    drain = '5s',
    annotations = {},
    container = {},
    spec = {},
  }: {
    readonly name?: string
    readonly drain?: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly container?: Partial<SidecarContainer>
    readonly spec?: SidecarSetSpec
  } = {},
): SidecarSet {
  generation++
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: {
      name,
      uid: `uid-of-${name}`,
      generation,
      annotations: { ...annotations, ...(drain && { 'outrigger.dev/drain-before-restart': drain }) },
    },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      containers: [{ name: 'agent', image, ...container }],
      updateStrategy: { maxUnavailable: 1 },
      ...spec,
    },
  })
}

/** A pod with the sidecars of these, as a node reports it that runs it. */
export const drainablePod = (name: string, ...sets: SidecarSet[]): Pod => injectedPod(webPod(name), sets)
