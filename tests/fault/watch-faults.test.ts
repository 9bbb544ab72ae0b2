import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiError, type ClusterClient, createClient, loadKubeconfig, type Reader } from '@outrigger/client'
import { createInformer, type RunnableInformer } from '@outrigger/controller'
import { SystemRandom, silentLogger } from '@outrigger/foundation'
import { type ConfigMap, resources } from '@outrigger/kube'
import { aConfigMap, eventually, startTestApiServer, type TestApiServer } from '@outrigger/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startOutrigger } from '../story/outrigger-process.ts'
import { type FaultyNetwork, startFaultyNetwork } from './faulty-network.ts'
import { HurriedClock } from './hurried-clock.ts'

/** Pings, silence and backoff pass twenty times as fast. */
const clock = new HurriedClock(20)
const timing = { clock, timeout: 15_000 * 20, every: 20 * 20 }
const random = new SystemRandom()
const logger = silentLogger
let server: TestApiServer
let admin: ClusterClient
let network: FaultyNetwork
let remote: ClusterClient
let stop = new AbortController()
let running: Promise<void> | undefined

beforeAll(async () => {
  server = await startTestApiServer()
  admin = await server.client()
  network = await startFaultyNetwork(Number(new URL(server.url).port))
  remote = createClient({
    config: {
      server: `https://127.0.0.1:${network.port}`,
      certificateAuthority: server.certificateAuthority,
      credentials: { token: server.token },
    },
    clock,
  })
})

afterEach(async () => {
  stop.abort()
  await running
  stop = new AbortController()
  network.restore()
})

afterAll(async () => {
  await remote.close()
  await network.close()
  await server.stop()
})

async function watchConfigMaps(client: Reader, namespace = 'default'): Promise<RunnableInformer<ConfigMap>> {
  const informer = createInformer<ConfigMap>({
    client,
    clock,
    random,
    logger,
    resource: resources.configMaps,
    namespace,
    silence: 600_000,
  })
  running = informer.run(stop.signal)
  await informer.synced
  return informer
}

const create = (name: string, data: Record<string, string> = {}) =>
  admin.create<ConfigMap>(resources.configMaps, aConfigMap({ name, data }))

async function isCurrent(informer: RunnableInformer<ConfigMap>, client: Reader = admin): Promise<boolean> {
  const { items } = await client.list<ConfigMap>(resources.configMaps, { namespace: 'default' })
  const versions = (objects: readonly ConfigMap[]) =>
    objects
      .map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`)
      .sort()
      .join()
  return versions(items) === versions(informer.store.list())
}

describe('a connection that stays open and delivers nothing', () => {
  it('is noticed, and the state is right after; a healthy quiet watch is left alone', async () => {
    const informer = await watchConfigMaps(remote)
    await create('before')
    await eventually('the first event', () => isCurrent(informer), timing)
    const { watches } = informer.counters
    // 80 seconds of this clock, in which pings are answered and nothing else happens.
    await clock.sleep(80_000)
    expect(informer.counters).toMatchObject({ watches, failures: 0, silences: 0 })
    network.freeze()
    await create('unheard')
    await eventually('the event after the silence', () => isCurrent(informer), timing)
    expect(informer.counters.failures + informer.counters.silences).toBeGreaterThan(0)
    expect(informer.counters.watches).toBeGreaterThan(watches)
  })
})

describe('a watch whose version has expired', () => {
  it('misses no deletion and tells of no change that was none', async () => {
    let expires = false
    const expiring: Reader = {
      get: (...args) => remote.get(...args),
      list: (...args) => remote.list(...args),
      watch: (resource, options) => {
        if (!expires) return remote.watch(resource, options)
        expires = false
        throw new ApiError(410, { reason: 'Expired', message: 'too old resource version' })
      },
    }
    for (const name of ['kept', 'changed', 'deleted', 'replaced']) await create(name)
    const informer = await watchConfigMaps(expiring)
    const told: string[] = []
    informer.onChange({
      onAdd: ({ metadata }) => told.push(`add ${metadata.name}`),
      onUpdate: ({ metadata }) => told.push(`update ${metadata.name}`),
      onDelete: ({ metadata }) => told.push(`delete ${metadata.name}`),
    })
    await create('heard')
    await eventually('an open watch', () => isCurrent(informer), timing)
    told.length = 0
    expires = true
    network.cut()
    const key = (name: string) => ({ namespace: 'default', name })
    await admin.patch(resources.configMaps, key('changed'), { type: 'merge', body: { data: { a: '2' } } })
    await admin.delete(resources.configMaps, key('deleted'))
    await admin.delete(resources.configMaps, key('replaced'))
    await create('replaced')
    await create('created')
    network.restore()
    await eventually('the same as the server', () => isCurrent(informer), timing)
    expect(informer.counters.relists).toBe(1)
    expect(told.sort()).toEqual([
      'add created',
      'add replaced',
      'delete deleted',
      'delete replaced',
      'update changed',
    ])
  })
})

describe('a server that answers 429 and 503', () => {
  it('is asked again when it says so, and no change is missed', async () => {
    let refusals = 0
    let calls = 0
    const refuse = () => {
      if (calls++ % 3 === 2) return
      refusals++
      throw new ApiError(refusals % 2 ? 429 : 503, { reason: 'TooManyRequests' }, 2_000)
    }
    const throttled: Reader = {
      get: (...args) => remote.get(...args),
      list: async (...args) => {
        refuse()
        return remote.list(...args)
      },
      watch: (...args) => {
        refuse()
        return remote.watch(...args)
      },
    }
    const startedAt = clock.monotonic()
    const informer = await watchConfigMaps(throttled)
    for (let i = 0; i < 20; i++) await create(`busy-${i}`)
    network.cut()
    network.restore()
    for (let i = 0; i < 20; i += 2)
      await admin.delete(resources.configMaps, { namespace: 'default', name: `busy-${i}` })
    await eventually('the same as the server', () => isCurrent(informer), timing)
    // Whoever is refused waits as long as asked.
    expect(clock.monotonic() - startedAt).toBeGreaterThanOrEqual(refusals * 2_000)
    expect(informer.counters.failures).toBeGreaterThanOrEqual(refusals)
  })
})

describe('an API server that is killed ten times', () => {
  it('costs few connections and watches, and the copy is right at the end', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'outrigger-fault-'))
    const port = await freePort()
    const kubeconfig = join(folder, 'kubeconfig')
    const start = async () => {
      const child = startOutrigger(
        ['apiserver', `--port=${port}`, `--data-dir=${join(folder, 'data')}`, `--kubeconfig=${kubeconfig}`],
        { PATH: process.env['PATH'] },
      )
      await child.saw(/The API server is up/, 20_000)
      return child
    }
    let apiServer = await start()
    const client = createClient({ config: loadKubeconfig({ environment: {}, path: kubeconfig }), clock })
    try {
      const informer = await watchConfigMaps(client)
      for (let round = 1; round <= 10; round++) {
        await apiServer.kill()
        apiServer = await start()
        const map = aConfigMap({ name: `round-${round}` })
        await eventually('a write', () => client.create<ConfigMap>(resources.configMaps, map), timing)
      }
      await eventually('the same as the server', () => isCurrent(informer, client), timing)
      expect(informer.store.size).toBeGreaterThanOrEqual(10)
      // A second of the server's absence is twenty of this clock; backoff grows to 30.
      expect(informer.counters.watches).toBeLessThan(100)
    } finally {
      stop.abort()
      await running
      await client.close()
      await apiServer.kill()
      await rm(folder, { recursive: true, force: true })
    }
  })
})

async function freePort(): Promise<number> {
  const probe = await startFaultyNetwork(1)
  await probe.close()
  return probe.port
}
