import { ApiError } from '@outrigger/client'
import { type Lease, resources } from '@outrigger/kube'
import { afterEach, expect, test } from 'vitest'
import { aNode, type TestNode } from './testing/a-node.ts'
import { aPod } from './testing/a-pod.ts'

let node: TestNode | undefined

afterEach(() => node?.stop())

test('a server that answers 429 and 503 for five minutes leaves the node ready, its lease kept and no change missed', async () => {
  node = await aNode()
  node.api.put(resources.pods, aPod({}, { name: 'before' }))
  await node.pass(2)
  let longest = 0
  let renewed = renewTime(node)
  let renewedAt = node.clock.now()
  for (let second = 0; second < 300; second++) {
    const isRefused = second % 4 !== 3
    node.api.fail(isRefused ? new ApiError(second % 2 ? 429 : 503, { reason: 'Busy' }, 2_000) : undefined)
    if (second === 100) node.api.put(resources.pods, aPod({}, { name: 'meanwhile', uid: 'uid-b' }))
    await node.pass(1)
    if (renewTime(node) === renewed) continue
    longest = Math.max(longest, node.clock.now() - renewedAt)
    renewed = renewTime(node)
    renewedAt = node.clock.now()
  }
  node.api.fail(undefined)
  await node.pass(30)

  expect(longest).toBeLessThan(40_000)
  expect(node.node()?.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True')
  expect(node.pod('before')?.status?.phase).toBe('Running')
  expect(node.pod('meanwhile')?.status?.phase).toBe('Running')
})

const renewTime = ({ api }: TestNode) => api.all<Lease>(resources.leases)[0]?.spec?.renewTime
