import { ManualClock, settle } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import type { CriChannel } from './cri-channel.ts'
import type { Container, ContainerState, PodSandbox } from './generated/cri-messages.ts'
import { PodInventory } from './pod-inventory.ts'

describe('PodInventory', () => {
  test('asks for the status of a container once per state', async () => {
    const { inventory, runtime } = anInventory()
    runtime.add('web')
    await inventory.list(signal)
    await inventory.list(signal)
    await inventory.list(signal)
    expect(runtime.asked).toEqual(['sandbox-web', 'web'])

    runtime.states.set('web', 'CONTAINER_EXITED')
    const [sandbox] = await inventory.list(signal)
    await inventory.list(signal)
    expect(sandbox?.containers[0]?.state).toBe('exited')
    expect(runtime.asked).toEqual(['sandbox-web', 'web', 'web'])
  })

  test('knows the pod of everything it saw, and forgets what is gone', async () => {
    const { inventory, runtime } = anInventory()
    runtime.add('web')
    await inventory.list(signal)
    expect([inventory.ownerOf('web'), inventory.ownerOf('sandbox-web')]).toEqual(['uid-web', 'uid-web'])

    runtime.states.clear()
    expect(await inventory.list(signal)).toEqual([])
    expect(inventory.ownerOf('web')).toBeUndefined()
  })

  test('keeps what was made while a list was under way', async () => {
    const { inventory, runtime } = anInventory()
    const listing = inventory.list(signal)
    inventory.noteSandbox('sandbox-new', 'uid-new', ['10.0.0.9'])
    await listing
    expect(inventory.ownerOf('sandbox-new')).toBe('uid-new')
    runtime.add('new')
    expect((await inventory.list(signal))[0]?.ips).toEqual(['10.0.0.9'])
    expect(runtime.asked).toEqual(['new'])
  })

  test('asks for one pod only when told so, and forgets nothing then', async () => {
    const { inventory, runtime } = anInventory()
    runtime.add('web')
    runtime.add('db')
    await inventory.list(signal)
    expect((await inventory.list(signal, 'uid-db')).map(({ id }) => id)).toEqual(['sandbox-db'])
    expect(inventory.ownerOf('web')).toBe('uid-web')
  })

  describe('of a container that was killed', () => {
    test('waits for the word that memory was the reason', async () => {
      const { inventory, runtime, clock } = anInventory()
      runtime.kill('web')
      const listing = inventory.list(signal)
      await clock.advance(25)
      runtime.reason = 'OOMKilled'
      await clock.advance(50)
      expect((await listing)[0]?.containers[0]).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
    })

    test('believes after two thirds of a second that there was another reason', async () => {
      const { inventory, runtime, clock } = anInventory()
      runtime.kill('web')
      let isListed = false
      const listing = inventory.list(signal).finally(() => {
        isListed = true
      })
      await clock.advance(620)
      await settle()
      expect(isListed).toBe(false)
      await clock.advance(20)
      expect((await listing)[0]?.containers[0]).toMatchObject({ exitCode: 137, reason: 'Error' })
    })

    test('waits for nothing where it was asked to stop, or ended long ago', async () => {
      const asked = anInventory()
      asked.runtime.kill('web')
      asked.inventory.noteStop('web')
      expect((await asked.inventory.list(signal))[0]?.containers[0]?.reason).toBe('Error')

      const old = anInventory()
      old.runtime.kill('web')
      await old.clock.advance(2_000)
      expect((await old.inventory.list(signal))[0]?.containers[0]?.reason).toBe('Error')
    })
  })
})

const signal = new AbortController().signal

/** An inventory over a runtime that holds one container, named like its pod, in each sandbox. */
function anInventory() {
  const clock = new ManualClock()
  const states = new Map<string, ContainerState>()
  const asked: string[] = []
  const labels = (name: string) => ({ 'io.kubernetes.pod.uid': `uid-${name}` })
  const sandbox = (name: string): PodSandbox => ({
    id: `sandbox-${name}`,
    metadata: { name, namespace: 'default', uid: `uid-${name}` },
    createdAt: 1e6,
  })
  const container = (name: string): Container => ({
    id: name,
    podSandboxId: `sandbox-${name}`,
    state: states.get(name),
    labels: labels(name),
    createdAt: 2e6,
  })
  const answers: Record<string, (request: Record<string, unknown>, names: string[]) => unknown> = {
    ListContainers: (_, names) => ({ containers: names.map(container) }),
    ListPodSandbox: (_, names) => ({ items: names.map(sandbox) }),
    ContainerStatus: ({ containerId }) => {
      asked.push(String(containerId))
      return {
        status: { ...container(String(containerId)), metadata: { name: containerId }, ...runtime.end() },
      }
    },
    PodSandboxStatus: ({ podSandboxId }) => {
      asked.push(String(podSandboxId))
      return { status: { network: { ip: '10.0.0.2' } } }
    },
  }
  const call = async (method: string, request: object) => {
    const { filter } = request as { filter?: { labelSelector?: Record<string, string> } }
    const uid = filter?.labelSelector?.['io.kubernetes.pod.uid']
    const names = [...states.keys()].filter((name) => uid === undefined || uid === `uid-${name}`)
    return answers[method]?.(request as Record<string, unknown>, names)
  }
  const channel = { call } as unknown as Pick<CriChannel, 'call'>
  let killedAt: number | undefined
  const runtime = {
    states,
    asked,
    reason: 'Error',
    add: (name: string) => void states.set(name, 'CONTAINER_RUNNING'),
    kill: (name: string) => {
      states.set(name, 'CONTAINER_EXITED')
      killedAt = clock.now()
    },
    end: () =>
      killedAt === undefined ? {} : { exitCode: 137, reason: runtime.reason, finishedAt: killedAt * 1e6 },
  }
  return { inventory: new PodInventory({ channel, nodeName: 'n', clock }), runtime, clock }
}
