import type { ManagerStatistics } from '@outrigger/operator'
import type { MetricFamily, MetricLabels } from './metric-text.ts'

type Numbers<T> = readonly (readonly ['counter' | 'gauge', string, string, (one: T) => number | undefined])[]
type Controller = ManagerStatistics['controllers'][number]
type Informer = ManagerStatistics['informers'][number]
type Webhook = ManagerStatistics['webhooks']['webhooks'][number]

/** What a manager has done, under the names that dashboards of controller-runtime know, and some of our own. */
export function managerFamilies(statistics: ManagerStatistics): MetricFamily[] {
  return [
    ...controllerFamilies(statistics.controllers),
    ...queueFamilies(statistics.controllers),
    ...webhookFamilies(statistics.webhooks),
    ...each(informerNumbers, statistics.informers, ({ resource }) => ({ resource })),
    ...leaderFamilies(statistics),
    single(
      'gauge',
      'outrigger_missed_pods',
      'Pods without a SidecarSet they should carry, created while no webhook answered.',
      statistics.missedPods,
    ),
    single(
      'counter',
      'outrigger_events_written_total',
      'Events written to the API.',
      statistics.events.written,
    ),
    single(
      'counter',
      'outrigger_events_counted_total',
      'Events that were counted on one that was there.',
      statistics.events.counted,
    ),
    single(
      'counter',
      'outrigger_events_held_total',
      'Events held back because one object had too many.',
      statistics.events.held,
    ),
    single(
      'counter',
      'outrigger_events_dropped_total',
      'Events lost because the queue was full or the API server refused them.',
      statistics.events.dropped,
    ),
  ]
}

const controllerNumbers: Numbers<Controller> = [
  [
    'counter',
    'controller_runtime_reconcile_errors_total',
    'Total number of reconciliation errors per controller',
    ({ reconciles }) => reconciles.error,
  ],
  [
    'counter',
    'controller_runtime_reconcile_timeouts_total',
    'Total number of reconciliation timeouts per controller',
    ({ timeouts }) => timeouts,
  ],
  [
    'gauge',
    'controller_runtime_active_workers',
    'Number of currently used workers per controller',
    ({ activeWorkers }) => activeWorkers,
  ],
  [
    'gauge',
    'controller_runtime_max_concurrent_reconciles',
    'Maximum number of concurrent reconciles per controller',
    ({ maxConcurrentReconciles }) => maxConcurrentReconciles,
  ],
]

function controllerFamilies(controllers: readonly Controller[]): MetricFamily[] {
  return [
    {
      type: 'counter',
      name: 'controller_runtime_reconcile_total',
      help: 'Total number of reconciliations per controller',
      series: controllers.flatMap(({ name: controller, reconciles }) =>
        Object.entries(reconciles).map(([result, value]) => ({ labels: { controller, result }, value })),
      ),
    },
    ...each(controllerNumbers, controllers, ({ name }) => ({ controller: name })),
    {
      type: 'histogram',
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Length of time per reconciliation per controller',
      series: controllers.map(({ name, reconcileTime }) => ({
        labels: { controller: name },
        value: reconcileTime,
      })),
    },
  ]
}

const queueNumbers: Numbers<Controller> = [
  ['gauge', 'workqueue_depth', 'Current depth of workqueue', ({ queue }) => queue.depth],
  ['counter', 'workqueue_adds_total', 'Total number of adds handled by workqueue', ({ queue }) => queue.adds],
  [
    'counter',
    'workqueue_retries_total',
    'Total number of retries handled by workqueue',
    ({ queue }) => queue.retries,
  ],
  [
    'gauge',
    'workqueue_unfinished_work_seconds',
    'How many seconds of work has been done that is in progress and has not been observed by work_duration.',
    ({ queue }) => queue.unfinishedWorkSeconds,
  ],
  [
    'gauge',
    'workqueue_longest_running_processor_seconds',
    'How many seconds has the longest running processor for workqueue been running.',
    ({ queue }) => queue.longestRunningProcessorSeconds,
  ],
]

function queueFamilies(controllers: readonly Controller[]): MetricFamily[] {
  const labels = ({ name }: Controller) => ({ name, controller: name })
  return [
    ...each(queueNumbers, controllers, labels),
    {
      type: 'histogram',
      name: 'workqueue_queue_duration_seconds',
      help: 'How long in seconds an item stays in workqueue before being requested',
      series: controllers.map((one) => ({ labels: labels(one), value: one.queue.queueDuration })),
    },
    {
      type: 'histogram',
      name: 'workqueue_work_duration_seconds',
      help: 'How long in seconds processing an item from workqueue takes.',
      series: controllers.map((one) => ({ labels: labels(one), value: one.queue.workDuration })),
    },
  ]
}

const webhookNumbers: Numbers<Webhook> = [
  [
    'gauge',
    'controller_runtime_webhook_requests_in_flight',
    'Current number of admission requests being served.',
    ({ inFlight }) => inFlight,
  ],
  [
    'counter',
    'outrigger_webhook_timeouts_total',
    'Reviews that were not answered in time.',
    ({ timeouts }) => timeouts,
  ],
  [
    'counter',
    'outrigger_webhook_abandoned_total',
    'Reviews whose caller went away before the answer.',
    ({ abandoned }) => abandoned,
  ],
]

function webhookFamilies({
  webhooks,
  tooLarge,
  overloads,
  unserved,
  failedHandshakes,
}: ManagerStatistics['webhooks']): MetricFamily[] {
  return [
    {
      type: 'counter',
      name: 'controller_runtime_webhook_requests_total',
      help: 'Total number of admission requests by HTTP status code.',
      series: webhooks.flatMap(({ path, codes }) =>
        withZeros(codes).map(([code, value]) => ({ labels: { webhook: path, code: String(code) }, value })),
      ),
    },
    {
      type: 'histogram',
      name: 'controller_runtime_webhook_latency_seconds',
      help: 'Histogram of the latency of processing admission requests',
      series: webhooks.map(({ path, latency }) => ({ labels: { webhook: path }, value: latency })),
    },
    ...each(webhookNumbers, webhooks, ({ path }) => ({ webhook: path })),
    {
      type: 'counter',
      name: 'outrigger_webhook_reviews_total',
      help: 'Reviews answered, by operation and decision.',
      series: webhooks.flatMap(({ path, reviews }) =>
        reviews.map(({ operation, isAllowed, count }) => ({
          labels: { webhook: path, operation, allowed: String(isAllowed) },
          value: count,
        })),
      ),
    },
    single(
      'counter',
      'outrigger_webhook_too_large_requests_total',
      'Requests refused because their body was too large.',
      tooLarge.requests,
    ),
    single(
      'counter',
      'outrigger_webhook_too_large_bytes_total',
      'Bytes announced or read of requests that were too large.',
      tooLarge.bytes,
    ),
    single(
      'counter',
      'outrigger_webhook_overloads_total',
      'Requests refused because too many were under way.',
      overloads,
    ),
    single(
      'counter',
      'outrigger_webhook_unserved_requests_total',
      'Requests for a path that nobody serves.',
      unserved,
    ),
    single(
      'counter',
      'outrigger_webhook_failed_handshakes_total',
      'Connections that ended in the TLS handshake.',
      failedHandshakes,
    ),
  ]
}

/** A rate of failures can only be seen if the series was there before the first one. */
function withZeros(codes: Webhook['codes']): readonly (readonly [number, number])[] {
  return [
    ...new Map<number, number>([
      [200, 0],
      [500, 0],
      ...codes.map(({ code, count }) => [code, count] as const),
    ]),
  ]
}

const informerNumbers: Numbers<Informer> = [
  ['gauge', 'outrigger_informer_objects', 'Objects in the cache.', ({ objects }) => objects],
  [
    'gauge',
    'outrigger_informer_synced',
    'Whether the cache has been filled (1) or not (0).',
    ({ hasSynced }) => (hasSynced ? 1 : 0),
  ],
  [
    'counter',
    'outrigger_informer_lists_total',
    'Complete lists, the first one included.',
    ({ lists }) => lists,
  ],
  [
    'counter',
    'outrigger_informer_relists_total',
    'Versions the server had forgotten, so that everything was listed again.',
    ({ relists }) => relists,
  ],
  ['counter', 'outrigger_informer_watches_total', 'Watch connections opened.', ({ watches }) => watches],
  [
    'counter',
    'outrigger_informer_failures_total',
    'Lists and watches that failed, of any cause but a forgotten version.',
    ({ failures }) => failures,
  ],
  [
    'counter',
    'outrigger_informer_silences_total',
    'Watch connections given up because nothing was heard on them.',
    ({ silences }) => silences,
  ],
  [
    'counter',
    'outrigger_informer_audits_total',
    'Complete comparisons of the cache with the server.',
    ({ audits }) => audits,
  ],
  [
    'counter',
    'outrigger_informer_suspicions_total',
    'Objects whose events were lost, as far as an audit can tell.',
    ({ suspicions }) => suspicions,
  ],
  ['counter', 'outrigger_informer_events_total', 'Events and bookmarks received.', ({ events }) => events],
  [
    'gauge',
    'outrigger_informer_open_watches',
    'Watch connections open now.',
    ({ isWatching }) => (isWatching ? 1 : 0),
  ],
  [
    'gauge',
    'outrigger_informer_silence_seconds',
    'Seconds since a list, an event or a bookmark of the resource arrived.',
    ({ silenceSeconds }) => silenceSeconds,
  ],
]

function leaderFamilies({ leaderElection: { name, isLeader, terms } }: ManagerStatistics): MetricFamily[] {
  return [
    {
      type: 'gauge',
      name: 'leader_election_master_status',
      help: "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease. Please make sure to group by name.",
      series: [{ labels: { name }, value: isLeader ? 1 : 0 }],
    },
    {
      type: 'counter',
      name: 'outrigger_leader_terms_total',
      help: 'Times this process has become leader.',
      series: [{ labels: { name }, value: terms }],
    },
  ]
}

/** A family for each of the numbers, with a series for each thing that has it. */
function each<T>(
  numbers: Numbers<T>,
  things: readonly T[],
  labelsOf: (thing: T) => MetricLabels,
): MetricFamily[] {
  return numbers.map(([type, name, help, read]) => ({
    type,
    name,
    help,
    series: things.flatMap((thing) => {
      const value = read(thing)
      return value === undefined ? [] : [{ labels: labelsOf(thing), value }]
    }),
  }))
}

function single(type: 'counter' | 'gauge', name: string, help: string, value: number): MetricFamily {
  return { type, name, help, series: [{ value }] }
}
