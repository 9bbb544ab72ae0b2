import { resources } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { aNode, type TestNode } from './testing/a-node.ts'
import { aContainer, aPod } from './testing/a-pod.ts'

let node: TestNode
afterEach(() => node.stop())

describe('a pod on a node', () => {
  test('runs, becomes ready and goes when it is deleted', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod())
    await node.pass(1)

    expect(node.pod()?.status).toMatchObject({
      phase: 'Running',
      observedGeneration: 1,
      hostIP: '10.0.0.1',
      containerStatuses: [{ name: 'main', ready: true, started: true, restartCount: 0 }],
    })
    expect(node.events()).toEqual([
      'Normal Pulled: Container image "busybox:1.36" already present on machine and can be accessed by the pod',
      'Normal Created: Container created',
      'Normal Started: Container started',
    ])

    node.api.deletePod(resources.pods, 'demo/a')
    await node.pass(2)

    expect(node.pod()).toBeUndefined()
    expect(node.events().at(-1)).toBe('Normal Killing: Stopping container main')
    expect(await node.runtime.list(new AbortController().signal)).toEqual([])
    const last = node.api.writes.filter((each) => each.resource === 'pods').slice(-2)
    expect(last[0]?.body).toMatchObject({ status: { phase: 'Succeeded' } })
    expect(last[1]).toMatchObject({ verb: 'delete', body: 0 })
    expect(node.kubelet.podCount).toBe(0)
  })

  test('keeps its status when nothing happens: idle pods cost no writes', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod())
    await node.pass(2)
    const writes = node.api.writes.filter((each) => each.resource === 'pods').length
    await node.pass(120)

    expect(node.api.writes.filter((each) => each.resource === 'pods').length).toBe(writes)
  })

  test('restarts a failing container at once, then after 10, 20 and 40 seconds', async () => {
    node = await aNode()
    node.api.put(
      resources.pods,
      aPod({ containers: [aContainer({ command: ['sh', '-c', 'echo boom; exit 1'] })] }),
    )
    const counts: number[] = []
    for (let second = 0; second < 75; second++) {
      await node.pass(1)
      counts.push(node.pod()?.status?.containerStatuses?.[0]?.restartCount ?? 0)
    }

    expect([1, 8, 11, 28, 32, 68, 72].map((second) => counts[second])).toEqual([1, 1, 2, 2, 3, 3, 4])
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting).toMatchObject({
      reason: 'CrashLoopBackOff',
      message: 'back-off 1m20s restarting failed container=main pod=a_demo(uid-a)',
    })
  })

  test('holds a failing container back as before when the kubelet was restarted', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod({ containers: [aContainer({ command: ['sh', '-c', 'exit 1'] })] }))
    await node.pass(35)
    expect(node.pod()?.status?.containerStatuses?.[0]?.restartCount).toBe(3)
    node = await node.restart()
    const counts: number[] = []
    for (let second = 0; second < 40; second++) {
      await node.pass(1)
      counts.push(node.pod()?.status?.containerStatuses?.[0]?.restartCount ?? 0)
    }

    expect(counts[20]).toBe(3)
    expect(counts.at(-1)).toBe(4)
    expect(node.pod()?.status?.containerStatuses?.[0]?.state?.waiting?.message).toContain('back-off 1m20s')
  })

  test('replaces the one container whose image changed', async () => {
    node = await aNode()
    const pod = aPod({ containers: [aContainer({ name: 'one' }), aContainer({ name: 'two' })] })
    node.api.put(resources.pods, pod)
    await node.pass(1)
    const before = node.pod()?.status?.containerStatuses
    const changed = structuredClone(node.pod()!)
    changed.spec.containers[1]!.image = 'busybox:1.37'
    node.api.put(resources.pods, changed)
    await node.pass(3)

    const after = node.pod()?.status
    expect(after?.observedGeneration).toBe(2)
    expect(after?.containerStatuses?.[0]).toMatchObject({
      containerID: before?.[0]?.containerID,
      restartCount: 0,
    })
    expect(after?.containerStatuses?.[1]).toMatchObject({
      restartCount: 1,
      image: 'docker.io/library/busybox:1.37',
      lastState: { terminated: { exitCode: 0 } },
    })
    expect(node.events()).toContain('Normal Killing: Container two definition changed, will be restarted')
  })

  test('is found again by a kubelet that was restarted, and started only once', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod())
    await node.pass(1)
    const before = node.pod()?.status?.containerStatuses?.[0]
    node = await node.restart()
    await node.pass(15)

    expect(node.pod()?.status?.containerStatuses?.[0]).toEqual(before)
    expect((await node.runtime.list(new AbortController().signal)).length).toBe(1)
  })

  test('that vanished while the kubelet was away is stopped and cleared', async () => {
    node = await aNode()
    node.api.put(resources.pods, aPod())
    await node.pass(1)
    await node.stop()
    node.api.remove(resources.pods, 'demo/a')
    node = await aNode({}, node)
    await node.pass(3)

    expect(await node.runtime.list(new AbortController().signal)).toEqual([])
    expect(await node.runtime.files.pods()).toEqual([])
  })
})
