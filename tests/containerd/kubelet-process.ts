import { createClient } from '@outrigger/client'
import { SystemRandom, silentLogger } from '@outrigger/foundation'
import { createKubelet } from '@outrigger/kubelet'
import { DiskPodFiles } from '@outrigger/kubelet/runtime'
import { createCriRuntime } from '@outrigger/runtime-cri'
import { clock } from './a-node.ts'

/** A kubelet in a process of its own, to be killed in the middle of its work. Says `ready` on standard output. */
const [endpoint = '', root = '', nodeName = '', url = '', token = '', authority = ''] = process.argv.slice(2)
const kubelet = createKubelet({
  client: createClient({
    config: {
      server: url,
      certificateAuthority: Buffer.from(authority, 'base64').toString(),
      credentials: { token },
    },
    clock,
  }),
  runtime: createCriRuntime({
    endpoint,
    nodeName,
    files: new DiskPodFiles({ root }),
    clock,
    logger: silentLogger,
  }),
  node: {
    name: nodeName,
    isVirtual: false,
    capacity: { cpu: '4', memory: '4Gi', pods: '110' },
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
  },
  clock,
  random: new SystemRandom(),
  logger: silentLogger,
})
void kubelet.ready.then(() => process.stdout.write('ready\n'))
await kubelet.run(new AbortController().signal)
