import { silentLogger } from '@outrigger/foundation'
import { ManualClock, settle } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import type { CriChannel } from './cri-channel.ts'
import type { ContainerState, Envelope } from './generated/cri-messages.ts'
import { PodChanges } from './pod-changes.ts'
import { PodInventory } from './pod-inventory.ts'

describe('PodChanges', () => {
  test('names a pod only once the runtime has taken note of the end', async () => {
    const { clock, runtime, heard, stop } = await following()
    heard.length = 0
    runtime.emit('TaskExit', { containerId: 'web', id: 'web' })
    await clock.advance(50)
    expect(heard).toEqual([])

    runtime.state = 'CONTAINER_EXITED'
    await clock.advance(50)
    expect(heard).toEqual(['uid-web'])
    await stop()
  })

  test('does not mind commands that end inside a container', async () => {
    const { clock, runtime, heard, stop } = await following()
    heard.length = 0
    runtime.emit('TaskExit', { containerId: 'web', id: 'some-exec' })
    runtime.emit('TaskExit', { containerId: 'unknown', id: 'unknown' })
    await clock.advance(3000)
    expect(heard).toEqual([])
    await stop()
  })

  test('finds a missed change by comparing, after ten seconds at most', async () => {
    const { clock, runtime, heard, stop } = await following()
    heard.length = 0
    runtime.state = 'CONTAINER_EXITED'
    await clock.advance(9000)
    expect(heard).toEqual([])
    await clock.advance(1000)
    expect(heard).toEqual(['uid-web'])
    await stop()
  })

  test('compares every second while no events are heard, and listens again', async () => {
    const { clock, runtime, heard, stop } = await following()
    runtime.fail()
    await clock.advance(10_000)
    heard.length = 0
    expect(runtime.subscriptions).toBeGreaterThan(10)
    runtime.state = 'CONTAINER_EXITED'
    await clock.advance(1000)
    expect(heard).toEqual(['uid-web'])
    await stop()
  })
})

/** A follower of a runtime that holds one container, `web`, and emits what the test wants. */
async function following() {
  const clock = new ManualClock()
  const runtime = aRuntime()
  const inventory = new PodInventory({ channel: runtime.channel, nodeName: 'n', clock })
  const changes = new PodChanges({ channel: runtime.channel, inventory, clock, logger: silentLogger })
  const controller = new AbortController()
  const heard: string[] = []
  const done = (async () => {
    for await (const uid of changes.follow(controller.signal)) heard.push(uid)
  })()
  await settle()
  return {
    clock,
    runtime,
    heard,
    stop: async () => {
      controller.abort()
      await clock.advance(5000)
      await done
    },
  }
}

function aRuntime() {
  const waiting: Envelope[] = []
  let wake = () => {}
  let isBroken = false
  const labels = { 'io.kubernetes.pod.uid': 'uid-web' }
  const runtime = {
    state: 'CONTAINER_RUNNING' as ContainerState,
    subscriptions: 0,
    emit: (type: string, task: object) => {
      waiting.push({
        event: { typeUrl: `containerd.events.${type}`, value: Buffer.from(JSON.stringify(task)) },
      })
      wake()
    },
    fail: () => {
      isBroken = true
      wake()
    },
    channel: {
      call: async (method: string) => {
        if (method === 'ListContainers')
          return { containers: [{ id: 'web', podSandboxId: 's', state: runtime.state, labels }] }
        if (method === 'ListPodSandbox') return { items: [{ id: 's', metadata: { uid: 'uid-web' } }] }
        return { status: { id: 'web', state: runtime.state } }
      },
      decode: async (_: string, bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()),
      async *stream(_method: string, _request: object, { signal }: { signal: AbortSignal }) {
        runtime.subscriptions++
        while (!signal.aborted) {
          if (isBroken) throw new Error('broken')
          const next = waiting.shift()
          if (next !== undefined) yield next
          else
            await new Promise<void>((resolve) => {
              wake = resolve
              signal.addEventListener('abort', () => resolve(), { once: true })
            })
        }
      },
    } as unknown as CriChannel,
  }
  return runtime
}
