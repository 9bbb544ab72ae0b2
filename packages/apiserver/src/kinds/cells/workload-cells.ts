import type {
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  HorizontalPodAutoscaler,
  Job,
  LabelSelector,
  PodDisruptionBudget,
  PodSpec,
  PodTemplate,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '@outrigger/kube'
import { formatSelector } from '../field-checks.ts'
import { ageSince, humanDuration } from '../human-duration.ts'
import { ageCell, type Cells, cellsOf, nameCell, orNone } from './cell.ts'

const containerNames = (spec: PodSpec | undefined) =>
  (spec?.containers ?? []).map(({ name }) => name).join(',')
const containerImages = (spec: PodSpec | undefined) =>
  (spec?.containers ?? []).map(({ image }) => image ?? '').join(',')
const selectorText = (selector: LabelSelector | undefined) => orNone(formatSelector(selector))

/** `a=b,c=d`, or `<none>`. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const keys = Object.keys(labels ?? {}).sort()
  return keys.length === 0 ? '<none>' : keys.map((key) => `${key}=${labels?.[key]}`).join(',')
}

export const deploymentCells = cellsOf<Deployment>(
  nameCell,
  ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
  ({ status }) => status?.updatedReplicas ?? 0,
  ({ status }) => status?.availableReplicas ?? 0,
  ageCell,
  ({ spec }) => containerNames(spec?.template?.spec),
  ({ spec }) => containerImages(spec?.template?.spec),
  ({ spec }) => selectorText(spec?.selector),
)

export const replicaSetCells = cellsOf<ReplicaSet>(
  nameCell,
  ({ spec }) => spec?.replicas ?? 0,
  ({ status }) => status?.replicas ?? 0,
  ({ status }) => status?.readyReplicas ?? 0,
  ageCell,
  ({ spec }) => containerNames(spec?.template?.spec),
  ({ spec }) => containerImages(spec?.template?.spec),
  ({ spec }) => selectorText(spec?.selector),
)

export const replicationControllerCells = cellsOf<ReplicationController>(
  nameCell,
  ({ spec }) => spec?.replicas ?? 0,
  ({ status }) => status?.replicas ?? 0,
  ({ status }) => status?.readyReplicas ?? 0,
  ageCell,
  ({ spec }) => containerNames(spec?.template?.spec),
  ({ spec }) => containerImages(spec?.template?.spec),
  ({ spec }) => labelsText(spec?.selector),
)

export const statefulSetCells = cellsOf<StatefulSet>(
  nameCell,
  ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
  ageCell,
  ({ spec }) => containerNames(spec?.template?.spec),
  ({ spec }) => containerImages(spec?.template?.spec),
)

export const daemonSetCells = cellsOf<DaemonSet>(
  nameCell,
  ({ status }) => status?.desiredNumberScheduled ?? 0,
  ({ status }) => status?.currentNumberScheduled ?? 0,
  ({ status }) => status?.numberReady ?? 0,
  ({ status }) => status?.updatedNumberScheduled ?? 0,
  ({ status }) => status?.numberAvailable ?? 0,
  ({ spec }) => labelsText(spec?.template?.spec?.nodeSelector),
  ageCell,
  ({ spec }) => containerNames(spec?.template?.spec),
  ({ spec }) => containerImages(spec?.template?.spec),
  ({ spec }) => selectorText(spec?.selector),
)

const isTrue = (job: Job, type: string) =>
  job.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true

function jobStatus(job: Job): string {
  if (isTrue(job, 'Complete')) return 'Complete'
  if (isTrue(job, 'Failed')) return 'Failed'
  if (job.metadata.deletionTimestamp !== undefined) return 'Terminating'
  if (isTrue(job, 'Suspended')) return 'Suspended'
  if (isTrue(job, 'FailureTarget')) return 'FailureTarget'
  return isTrue(job, 'SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running'
}

function jobCompletions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`
  const parallelism = spec?.parallelism ?? 0
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`
}

function jobDuration({ status }: Job, now: number): string {
  const start = status?.startTime
  if (start === undefined || start === null) return ''
  if (status?.completionTime) return humanDuration(Date.parse(status.completionTime) - Date.parse(start))
  return humanDuration(now - Date.parse(start))
}

export const jobCells = cellsOf<Job>(
  nameCell,
  jobStatus,
  jobCompletions,
  jobDuration,
  ageCell,
  ({ spec }) => containerNames(spec?.template?.spec),
  ({ spec }) => containerImages(spec?.template?.spec),
  ({ spec }) => selectorText(spec?.selector),
)

export const cronJobCells = cellsOf<CronJob>(
  nameCell,
  ({ spec }) => spec?.schedule ?? '',
  ({ spec }) => orNone(spec?.timeZone),
  ({ spec }) => (spec?.suspend === undefined ? '<unset>' : spec.suspend ? 'True' : 'False'),
  ({ status }) => (status?.active ?? []).length,
  ({ status }, now) => (status?.lastScheduleTime ? ageSince(status.lastScheduleTime, now) : '<none>'),
  ageCell,
  ({ spec }) => containerNames(spec?.jobTemplate?.spec?.template?.spec),
  ({ spec }) => containerImages(spec?.jobTemplate?.spec?.template?.spec),
  ({ spec }) => selectorText(spec?.jobTemplate?.spec?.selector),
)

export const podTemplateCells = cellsOf<PodTemplate>(
  nameCell,
  ({ template }) => containerNames(template?.spec),
  ({ template }) => containerImages(template?.spec),
  ({ template }) => labelsText(template?.metadata?.labels),
)

export const controllerRevisionCells = cellsOf<ControllerRevision>(
  nameCell,
  ({ metadata }) => {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true)
    if (owner === undefined) return '<none>'
    const slash = owner.apiVersion.indexOf('/')
    const group = slash < 0 ? '' : `.${owner.apiVersion.slice(0, slash)}`
    return `${owner.kind.toLowerCase()}${group}/${owner.name}`
  },
  ({ revision }) => revision ?? 0,
  ageCell,
)

export const podDisruptionBudgetCells = cellsOf<PodDisruptionBudget>(
  nameCell,
  ({ spec }) => String(spec?.minAvailable ?? 'N/A'),
  ({ spec }) => String(spec?.maxUnavailable ?? 'N/A'),
  ({ status }) => status?.disruptionsAllowed ?? 0,
  ageCell,
)

interface Metric {
  readonly type?: string
  readonly resource?: { readonly name?: string; readonly target?: Target; readonly current?: Target }
  readonly [source: string]: unknown
}
interface Target {
  readonly averageUtilization?: number
  readonly averageValue?: string
  readonly value?: string
}

const targetText = (target: Target | undefined) => {
  if (target?.averageUtilization !== undefined) return `${target.averageUtilization}%`
  if (target?.averageValue !== undefined) return `${target.averageValue} (avg)`
  return target?.value ?? '<unknown>'
}

function hpaTargets(hpa: HorizontalPodAutoscaler): string {
  // v1 has one metric in two plain fields, v2 a list; both views print alike.
  const spec = hpa.spec as { metrics?: Metric[]; targetCPUUtilizationPercentage?: number } | undefined
  const status = hpa.status as
    | { currentMetrics?: Metric[] | null; currentCPUUtilizationPercentage?: number }
    | undefined
  if (spec?.metrics === undefined) {
    if (spec?.targetCPUUtilizationPercentage === undefined) return '<none>'
    const current = status?.currentCPUUtilizationPercentage
    return `cpu: ${current === undefined ? '<unknown>' : `${current}%`}/${spec.targetCPUUtilizationPercentage}%`
  }
  const texts = spec.metrics.slice(0, 2).map((metric, index) => {
    const field =
      metric.type === undefined ? 'resource' : metric.type.charAt(0).toLowerCase() + metric.type.slice(1)
    const wanted = metric[field] as Metric['resource']
    const current = (status?.currentMetrics?.[index]?.[field] as Metric['resource'])?.current
    const prefix = field === 'resource' || field === 'containerResource' ? `${wanted?.name}: ` : ''
    const now = current === undefined ? '<unknown>' : targetText(current).replace(' (avg)', '')
    return `${prefix}${now}/${targetText(wanted?.target)}`
  })
  const more = spec.metrics.length - texts.length
  return `${texts.join(', ')}${more > 0 ? ` + ${more} more...` : ''}` || '<none>'
}

export const horizontalPodAutoscalerCells = cellsOf<HorizontalPodAutoscaler>(
  nameCell,
  ({ spec }) => `${spec?.scaleTargetRef?.kind}/${spec?.scaleTargetRef?.name}`,
  hpaTargets,
  ({ spec }) => (spec?.minReplicas === undefined ? '<unset>' : String(spec.minReplicas)),
  ({ spec }) => spec?.maxReplicas ?? 0,
  ({ status }) => status?.currentReplicas ?? 0,
  ageCell,
)

/** By `group/version/resource`. */
export const workloadCells: Readonly<Record<string, Cells>> = {
  'apps/v1/deployments': deploymentCells,
  'apps/v1/replicasets': replicaSetCells,
  'apps/v1/statefulsets': statefulSetCells,
  'apps/v1/daemonsets': daemonSetCells,
  'apps/v1/controllerrevisions': controllerRevisionCells,
  'batch/v1/jobs': jobCells,
  'batch/v1/cronjobs': cronJobCells,
  'core/v1/podtemplates': podTemplateCells,
  'core/v1/replicationcontrollers': replicationControllerCells,
  'policy/v1/poddisruptionbudgets': podDisruptionBudgetCells,
  'autoscaling/v1/horizontalpodautoscalers': horizontalPodAutoscalerCells,
  'autoscaling/v2/horizontalpodautoscalers': horizontalPodAutoscalerCells,
}
