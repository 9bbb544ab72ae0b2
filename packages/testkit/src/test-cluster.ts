import { grantsFor, outriggerResources, type SidecarSetResourceBinding } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
import { createControlPlane, type VolumeFolders } from '@outrigger/control-plane'
import { createInformer, runAll } from '@outrigger/controller'
import type { Runnable } from '@outrigger/foundation'
import { createKubelet, type ReferencePolicy, virtualCapacity } from '@outrigger/kubelet'
import { createManager, type ManagerOptions } from '@outrigger/operator'
import { createSimRuntime, type SimRuntime, type SimRuntimeOptions } from '@outrigger/runtime-sim'
import { fixedCertificate } from '@outrigger/webhook'
import { startTestApiServer, type TestApiServer, type TestApiServerOptions } from './test-api-server.ts'

/** Simulated nodes keep their files in memory, and make folders themselves when they mount them. */
const simulatedFolders: VolumeFolders = {
  path: (name) => `/volumes/${name}`,
  make: async () => {},
  remove: async () => {},
}

export interface TestClusterOptions extends TestApiServerOptions {
  /** Defaults to a regular node `node-1` and a virtual node `virtual-1`. */
  readonly nodes?: readonly { readonly name: string; readonly isVirtual: boolean }[]
  /** Whether Outrigger's own manager runs. Defaults to true. */
  readonly hasManager?: boolean
  /** Settings of that manager. */
  readonly manager?: Pick<ManagerOptions, 'replacesOverflowPods' | 'evictsMissedPods' | 'recreatesPods'>
  readonly runtime?: Pick<SimRuntimeOptions, 'behaviors' | 'pullDelay' | 'sandboxDelay' | 'unpullable'>
}

/** A whole cluster in this process: API server, controllers, scheduler, manager, nodes with simulated containers. */
export interface TestCluster extends TestApiServer {
  /** The administrator's client. */
  readonly admin: ClusterClient
  /** The simulated containers of each node, by node name. */
  readonly runtimes: ReadonlyMap<string, SimRuntime>
}

const managerUser = 'outrigger-manager'
const defaultNodes = [
  { name: 'node-1', isVirtual: false },
  { name: 'virtual-1', isVirtual: true },
]

/** Starts one; resolves when its nodes are registered and pods created from now on are injected. */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const server = await startTestApiServer(options)
  const stopping = new AbortController()
  const ended: Promise<void>[] = []
  const start = (runnable: Runnable) => {
    const run = runnable.run(stopping.signal)
    // A part that fails shows in what the test waits for; its error is thrown by `stop`.
    run.catch(() => {})
    ended.push(run)
  }
  const runtimes = new Map<string, SimRuntime>()
  const nodes = await Promise.all(
    (options.nodes ?? defaultNodes).map(async (node, index) => {
      const runtime = createSimRuntime({
        clock: server.clock,
        random: server.random,
        addressBlock: index,
        ...options.runtime,
      })
      runtimes.set(node.name, runtime)
      return testNode(server, node, runtime)
    }),
  )
  const admin = await server.client()
  start(
    createControlPlane({
      ...server,
      client: admin,
      rootCa: server.certificateAuthority,
      volumeFolders: simulatedFolders,
    }),
  )
  for (const node of nodes) start(node)
  const ready: Promise<void>[] = nodes.map((node) => node.ready)
  if (options.hasManager ?? true) {
    const manager = await testManager(server, options.manager)
    start(manager)
    ready.push(manager.ready)
  }
  await Promise.all(ready)
  return {
    ...server,
    admin,
    runtimes,
    async stop() {
      stopping.abort(new Error('the test is over'))
      await Promise.all(ended)
      await Promise.all([...runtimes.values()].map((runtime) => runtime.close()))
      await server.stop()
    },
  }
}

async function testManager(server: TestApiServer, settings: TestClusterOptions['manager']) {
  const serving = await server.issue({
    commonName: 'webhook',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  })
  return createManager({
    ...settings,
    clock: server.clock,
    random: server.random,
    logger: server.logger,
    // The manager's own rights are proven elsewhere; here it must not hide what a test is about.
    client: await server.client({ name: managerUser, groups: ['system:masters'] }),
    userName: managerUser,
    identity: 'testkit',
    leaderElection: false,
    webhook: {
      listen: { host: '127.0.0.1', port: 0 },
      target: (port) => ({ url: `https://127.0.0.1:${port}` }),
      certificate: fixedCertificate(serving, server.certificateAuthority),
    },
  })
}

async function testNode(
  server: TestApiServer,
  { name, isVirtual }: { name: string; isVirtual: boolean },
  runtime: SimRuntime,
) {
  const { clock, random, logger } = server
  const client = await server.client({
    name: `system:node:${name}`,
    groups: ['system:nodes', 'system:masters'],
  })
  const serving = await server.issue({
    commonName: `system:node:${name}`,
    dnsNames: [name],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  })
  const bindings = createInformer<SidecarSetResourceBinding>({
    client,
    resource: outriggerResources.sidecarSetResourceBindings,
    clock,
    random,
    logger,
  })
  const policy: ReferencePolicy = {
    review(pod, asked) {
      const found = grantsFor(pod, bindings.store.list()).find(
        ({ reference }) => reference.namespace === asked.namespace && reference.name === asked.name,
      )
      if (found === undefined) return { isAllowed: false, because: 'no SidecarSet brought the reference' }
      return found.decision === 'granted' ? { isAllowed: true } : { isAllowed: false, because: found.message }
    },
    onChange: (listener) => bindings.onChange({ onAdd: listener, onUpdate: listener, onDelete: listener }),
  }
  const kubelet = createKubelet({
    client,
    runtime,
    clock,
    random,
    logger,
    node: {
      name,
      isVirtual,
      capacity: isVirtual ? virtualCapacity : { cpu: '16', memory: '64Gi', pods: '1000' },
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    },
    server: {
      host: '127.0.0.1',
      port: 0,
      tls: { certificate: serving.certificate, key: serving.privateKey },
      clientCa: server.certificateAuthority,
    },
    ...(isVirtual && { referencePolicy: policy }),
  })
  return {
    name: `node ${name}`,
    ready: kubelet.ready,
    run: (signal: AbortSignal) => runAll(isVirtual ? [bindings, kubelet] : [kubelet], signal),
  }
}
