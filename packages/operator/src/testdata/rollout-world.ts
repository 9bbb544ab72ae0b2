import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { ApiError } from '@outrigger/client'
import type { EventDraft } from '@outrigger/controller'
import { SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock, settle } from '@outrigger/foundation/testing'
import { SidecarSetIndex } from '@outrigger/injection'
import {
  type ContainerStatus,
  type ControllerRevision,
  type KubeObject,
  keyOf,
  type Pod,
  resources,
} from '@outrigger/kube'
import { podIndexes } from '../pod-indexes.ts'
import { createPodServiceController } from '../pod-service/pod-service-controller.ts'
import { createUpgradableConditionController } from '../sidecar-set-condition/upgradable-condition-controller.ts'
import { RevisionHistory, revisionIndexes } from '../sidecar-set-history/revision-history.ts'
import { createSidecarSetHistoryController } from '../sidecar-set-history/sidecar-set-history-controller.ts'
import { createSidecarSetController } from '../sidecar-set-rollout/sidecar-set-controller.ts'
import { LedgerFeed } from '../sidecar-set-status/ledger-feed.ts'
import { FedInformer, MemoryCluster } from './memory-cluster.ts'
import { namespace } from './objects.ts'

/** The rollout's controllers before a cluster in memory; nothing happens but when told, and caches see only what is shown. */
export class RolloutWorld {
  readonly clock = new ManualClock()
  readonly cluster = new MemoryCluster()
  readonly said: { readonly about: string; readonly draft: EventDraft }[] = []
  readonly #pods = new FedInformer<Pod>([], podIndexes)
  readonly #sets = new FedInformer<SidecarSet>()
  readonly #revisions = new FedInformer<ControllerRevision>([], revisionIndexes)
  /** What the API server and the manager can do about changes. */
  canResize = true
  canEvict = true
  isAnswering = true
  #stop: () => Promise<void> = async () => {}

  /** Starts a manager that knows nothing but what the caches have. */
  async start(): Promise<void> {
    const controller = new AbortController()
    const informers = {
      pods: this.#pods,
      sidecarSets: this.#sets,
      namespaces: new FedInformer([namespace('shop')]),
      revisions: this.#revisions,
    }
    const common = {
      client: this.cluster,
      clock: this.clock,
      random: new SeededRandom(),
      logger: silentLogger,
      events: {
        event: (object: KubeObject, draft: EventDraft) =>
          void this.said.push({ about: object.metadata.name, draft }),
      },
      ...informers,
    }
    const history = new RevisionHistory(this.#revisions.store)
    const index = new SidecarSetIndex()
    this.#sets.onChange({ onAdd: (set) => index.set(set), onUpdate: (set) => index.set(set) })
    const changes = {
      revisions: this.#revisions,
      history,
      recordedContent: history.contentOf.bind(history),
      canResize: () => this.canResize,
      canEvict: () => this.canEvict,
    }
    const feed = new LedgerFeed({ clock: this.clock, ...informers, changes })
    const admission = { index, managerNamespace: 'kruise-system', isAnswering: () => this.isAnswering }
    const running = [
      createSidecarSetController({ ...common, ...admission, feed, history }),
      createSidecarSetHistoryController({ ...common, feed, namespace: 'kruise-system', history }),
      createUpgradableConditionController({ ...common, feed }),
      createPodServiceController({ ...common, feed }),
    ].map((one) => one.run(controller.signal))
    await settle()
    this.#stop = async () => {
      controller.abort()
      await this.clock.advance(10)
      await Promise.all(running)
      this.#stop = async () => {}
    }
  }

  stop(): Promise<void> {
    return this.#stop()
  }

  async put(...objects: readonly (Pod | SidecarSet)[]): Promise<void> {
    for (const object of objects) {
      const resource = object.kind === 'Pod' ? resources.pods : outriggerResources.sidecarSets
      const known = this.cluster.of(resource).get(keyOf(object))
      const { resourceVersion: _, ...metadata } = object.metadata
      if (known === undefined) await this.cluster.create(resource, object)
      else await this.cluster.update(resource, { ...object, metadata })
    }
    this.show()
  }

  /** Lets the caches see the cluster as it is now. */
  show(): void {
    const feed = <T extends KubeObject>(informer: FedInformer<T>, objects: Iterable<KubeObject>) => {
      const present = new Set<string>()
      for (const object of objects) {
        present.add(keyOf(object))
        const known = informer.store.get(keyOf(object))
        if (known?.metadata.resourceVersion !== object.metadata.resourceVersion) informer.put(object as T)
      }
      for (const known of informer.store.list()) if (!present.has(keyOf(known))) informer.remove(known)
    }
    feed(this.#revisions, this.cluster.of(resources.controllerRevisions).values())
    feed(this.#sets, this.cluster.of(outriggerResources.sidecarSets).values())
    feed(this.#pods, this.cluster.of(resources.pods).values())
  }

  /** Time passes; every so often the caches see what has happened. */
  async pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 250) {
      await this.clock.advance(250)
      this.show()
    }
    await this.clock.advance(1)
  }

  pod(name: string): Pod {
    const found = this.cluster.of(resources.pods).get(`shop/${name}`)
    if (found === undefined) throw new ApiError(404, { reason: 'NotFound', message: name })
    return found as Pod
  }

  /** Of all pods there are. */
  get names(): string[] {
    return [...this.cluster.of(resources.pods).values()].map(({ metadata }) => metadata.name)
  }

  set(name: string): SidecarSet {
    return this.cluster.of(outriggerResources.sidecarSets).get(name) as SidecarSet
  }

  get revisions(): ControllerRevision[] {
    return [...this.cluster.of(resources.controllerRevisions).values()] as ControllerRevision[]
  }

  remove(name: string): void {
    this.cluster.of(resources.pods).delete(`shop/${name}`)
    this.show()
  }

  removeSet(name: string): void {
    this.cluster.of(outriggerResources.sidecarSets).delete(name)
    this.show()
  }

  /** The node takes over what the spec says; `broken` names containers that do not start, `left` those it has not got to yet. */
  async node(
    name: string,
    {
      broken = [],
      left = [],
    }: { readonly broken?: readonly string[]; readonly left?: readonly string[] } = {},
  ): Promise<void> {
    await this.put(served(this.pod(name), broken, left))
  }
}

/** The pod as a node reports it that runs what the spec says. */
export function served(pod: Pod, broken: readonly string[] = [], left: readonly string[] = []): Pod {
  const report = (list: Pod['spec']['containers'] = [], before: readonly ContainerStatus[] = []) =>
    list.flatMap(({ name, image = '' }): ContainerStatus[] => {
      const known = before.find((status) => status.name === name)
      if (left.includes(name)) return known === undefined ? [] : [known]
      const ready = !broken.includes(name)
      const imageID = ready ? `docker.io/${image.replace(/:.*/, '')}@sha256:${image.replace(/.*:/, '')}` : ''
      return [{ name, image, imageID, ready, restartCount: 0 }]
    })
  const containerStatuses = report(pod.spec.containers, pod.status?.containerStatuses)
  const natives = pod.spec.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always')
  const initContainerStatuses = natives && report(natives, pod.status?.initContainerStatuses)
  const areReady = [...containerStatuses, ...(initContainerStatuses ?? [])].every(({ ready }) => ready)
  const others =
    pod.status?.conditions?.filter(({ type }) => type !== 'Ready' && type !== 'ContainersReady') ?? []
  const isOpen = ({ conditionType }: { readonly conditionType: string }) =>
    others.some(({ type, status }) => type === conditionType && status === 'True')
  const isReady = areReady && (pod.spec.readinessGates ?? []).every(isOpen)
  return {
    ...pod,
    status: {
      ...pod.status,
      phase: 'Running',
      conditions: [
        ...others,
        { type: 'ContainersReady', status: areReady ? 'True' : 'False' },
        { type: 'Ready', status: isReady ? 'True' : 'False' },
      ],
      containerStatuses,
      ...(initContainerStatuses && { initContainerStatuses }),
    },
  }
}
