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
})

const signal = new AbortController().signal

/** An inventory over a runtime that holds one container, named like its pod, in each sandbox. */
function anInventory() {
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
      return { status: { ...container(String(containerId)), metadata: { name: containerId } } }
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
  const add = (name: string) => void states.set(name, 'CONTAINER_RUNNING')
  return { inventory: new PodInventory({ channel, nodeName: 'n' }), runtime: { states, asked, add } }
}
