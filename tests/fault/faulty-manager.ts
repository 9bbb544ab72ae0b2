import type { Client } from '@outrigger/client'
import type { Clock } from '@outrigger/foundation'
import { createManager } from '@outrigger/operator'
import type { TestApiServer } from '@outrigger/testkit'
import { fixedCertificate } from '@outrigger/webhook'

/** A manager in this process whose calls go through what the test puts before them. */
export interface FaultyManager {
  stop(): Promise<void>
}

/** Starts one; resolves when its webhooks are registered. */
export async function startFaultyManager(
  cluster: TestApiServer,
  options: { readonly faults?: (client: Client) => Client; readonly clock?: Clock } = {},
): Promise<FaultyManager> {
  const { faults = (client: Client) => client, clock = cluster.clock } = options
  const userName = 'outrigger-manager'
  const serving = await cluster.issue({
    commonName: 'webhook',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  })
  const manager = createManager({
    clock,
    random: cluster.random,
    logger: cluster.logger,
    client: faults(await cluster.client({ name: userName, groups: ['system:masters'] })),
    userName,
    identity: 'fault',
    leaderElection: false,
    webhook: {
      listen: { host: '127.0.0.1', port: 0 },
      target: (port) => ({ url: `https://127.0.0.1:${port}` }),
      certificate: fixedCertificate(serving, cluster.certificateAuthority),
    },
  })
  const stopping = new AbortController()
  const ended = manager.run(stopping.signal)
  await Promise.race([manager.ready, ended])
  return {
    async stop() {
      stopping.abort()
      await ended
    },
  }
}

/** A client that asks `before` ahead of every write; it may throw in place of the write. */
export function withFaultyWrites(client: Client, before: (resource: string) => void): Client {
  const guarded = <T>(resource: { readonly resource: string }, call: () => Promise<T>): Promise<T> => {
    try {
      before(resource.resource)
    } catch (error) {
      return Promise.reject(error)
    }
    return call()
  }
  return {
    get: (...args) => client.get(...args),
    list: (...args) => client.list(...args),
    watch: (...args) => client.watch(...args),
    raw: (...args) => client.raw(...args),
    serves: (...args) => client.serves(...args),
    close: () => client.close(),
    create: (...args) => guarded(args[0], () => client.create(...args)),
    update: (...args) => guarded(args[0], () => client.update(...args)),
    patch: (...args) => guarded(args[0], () => client.patch(...args)),
    delete: (...args) => guarded(args[0], () => client.delete(...args)),
    deleteCollection: (...args) => guarded(args[0], () => client.deleteCollection(...args)),
    createSubresource: (...args) => guarded(args[0], () => client.createSubresource(...args)),
  }
}

/** A client whose watches tell everything `lag` milliseconds late, in order; lists and writes are not delayed. */
export function withLaggingWatches(client: Client, clock: Clock, lag: number): Client {
  return {
    ...withFaultyWrites(client, () => {}),
    watch: (...args) => lagging(client.watch(...args), clock, lag),
  }
}

/** Reads on while it holds back, so that a burst is late as a whole and not one by one. */
async function* lagging<T>(source: AsyncIterable<T>, clock: Clock, lag: number): AsyncGenerator<T> {
  const held: { readonly item: T; readonly due: number }[] = []
  const events = source[Symbol.asyncIterator]()
  let end: { readonly error?: unknown } | undefined
  const read = async () => {
    for (let next = await events.next(); next.done !== true; next = await events.next())
      held.push({ item: next.value, due: clock.monotonic() + lag })
    end = {}
  }
  void read().catch((error: unknown) => {
    end = { error }
  })
  try {
    for (;;) {
      const first = held[0]
      if (first === undefined && end !== undefined) {
        if (end.error !== undefined) throw end.error
        return
      }
      const wait = first === undefined ? 10 : first.due - clock.monotonic()
      if (wait > 0) await clock.sleep(wait)
      else if (held.shift() !== undefined && first !== undefined) yield first.item
    }
  } finally {
    await events.return?.()
  }
}
