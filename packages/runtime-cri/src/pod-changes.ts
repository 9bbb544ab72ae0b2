import { type Clock, deferred, type Logger, messageOf } from '@outrigger/foundation'
import type { SandboxState } from '@outrigger/kubelet/runtime'
import type { CriChannel } from './cri-channel.ts'
import type { Envelope } from './generated/cri-messages.ts'
import type { PodInventory } from './pod-inventory.ts'

export interface PodChangesOptions {
  readonly channel: Pick<CriChannel, 'stream' | 'decode'>
  readonly inventory: PodInventory
  readonly clock: Clock
  readonly logger: Logger
}

/** Milliseconds between two comparisons of everything, while events are heard and while they are not. */
const relistPause = { withEvents: 10_000, withoutEvents: 1000 }
/** Milliseconds to wait before each look whether the runtime has taken note of an event. */
const confirmPauses = [0, 3, 5, 10, 20, 40, 80, 160, 320, 640, 1280]
const taskTopics = 'topic~="^/tasks/(start|exit|oom)$"'

/**
 * Finds out which pods changed: from containerd's own events, which are heard within milliseconds, from what
 * this process does itself, and from comparing everything now and then, in case an event was missed or the
 * runtime has no such events.
 */
export class PodChanges {
  readonly #options: PodChangesOptions
  readonly #feeds = new Set<UidFeed>()

  constructor(options: PodChangesOptions) {
    this.#options = options
  }

  /** Tells all followers that something about the pod may have changed. */
  report(podUid: string | undefined): void {
    if (podUid === undefined || podUid === '') return
    for (const feed of this.#feeds) feed.add(podUid)
  }

  /** Yields uids until the signal aborts. A pod that changed several times meanwhile is named once. */
  async *follow(signal: AbortSignal): AsyncGenerator<string> {
    const feed = new UidFeed()
    const controller = new AbortController()
    const onAbort = () => {
      controller.abort(signal.reason)
      feed.end()
    }
    if (signal.aborted) return
    signal.addEventListener('abort', onAbort, { once: true })
    this.#feeds.add(feed)
    const events = { areHeard: false }
    const tasks = [
      this.#hear(feed, events, controller.signal),
      this.#compare(feed, events, controller.signal),
    ]
    try {
      for (let uid = await feed.take(); uid !== undefined; uid = await feed.take()) yield uid
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#feeds.delete(feed)
      controller.abort()
      await Promise.all(tasks)
    }
  }

  async #hear(feed: UidFeed, events: { areHeard: boolean }, signal: AbortSignal): Promise<void> {
    const { channel, clock, logger } = this.#options
    const confirming = new Set<Promise<void>>()
    while (!signal.aborted) {
      try {
        const stream = channel.stream(
          'Subscribe',
          { filters: [`namespace==k8s.io,${taskTopics}`] },
          { signal, metadata: { 'containerd-namespace': 'k8s.io' } },
        )
        // Nothing says when the subscription stands; the next comparison covers what came before.
        events.areHeard = true
        for await (const envelope of stream) {
          const work = this.#onEvent(envelope, feed, signal).catch((error: unknown) => {
            if (!signal.aborted) logger.debug('could not confirm an event', { error: messageOf(error) })
          })
          confirming.add(work)
          void work.finally(() => confirming.delete(work))
        }
      } catch (error) {
        if (!signal.aborted) logger.debug('lost the event stream', { error: messageOf(error) })
      }
      events.areHeard = false
      await clock.sleep(500, signal).catch(() => {})
    }
    await Promise.all(confirming)
  }

  async #onEvent(envelope: Envelope, feed: UidFeed, signal: AbortSignal): Promise<void> {
    const { typeUrl, value } = envelope.event ?? {}
    if (typeUrl === undefined || value === undefined) return
    const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1)
    const task = await this.#options.channel.decode<{ containerId?: string; id?: string }>(type, value)
    const id = task.containerId ?? ''
    // The end of a command that was run inside the container: of no concern to the pod.
    if (type.endsWith('TaskExit') && task.id !== id) return
    const uid = this.#options.inventory.ownerOf(id)
    if (uid === undefined) return
    await this.#confirm(id, type, signal)
    feed.add(uid)
  }

  /**
   * The runtime's CRI side hears the same events and may be slower than we are; whoever lists at once would
   * still see the old state. Waits until the new one shows, for about two and a half seconds at most.
   */
  async #confirm(id: string, type: string, signal: AbortSignal): Promise<void> {
    const { inventory, clock } = this.#options
    for (const pause of confirmPauses) {
      if (pause > 0) await clock.sleep(pause, signal)
      if (inventory.isSandbox(id)) {
        if (!type.endsWith('TaskExit') || !(await inventory.isSandboxReady(id, signal))) return
        continue
      }
      const container = await inventory.refreshContainer(id, signal)
      if (container === undefined || container.state === 'exited') return
      if (type.endsWith('TaskStart') && container.state === 'running') return
      if (type.endsWith('TaskOOM') && container.reason !== '') return
    }
  }

  async #compare(feed: UidFeed, events: { areHeard: boolean }, signal: AbortSignal): Promise<void> {
    const { inventory, clock, logger } = this.#options
    let before = new Map<string, string>()
    while (!signal.aborted) {
      try {
        const now = fingerprints(await inventory.list(signal))
        for (const [uid, print] of now) if (before.get(uid) !== print) feed.add(uid)
        for (const uid of before.keys()) if (!now.has(uid)) feed.add(uid)
        before = now
      } catch (error) {
        if (!signal.aborted) logger.debug('could not list pods', { error: messageOf(error) })
      }
      await clock
        .sleep(events.areHeard ? relistPause.withEvents : relistPause.withoutEvents, signal)
        .catch(() => {})
    }
  }
}

function fingerprints(sandboxes: readonly SandboxState[]): Map<string, string> {
  const prints = new Map<string, string>()
  for (const { id, pod, isReady, containers } of sandboxes) {
    const own = containers.map((container) => `${container.id}${container.state}${container.reason}`).join()
    prints.set(pod.uid, `${prints.get(pod.uid) ?? ''}${id}${isReady}${own};`)
  }
  return prints
}

/** Uids waiting for one reader, each at most once. */
class UidFeed {
  readonly #waiting = new Set<string>()
  #isOver = false
  #wake = deferred()

  add(uid: string): void {
    this.#waiting.add(uid)
    this.#wake.resolve()
  }

  end(): void {
    this.#isOver = true
    this.#wake.resolve()
  }

  /** The next uid; undefined after the end. */
  async take(): Promise<string | undefined> {
    for (;;) {
      if (this.#isOver) return undefined
      for (const uid of this.#waiting) {
        this.#waiting.delete(uid)
        return uid
      }
      this.#wake = deferred()
      await this.#wake.promise
    }
  }
}
