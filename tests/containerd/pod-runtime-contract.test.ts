import { podRuntimeContract } from '@outrigger/kubelet/runtime-contract'
import { afterAll, describe } from 'vitest'
import { aNode, clock, image, mustSkip, type Node } from './a-node.ts'

let node: Promise<Node> | undefined

describe.skipIf(await mustSkip('pod-runtime-contract.test.ts'))('containerd over CRI', () => {
  afterAll(async () => {
    await (await node)?.remove()
  })

  podRuntimeContract('a real containerd', async () => {
    node ??= aNode()
    return {
      runtime: (await node).runtime,
      image,
      wait: async (done) => {
        for (let step = 0; step < 500 && !(await done()); step++) await clock.sleep(20)
      },
      close: async () => {},
    }
  })
})
