import type { ManagerStatistics } from '@outrigger/operator'
import { managerFamilies } from './manager-families.ts'
import { formatMetrics, type MetricFamily } from './metric-text.ts'
import type { ClientTraffic } from './observed-client.ts'
import type { OpsAnswer } from './ops-server.ts'

export interface ManagerMetricsOptions {
  readonly version: string
  /** Host and port of the API server. */
  readonly host: string
  readonly traffic: ClientTraffic
  readonly isReady: () => boolean
  /** `undefined` while there is no manager yet. */
  readonly statistics: () => ManagerStatistics | undefined
}

/**
 * The page of `/metrics` in Prometheus' text form. Numbers are read when the page is asked for, so that
 * measuring costs nothing in between. The library for the process's own numbers is loaded by the first manager
 * that has the page.
 */
export async function createManagerMetrics(
  options: ManagerMetricsOptions,
): Promise<() => Promise<OpsAnswer>> {
  const loaded: typeof import('prom-client') & { readonly default?: typeof import('prom-client') } =
    await import('prom-client')
  const prom = loaded.default ?? loaded
  const register = new prom.Registry()
  prom.collectDefaultMetrics({ register })
  return async () => {
    const statistics = options.statistics()
    const families = [
      ...programFamilies(options),
      ...(statistics === undefined ? [] : managerFamilies(statistics)),
    ]
    return {
      status: 200,
      contentType: register.contentType,
      body: `${formatMetrics(families)}${withoutEmptyLag(await register.metrics())}`,
    }
  }
}

/**
 * The page without what the event loop's histogram says when nothing was measured since it was last read: no number
 * for the mean, and for the minimum its start value of 2⁶³ ns, which is 292 years. No series then stands for no news.
 */
function withoutEmptyLag(page: string): string {
  return page.replace(/^nodejs_eventloop_lag_\w+ (?:Nan|9223372036(?:\.\d+)?)\n/gm, '')
}

function programFamilies({ version, host, traffic, isReady }: ManagerMetricsOptions): MetricFamily[] {
  return [
    {
      type: 'gauge',
      name: 'outrigger_build_info',
      help: 'The release that runs; always 1.',
      series: [{ labels: { version }, value: 1 }],
    },
    {
      type: 'gauge',
      name: 'outrigger_ready',
      help: 'Whether caches are filled and webhooks registered (1) or not (0).',
      series: [{ value: isReady() ? 1 : 0 }],
    },
    {
      type: 'counter',
      name: 'rest_client_requests_total',
      help: 'Number of HTTP requests, partitioned by status code, method, and host.',
      series: [...traffic.requests].map(([key, value]) => {
        const [method = '', code = ''] = key.split(' ')
        return { labels: { code, method, host }, value }
      }),
    },
  ]
}
