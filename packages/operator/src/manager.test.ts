import { ApiError, type Client } from '@outrigger/client'
import { SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import { createManager } from './manager.ts'
import type { ManagerOptions } from './manager-options.ts'

describe('createManager', () => {
  test('tells its numbers before it runs: every informer, the lease, no leader', () => {
    const { statistics } = aManager({ lease: { name: 'mine' } })

    expect(statistics).toMatchObject({
      isReady: false,
      leaderElection: { name: 'mine', isLeader: false, leader: undefined, terms: 0 },
      controllers: [],
      events: { written: 0, dropped: 0 },
    })
    expect(statistics.informers).toContainEqual(
      expect.objectContaining({ resource: 'sidecarsets.apps.kruise.io', hasSynced: false, lists: 0 }),
    )
    expect(aManager({ leaderElection: false }).statistics.leaderElection.isLeader).toBe(true)
  })

  test('refuses durations of a lease that cannot work', () => {
    expect(() => aManager({ lease: { duration: 5_000, renewDeadline: 10_000 } })).toThrow(
      'the lease duration must be longer than the renew deadline',
    )
  })
})

function aManager(more: Partial<ManagerOptions>) {
  return createManager({
    client: unreachable,
    clock: new ManualClock(),
    random: new SeededRandom(),
    logger: silentLogger,
    identity: 'host_1',
    userName: 'manager',
    webhook: { listen: { port: 0 } },
    ...more,
  })
}

const refuse = async () => {
  throw new ApiError(503, { reason: 'ServiceUnavailable' })
}
const unreachable: Client = {
  get: refuse,
  list: refuse,
  // biome-ignore lint/correctness/useYield: there is nothing to yield.
  async *watch() {
    await refuse()
  },
  create: refuse,
  update: refuse,
  patch: refuse,
  delete: refuse,
  deleteCollection: refuse,
  createSubresource: refuse,
  raw: refuse,
  serves: refuse,
  close: async () => {},
}
