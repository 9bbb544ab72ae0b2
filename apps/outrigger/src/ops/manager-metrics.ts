import type { Clock } from '@outrigger/foundation'
import type { ClientTraffic, ResourceTraffic } from './observed-client.ts'
import type { OpsAnswer } from './ops-server.ts'

export interface ManagerMetricsOptions {
  readonly clock: Clock
  readonly version: string
  /** Host and port of the API server. */
  readonly host: string
  readonly traffic: ClientTraffic
  readonly isReady: () => boolean
}

/**
 * The page of `/metrics` in Prometheus' text form. Numbers are read when the page is asked for, so that
 * measuring costs nothing in between. The library is loaded by the first manager that has the page.
 */
export async function createManagerMetrics(
  options: ManagerMetricsOptions,
): Promise<() => Promise<OpsAnswer>> {
  const loaded: typeof import('prom-client') & { readonly default?: typeof import('prom-client') } =
    await import('prom-client')
  const prom = loaded.default ?? loaded
  const register = new prom.Registry()
  prom.collectDefaultMetrics({ register })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new prom.Gauge({ name, help, labelNames: [...labelNames], registers: [register] })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new prom.Counter({ name, help, labelNames: [...labelNames], registers: [register] })

  gauge('outrigger_build_info', 'The release that runs; always 1.', ['version']).set(
    { version: options.version },
    1,
  )
  const ready = gauge('outrigger_ready', 'Whether caches are filled and webhooks registered (1) or not (0).')
  const requests = counter('rest_client_requests_total', 'Calls of the API server, by answer.', [
    'code',
    'method',
    'host',
  ])
  const counters = informerCounters.map(([name, help, read]) => ({
    metric: counter(`outrigger_informer_${name}_total`, help, ['resource']),
    read,
  }))
  const open = gauge('outrigger_informer_open_watches', 'Watch connections open now.', ['resource'])
  const age = gauge(
    'outrigger_informer_silence_seconds',
    'Seconds since a list, an event or a bookmark of the resource arrived.',
    ['resource'],
  )

  return async () => {
    ready.set(options.isReady() ? 1 : 0)
    requests.reset()
    for (const [key, count] of options.traffic.requests) {
      const [method = '', code = ''] = key.split(' ')
      requests.inc({ code, method, host: options.host }, count)
    }
    for (const { metric } of counters) metric.reset()
    for (const [resource, traffic] of options.traffic.resources) {
      if (traffic.watches === 0 && traffic.lists === 0) continue
      for (const { metric, read } of counters) metric.inc({ resource }, read(traffic))
      open.set({ resource }, traffic.openWatches)
      if (traffic.watches > 0) age.set({ resource }, (options.clock.monotonic() - traffic.heardAt) / 1_000)
    }
    return { status: 200, contentType: register.contentType, body: await register.metrics() }
  }
}

const informerCounters: readonly (readonly [string, string, (traffic: ResourceTraffic) => number])[] = [
  ['lists', 'Lists begun, the first one included.', ({ lists }) => lists],
  [
    'relists',
    'Versions the server had forgotten, so that everything was listed again.',
    ({ expirations }) => expirations,
  ],
  ['watches', 'Watch connections opened.', ({ watches }) => watches],
  ['watch_failures', 'Watch connections that failed.', ({ failures }) => failures],
  ['silences', 'Watch connections given up because nothing was heard on them.', ({ silences }) => silences],
  ['events', 'Events and bookmarks received.', ({ events }) => events],
]
