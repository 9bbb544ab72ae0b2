import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { type ClusterClient, createClient, loadKubeconfig } from '@outrigger/client'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import { type KubeObject, type Lease, type Pod, resources } from '@outrigger/kube'
import { eventually } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'
import { type Family, parsePrometheusText } from './prometheus-text.ts'
import { untilInjected } from './until-injected.ts'

const { sidecarSets } = outriggerResources
const clock = new SystemClock()
const directory = mkdtempSync(join(tmpdir(), 'outrigger-manager-'))
const kubeconfig = join(directory, 'kubeconfig')
const namespaces = ['shop', 'bank'] as const
let cluster: OutriggerProcess
let manager: OutriggerProcess
let client: ClusterClient

beforeAll(async () => {
  cluster = startOutrigger(
    [
      ...['up', '--runtime', 'sim', '--ephemeral', '--without', 'manager', '--port', '0'],
      ...['--data-dir', join(directory, 'data'), '--kubeconfig', kubeconfig],
    ],
    process.env,
  )
  await cluster.saw(/Outrigger is up/)
  client = createClient({
    config: loadKubeconfig({ path: kubeconfig, environment: {} }),
    clock,
    logger: silentLogger,
    userAgent: 'test',
  })
  manager = startOutrigger(
    [
      ...['manager', '--kubeconfig', kubeconfig, '--webhook-port=0', '--metrics-addr=127.0.0.1:0'],
      ...['--leader-elect-resource-name=of-this-test', '--leader-elect-lease-duration=20s'],
    ],
    process.env,
  )
  await manager.saw(/The manager is ready/)
  for (const name of namespaces) await create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
})

afterAll(async () => {
  await manager?.stop()
  await client?.close()
  await cluster?.stop()
  rmSync(directory, { recursive: true, force: true })
})

describe('a manager in a process of its own', () => {
  test('injects into pods of namespaces that are not its own', async () => {
    await create(logs)
    await untilInjected(client, 'logs', { namespace: 'shop', labels: { app: 'web' } })
    for (const namespace of namespaces)
      for (const name of ['web-0', 'web-1']) await createPod(namespace, name)

    const pods = await until('four running pods', allPods, (list) => list.every(isReady))
    expect(pods.map(imageOfSidecar)).toEqual(['logs:1', 'logs:1', 'logs:1', 'logs:1'])
  })

  test('counts them in the status', async () => {
    const { status } = await until('a status of four', readSet, ({ status: now }) => now?.readyPods === 4)
    expect(status).toMatchObject({ matchedPods: 4, updatedPods: 4, readyPods: 4, updatedReadyPods: 4 })
  })

  test('rolls a new image out in all of them, in place', async () => {
    const before = new Set((await allPods()).map(({ metadata }) => metadata.uid))
    await client.patch<SidecarSet>(sidecarSets, logsKey, {
      type: 'merge',
      body: { spec: { containers: [{ name: 'logs', image: 'logs:2' }] } },
    })

    const pods = await until('all pods updated', allPods, (list) =>
      list.every((pod) => imageOfSidecar(pod) === 'logs:2' && isReady(pod)),
    )
    expect(new Set(pods.map(({ metadata }) => metadata.uid))).toEqual(before)
    await until('a status of four', readSet, ({ status: now }) => now?.updatedReadyPods === 4)
  })

  test('holds the lease that its flags name, for as long as they say', async () => {
    const key = { namespace: 'kruise-system', name: 'of-this-test' }
    const { spec } = await client.get<Lease>(resources.leases, key)
    expect(spec).toMatchObject({ leaseDurationSeconds: 20, holderIdentity: expect.any(String) })
  })

  test('shows on a page that scrapers read what it has done', async () => {
    const families = parsePrometheusText(await scrape())

    for (const name of expected) expect([...families.keys()]).toContain(name)
    expect(numberOf(families, 'leader_election_master_status', { name: 'of-this-test' })).toBe(1)
    expect(numberOf(families, 'outrigger_ready', {})).toBe(1)
    const reconciles = families.get('controller_runtime_reconcile_total')?.series ?? []
    expect(
      reconciles.filter(({ labels }) => labels['result'] === 'success').some(({ value }) => value > 0),
    ).toBe(true)
    const created = { operation: 'CREATE', allowed: 'true' }
    const reviews = families.get('outrigger_webhook_reviews_total')?.series ?? []
    expect(
      reviews
        .filter(
          ({ labels }) => labels['webhook']?.includes('pod') && labels['operation'] === created.operation,
        )
        .reduce((sum, { value }) => sum + value, 0),
    ).toBeGreaterThanOrEqual(4)
    expect(numberOf(families, 'outrigger_informer_synced', { resource: 'pods' })).toBe(1)
    expect(numberOf(families, 'outrigger_informer_objects', { resource: 'pods' })).toBe(4)
  })

  test('and counters on it only grow', async () => {
    const first = parsePrometheusText(await scrape())
    await createPod('shop', 'web-2')
    const second = parsePrometheusText(await scrape())

    for (const [name, { type, series }] of first) {
      if (type !== 'counter') continue
      for (const { labels, value } of series)
        expect(numberOf(second, name, labels), name).toBeGreaterThanOrEqual(value)
    }
  })
})

test('opens no port for metrics or probes that are switched off', async () => {
  for (const off of [['--metrics-addr=0'], ['--metrics-addr=0', '--health-probe-addr=0']]) {
    const part = startOutrigger(
      ['manager', '--kubeconfig', kubeconfig, '--no-leader-elect', '--webhook-port=0', ...off],
      process.env,
    )
    await part.saw(/The manager is ready/)
    expect(part.output()).not.toMatch(/"(?:metrics|probe) server listens"/)
    expect(await part.stop()).toBe(0)
  }
})

test.each([
  [['--leader-elect-renew-deadline=30s'], /the lease cannot be kept: .*; look at the --leader-elect- flags/],
  [['--leader-elect-retry-period=soon'], /--leader-elect-retry-period soon is not a duration/],
])('refuses %s in one line', async (flags, line) => {
  const part = startOutrigger(
    ['manager', '--kubeconfig', kubeconfig, '--webhook-port=0', ...flags],
    process.env,
  )
  await part.saw(line)

  expect(await part.ended).toBe(1)
  expect(part.output()).not.toMatch(/^\s+at /m)
})

const expected = [
  'controller_runtime_reconcile_total',
  'controller_runtime_reconcile_errors_total',
  'controller_runtime_reconcile_time_seconds',
  'controller_runtime_max_concurrent_reconciles',
  'controller_runtime_active_workers',
  'workqueue_depth',
  'workqueue_adds_total',
  'workqueue_retries_total',
  'workqueue_queue_duration_seconds',
  'workqueue_work_duration_seconds',
  'workqueue_unfinished_work_seconds',
  'workqueue_longest_running_processor_seconds',
  'controller_runtime_webhook_requests_total',
  'controller_runtime_webhook_latency_seconds',
  'controller_runtime_webhook_requests_in_flight',
  'rest_client_requests_total',
  'leader_election_master_status',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
  'nodejs_eventloop_lag_seconds',
]

const logsKey = { namespace: '', name: 'logs' }

const logs: SidecarSet = {
  apiVersion: 'apps.kruise.io/v1alpha1',
  kind: 'SidecarSet',
  metadata: { name: 'logs' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    updateStrategy: { type: 'RollingUpdate', maxUnavailable: 2 },
    containers: [{ name: 'logs', image: 'logs:1' }],
  },
}

async function create(object: KubeObject): Promise<void> {
  const resource = object.kind === 'SidecarSet' ? sidecarSets : resources.namespaces
  await client.create(resource, object)
}

async function createPod(namespace: string, name: string): Promise<void> {
  await client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels: { app: 'web' } },
    spec: { containers: [{ name: 'web', image: 'web:1' }] },
  })
}

async function allPods(): Promise<readonly Pod[]> {
  return (await client.list<Pod>(resources.pods, { labelSelector: 'app=web' })).items
}

function readSet(): Promise<SidecarSet> {
  return client.get<SidecarSet>(sidecarSets, logsKey)
}

function until<T>(what: string, read: () => Promise<T>, isRight: (value: T) => boolean): Promise<T> {
  return eventually(
    what,
    async () => {
      const value = await read()
      return isRight(value) ? { value } : false
    },
    { clock, timeout: 30_000, every: 100 },
  ).then(({ value }) => value)
}

async function scrape(): Promise<string> {
  const port = /"metrics server listens".*?port=(\d+)/.exec(manager.output())?.[1]
  const page = await fetch(`http://127.0.0.1:${port}/metrics`)
  expect(page.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  return page.text()
}

function numberOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>>,
): number | undefined {
  const wanted = Object.entries(labels)
  return families
    .get(name)
    ?.series.find(
      (one) =>
        Object.keys(one.labels).length === wanted.length &&
        wanted.every(([label, text]) => one.labels[label] === text),
    )?.value
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
}

function imageOfSidecar({ spec }: Pod): string | undefined {
  return spec.containers.find(({ name }) => name === 'logs')?.image
}
