import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { ApiError, type ClusterClient, isNotFound, listAll } from '@outrigger/client'
import { type Clock, messageOf, UserError } from '@outrigger/foundation'
import {
  type Draft,
  type Event,
  type KubeObject,
  type Pod,
  type ResourceRef,
  resources,
} from '@outrigger/kube'
import { whyNotReady } from '../rollout/pod-readiness.ts'
import { readyFile } from './client-script.ts'
import { type PodSides, sidesOf } from './pod-sides.ts'
import { RequestLog } from './request-log.ts'
import { clientName, imagePath, podName, type TrialNames, trialNamespace } from './trial-objects.ts'

export interface TrialClusterOptions {
  readonly client: ClusterClient
  readonly clock: Clock
  readonly names: TrialNames
  /** The hot sidecar on trial. */
  readonly container: string
  /** Milliseconds that a single step may take. */
  readonly timeout: number
  readonly signal: AbortSignal
}

/** Something did not come about in time. */
export class Overdue extends Error {
  override readonly name = 'Overdue'
}

const pollEvery = 150
/** How often a pod is made anew that was created before the webhooks knew the SidecarSet. */
const mostPods = 10
/** Milliseconds for a container to end once it was asked to. */
const endTime = 15_000

const sidecarSets = outriggerResources.sidecarSets

/** What a trial does to a cluster and sees of it. All it makes is in one namespace, but for one SidecarSet. */
export class TrialCluster {
  readonly #options: TrialClusterOptions
  readonly log = new RequestLog()
  #sidecarSet: SidecarSet | undefined
  /** What may be there to be removed. */
  readonly #made = new Set<'namespace' | 'SidecarSet'>()

  constructor(options: TrialClusterOptions) {
    this.#options = options
  }

  /** Makes the namespace, what the sidecar mounts, the SidecarSet, and the pod. Answers with the pod, injected or not. */
  async create(
    sidecarSet: Draft<SidecarSet>,
    pod: Draft<Pod>,
    companions: readonly { readonly resource: ResourceRef; readonly object: KubeObject }[],
  ): Promise<Pod> {
    const { client, names, signal } = this.#options
    await this.#make('namespace', client.create(resources.namespaces, trialNamespace(names), { signal }))
    for (const { resource, object } of companions) {
      const { name, labels, annotations } = object.metadata
      const metadata = { name, namespace: names.namespace, ...(labels && { labels }), annotations }
      await client.create(resource, { ...object, metadata } as Draft<KubeObject>, { signal })
    }
    await this.#make('SidecarSet', client.create<SidecarSet>(sidecarSets, sidecarSet, { signal }))
    await this.#poll('a manager to take note of the SidecarSet', async () => {
      await this.#readSidecarSet()
      return this.#sidecarSet?.status?.observedGeneration !== undefined || undefined
    })
    await this.#poll('the namespace to have a service account', () =>
      client
        .get(resources.serviceAccounts, { namespace: names.namespace, name: 'default' }, { signal })
        .catch(undefinedIfMissing),
    )
    return this.#createPod(pod)
  }

  /** The present state of the pod. */
  async look(): Promise<PodSides> {
    const { client, container, signal } = this.#options
    const sidecarSet = this.#sidecarSet ?? (await this.#readSidecarSet())
    const pod = await client.get<Pod>(resources.pods, this.#podKey, { signal })
    const sides = sidesOf(pod, sidecarSet, container)
    if (sides === undefined) throw new UserError(`pod ${podName} has lost a container of the sidecar`)
    return sides
  }

  /** Waits for the pod to be as wished. @throws Overdue that says what it is instead. */
  async until(what: string, isSo: (sides: PodSides) => boolean, timeout?: number): Promise<PodSides> {
    let last: PodSides | undefined
    try {
      return await this.#poll(
        what,
        async () => {
          last = await this.look()
          return isSo(last) ? last : undefined
        },
        timeout,
      )
    } catch (error) {
      if (!(error instanceof Overdue) || last === undefined) throw error
      const why = whyNotReady(withoutClient(last.pod)) ?? whyNotReady(last.pod)
      const warning = await this.#lastWarning()
      throw new Overdue([error.message, why, warning].filter((text) => text !== undefined).join(': '))
    }
  }

  /** Gives the sidecar another image. */
  async setImage(image: string): Promise<void> {
    const { client, container, signal } = this.#options
    const path = imagePath(this.#sidecarSet ?? (await this.#readSidecarSet()), container)
    this.#sidecarSet = await client.patch<SidecarSet>(
      sidecarSets,
      this.#sidecarSetKey,
      { type: 'json', body: [{ op: 'replace', path, value: image }] },
      { signal },
    )
  }

  /** Keeps upgrades half-way: the pod is not ready, so no old container is told to stop. */
  async hold(): Promise<void> {
    await this.exec(clientName, ['rm', '-f', readyFile])
    await this.#untilClientIs(false)
  }

  async release(): Promise<void> {
    await this.exec(clientName, ['touch', readyFile])
    await this.#untilClientIs(true)
  }

  /** Waits until requests have been sent for so many milliseconds, and read what became of them. */
  async observe(milliseconds: number): Promise<void> {
    const { clock, signal } = this.#options
    const start = clock.monotonic()
    const mark = this.log.mark()
    await this.#poll(
      'the client to send requests',
      async () => {
        await clock.sleep(Math.min(milliseconds, 500), signal)
        await this.readLog()
        return (clock.monotonic() - start >= milliseconds && this.log.requestsSince(mark) >= 3) || undefined
      },
      milliseconds + endTime * 2,
    )
  }

  async readLog(): Promise<void> {
    const { client, signal } = this.#options
    const since = this.log.lastTime
    const chunks: Uint8Array[] = []
    const options = { container: clientName, timestamps: true, signal, ...(since && { sinceTime: since }) }
    for await (const chunk of client.followLog(this.#podKey, options)) chunks.push(chunk)
    this.log.add(Buffer.concat(chunks).toString())
  }

  /**
   * Runs a command in a container that is to end it, and waits until the container has been started anew. Answers with what
   * stands in the way, if it still runs.
   */
  async end(name: string, command: string): Promise<string | undefined> {
    const before = sideNamed(await this.look(), name)
    let said = ''
    try {
      const { exitCode, stderr } = await this.exec(name, ['sh', '-c', command])
      if (exitCode !== 0) said = `: it ended with ${exitCode} ${stderr.toString().trim()}`
    } catch (error) {
      // The session may end with the container.
      this.#options.signal.throwIfAborted()
      said = `: ${messageOf(error)}`
    }
    try {
      await this.until(
        `${name} to be started anew`,
        (sides) => {
          const now = sideNamed(sides, name)
          return now.restarts > before.restarts || now.containerId !== before.containerId
        },
        endTime,
      )
      return undefined
    } catch (error) {
      if (error instanceof Overdue)
        return `\`${command}\` in ${name} did not end it${said}; name another with --kill`
      throw error
    }
  }

  async exec(container: string, command: readonly string[]) {
    const { client, signal } = this.#options
    return client.exec(this.#podKey, { container, command, signal })
  }

  /**
   * Removes everything again, and waits for it. Works also when the trial was asked to stop. Answers with what could not be
   * removed, by name.
   */
  async remove(): Promise<string[]> {
    const { client, clock, names } = this.#options
    const left: string[] = []
    const namespace = { namespace: '', name: names.namespace }
    const attempt = (title: string, work: Promise<unknown>) =>
      work.catch((error: unknown) => void (isNotFound(error) || left.push(`${title} (${messageOf(error)})`)))
    if (this.#made.has('SidecarSet'))
      await attempt(`SidecarSet ${names.sidecarSet}`, client.delete(sidecarSets, this.#sidecarSetKey))
    if (!this.#made.has('namespace')) return left
    await client.delete(resources.pods, this.#podKey, { gracePeriodSeconds: 1 }).catch(() => {})
    await attempt(`namespace ${names.namespace}`, client.delete(resources.namespaces, namespace))
    const start = clock.monotonic()
    while (left.length === 0 && clock.monotonic() - start < endTime * 2) {
      const found = await client.get(resources.namespaces, namespace).catch(undefinedIfMissing)
      if (found === undefined) break
      await clock.sleep(pollEvery)
    }
    return left
  }

  /** What the server refused is not there; what it did not answer may be. */
  async #make(what: 'namespace' | 'SidecarSet', work: Promise<unknown>): Promise<void> {
    this.#made.add(what)
    try {
      await work
    } catch (error) {
      if (error instanceof ApiError) this.#made.delete(what)
      throw error
    }
  }

  async #createPod(pod: Draft<Pod>): Promise<Pod> {
    const { client, clock, container, signal } = this.#options
    for (let attempt = 1; ; attempt++) {
      const created = await client.create<Pod>(resources.pods, pod, { signal })
      const names = [...(created.spec.initContainers ?? []), ...created.spec.containers]
      if (names.some(({ name }) => name === `${container}-1`) || attempt === mostPods) return created
      await client.delete(resources.pods, this.#podKey, { gracePeriodSeconds: 0, signal })
      await this.#poll('a pod to be gone', async () => {
        const found = await client
          .get<Pod>(resources.pods, this.#podKey, { signal })
          .catch(undefinedIfMissing)
        return found === undefined || undefined
      })
      await clock.sleep(500, signal)
    }
  }

  async #untilClientIs(isReady: boolean): Promise<void> {
    await this.until(
      `the client to be ${isReady ? 'ready' : 'unready'}`,
      ({ pod }) =>
        (pod.status?.containerStatuses?.find(({ name }) => name === clientName)?.ready ?? false) === isReady,
    )
  }

  /** What an event last warned of; not that the client is unready, which it is on purpose. Undefined also where none may be read. */
  async #lastWarning(): Promise<string | undefined> {
    const { client, names, signal } = this.#options
    const fieldSelector = `involvedObject.kind=Pod,involvedObject.name=${podName},type=Warning`
    const { namespace } = names
    const events = await listAll<Event>(client, resources.events, { namespace, fieldSelector, signal }).catch(
      () => [],
    )
    const latest = events
      .filter(({ involvedObject }) => !involvedObject.fieldPath?.includes(`{${clientName}}`))
      .sort((a, b) => timeOf(a).localeCompare(timeOf(b)))
      .at(-1)
    return latest && `${latest.reason} ${latest.message?.trim()}`
  }

  async #readSidecarSet(): Promise<SidecarSet> {
    const { client, signal } = this.#options
    this.#sidecarSet = await client.get<SidecarSet>(sidecarSets, this.#sidecarSetKey, { signal })
    return this.#sidecarSet
  }

  async #poll<T>(
    what: string,
    look: () => Promise<T | undefined>,
    timeout: number = this.#options.timeout,
  ): Promise<T> {
    const { clock, signal } = this.#options
    const start = clock.monotonic()
    for (;;) {
      signal.throwIfAborted()
      const found = await look()
      if (found !== undefined) return found
      if (clock.monotonic() - start >= timeout)
        throw new Overdue(`waited ${Math.round(timeout / 1_000)} s for ${what}`)
      await clock.sleep(pollEvery, signal)
    }
  }

  get #podKey() {
    return { namespace: this.#options.names.namespace, name: podName }
  }

  get #sidecarSetKey() {
    return { namespace: '', name: this.#options.names.sidecarSet }
  }
}

function timeOf({ lastTimestamp, eventTime, metadata }: Event): string {
  return lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? ''
}

function sideNamed({ working, idle }: PodSides, name: string) {
  return working.name === name ? working : idle
}

/** While an upgrade is held, the client is unready on purpose. */
function withoutClient(pod: Pod): Pod {
  const { containerStatuses = [], ...status } = pod.status ?? {}
  return {
    ...pod,
    status: { ...status, containerStatuses: containerStatuses.filter(({ name }) => name !== clientName) },
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isNotFound(error)) throw error
}
