import { ApiError, ConnectionError } from '@outrigger/client'
import { aborted, type Runnable, SeededRandom } from '@outrigger/foundation'
import { ManualClock, MemoryLogger } from '@outrigger/foundation/testing'
import type { KubeObject, Lease } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { createLeaderElector } from './leader-elector.ts'

const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop()
})

describe('LeaderElector', () => {
  test('lets one of several lead', async () => {
    const { clock, campaign, leading } = anElection()
    campaign('a')
    campaign('b')
    campaign('c')
    await clock.advance(60_000)

    expect(leading.size).toBe(1)
  })

  test('hands over at once when the leader stops', async () => {
    const { clock, campaign, leading, server } = anElection()
    const first = campaign('a')
    await clock.advance(1_000)
    campaign('b')
    await clock.advance(5_000)
    expect([...leading]).toEqual(['a'])

    await first.stop()
    expect(server.lease?.spec.holderIdentity).toBeUndefined()
    await clock.advance(5_000)

    expect([...leading]).toEqual(['b'])
    expect(server.lease?.spec.leaseTransitions).toBe(1)
  })

  test('takes over from a leader that died, but not before its lease ran out', async () => {
    const { clock, campaign, leading } = anElection()
    const first = campaign('a')
    await clock.advance(1_000)
    first.disconnect()
    campaign('b')
    await clock.advance(8_000)
    expect([...leading]).toEqual(['a'])

    await clock.advance(30_000)
    expect([...leading]).toEqual(['b'])
  })

  test('never has two leaders, whoever is cut off for however long', async () => {
    const { clock, campaign, leading, seen } = anElection()
    const random = new SeededRandom(7)
    const candidates = ['a', 'b', 'c'].map((identity) => campaign(identity))
    for (let step = 0; step < 400; step++) {
      const candidate = candidates[Math.floor(random.next() * candidates.length)]
      if (random.next() < 0.5) candidate?.disconnect()
      else candidate?.reconnect()
      await clock.advance(random.next() * 8_000)
      expect(leading.size).toBeLessThanOrEqual(1)
    }

    expect(seen.size).toBe(3)
  })

  test('stops leading when it cannot renew, and campaigns again', async () => {
    const { clock, campaign, leading } = anElection()
    const only = campaign('a')
    await clock.advance(1_000)
    only.disconnect()
    await clock.advance(12_000)
    expect(leading.size).toBe(0)

    only.reconnect()
    await clock.advance(20_000)
    expect([...leading]).toEqual(['a'])
    expect(only.elector.terms).toBe(2)
  })

  test('ends with the failure of what it runs, and gives the lease back', async () => {
    const { clock, campaign, server } = anElection()
    const broken: Runnable = { name: 'broken', run: async () => Promise.reject(new Error('no')) }
    const { ended } = campaign('a', [broken])
    const failure = ended.catch((error: unknown) => error)
    await clock.advance(1_000)

    expect(await failure).toMatchObject({ runnable: 'broken' })
    expect(server.lease?.spec.holderIdentity).toBeUndefined()
    stopping.length = 0
  })
})

/** One lease on a server that refuses writes to old versions. */
class LeaseServer {
  lease: Lease | undefined
  #version = 0

  clientFor(isCutOff: () => boolean) {
    const check = () => {
      if (isCutOff()) throw new ConnectionError('cut off')
    }
    const store = (lease: KubeObject): Lease => {
      const metadata = { ...lease.metadata, resourceVersion: String(++this.#version) }
      this.lease = { ...(lease as Lease), metadata }
      return this.lease
    }
    return {
      get: async <T>() => {
        check()
        if (this.lease === undefined) throw new ApiError(404, { reason: 'NotFound' })
        return this.lease as unknown as T
      },
      create: async <T>(_: unknown, lease: unknown) => {
        check()
        if (this.lease !== undefined) throw new ApiError(409, { reason: 'AlreadyExists' })
        return store(lease as Lease) as unknown as T
      },
      update: async <T extends KubeObject>(_: unknown, lease: T) => {
        check()
        if (lease.metadata.resourceVersion !== this.lease?.metadata.resourceVersion)
          throw new ApiError(409, { reason: 'Conflict' })
        return store(lease) as unknown as T
      },
    }
  }
}

function anElection() {
  const clock = new ManualClock()
  const server = new LeaseServer()
  const leading = new Set<string>()
  const seen = new Set<string>()
  let seed = 0
  const campaign = (identity: string, runnables?: readonly Runnable[]) => {
    let isCutOff = false
    const elector = createLeaderElector({
      client: server.clientFor(() => isCutOff),
      lease: { namespace: 'kube-system', name: 'outrigger' },
      identity,
      clock,
      random: new SeededRandom(++seed),
      logger: new MemoryLogger(),
    })
    const work: Runnable = {
      name: 'work',
      run: async (signal) => {
        leading.add(identity)
        seen.add(identity)
        await aborted(signal)
        leading.delete(identity)
      },
    }
    const controller = new AbortController()
    const ended = elector.runWhenLeader(runnables ?? [work]).run(controller.signal)
    const stop = async () => {
      controller.abort()
      await ended
    }
    stopping.push(stop)
    return {
      elector,
      ended,
      stop,
      disconnect: () => {
        isCutOff = true
      },
      reconnect: () => {
        isCutOff = false
      },
    }
  }
  return { clock, server, leading, seen, campaign }
}
