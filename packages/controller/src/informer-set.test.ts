import { SeededRandom } from '@outrigger/foundation'
import { ManualClock, MemoryLogger, settle } from '@outrigger/foundation/testing'
import { type KubeObject, resources } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { createInformers } from './informer-set.ts'
import { ScriptedServer } from './testing/scripted-server.ts'

describe('InformerSet', () => {
  test('watches once what is asked for twice, and finds by the indexes of both', async () => {
    const { informers, server, run } = aSet()
    const first = informers.for(resources.pods, {
      indexes: { 'by-name': (pod: KubeObject) => [pod.metadata.name] },
    })
    const second = informers.for(resources.pods, {
      indexes: { 'by-uid': (pod: KubeObject) => [pod.metadata.uid ?? ''] },
    })
    server.put('a')
    const { stop } = run()
    await settle()

    expect(first).toBe(second)
    expect(server.watches.length).toBe(1)
    expect(first.store.byIndex('by-uid', 'uid-a')).toEqual(first.store.byIndex('by-name', 'a'))
    await stop()
  })

  test('starts what is asked for later at once, and waits for all', async () => {
    const { informers, server, run } = aSet()
    const { stop } = run()
    const late = informers.for(resources.pods, { labelSelector: 'app=web' })
    const other = informers.for(resources.pods, { namespace: 'x' })

    expect(await informers.waitForSync(new AbortController().signal)).toBe(true)
    expect([late.hasSynced, other.hasSynced, server.lists.length]).toEqual([true, true, 2])
    await stop()
    expect(server.open).toBe(0)
  })

  test('watches everything, whatever other settings the caller keeps beside its client', async () => {
    const { informers, server, run } = aSet({ namespace: 'kruise-system', labelSelector: 'a=b' })
    informers.for(resources.pods)
    const { stop } = run()
    await settle()

    expect(server.watches[0]).not.toHaveProperty('namespace')
    expect(server.watches[0]).not.toHaveProperty('labelSelector')
    await stop()
  })

  test('stops waiting when it is told to', async () => {
    const { informers } = aSet()
    informers.for(resources.pods)

    expect(await informers.waitForSync(AbortSignal.abort())).toBe(false)
  })
})

function aSet(more: object = {}) {
  const server = new ScriptedServer()
  const informers = createInformers({
    ...more,
    client: server,
    clock: new ManualClock(),
    random: new SeededRandom(),
    logger: new MemoryLogger(),
  })
  const run = () => {
    const controller = new AbortController()
    const ended = informers.run(controller.signal)
    return {
      stop: async () => {
        controller.abort()
        await ended
      },
    }
  }
  return { informers, server, run }
}
