import { type CronJob, deepEqual, invalid, type Job, required } from '@outrigger/kube'
import {
  checkImmutable,
  checkLabelSelector,
  checkNotNegative,
  type Errors,
  notSupported,
  selectorFits,
} from '../field-checks.ts'
import { type KindBuilder, type KindBuilders, selectableOf } from '../kind-definition.ts'
import { labelProblems, subdomainProblems } from '../name-rules.ts'
import { internalTemplate } from '../pods/internal-form.ts'
import { applyTemplateDefaults } from '../pods/pod-defaults.ts'
import { checkTemplate, templateWarnings } from '../pods/template-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'
import { scheduleProblem } from './cron-schedule.ts'

const unlimited = 2147483647

const jobKind: KindBuilder = (schema) => {
  const strategy = createStrategy<Job>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    defaultPropagation: 'background',
    applyDefaults(job) {
      const { spec } = job
      if (spec === undefined) return
      if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
      spec.parallelism ??= 1
      spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : unlimited
      spec.completionMode ??= 'NonIndexed'
      spec.suspend ??= false
      spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed'
      spec.manualSelector ??= false
      applyTemplateDefaults(spec.template)
      copyTemplateLabels(job)
    },
    prepareForCreate(job) {
      if (job.spec?.manualSelector !== true) selectOwnPods(job)
      copyTemplateLabels(job)
    },
    validate: jobErrors,
    validateUpdate: jobUpdateErrors,
    warnings: (job, old) =>
      old !== undefined && deepEqual(job.spec, old.spec)
        ? []
        : templateWarnings('spec.template', job.spec?.template),
  })
  return {
    strategy,
    status: createStatusStrategy<Job>(strategy, {
      validate({ status }) {
        const errors: Errors = []
        for (const field of ['active', 'succeeded', 'failed', 'ready', 'terminating'] as const)
          checkNotNegative(errors, `status.${field}`, status?.[field])
        return errors
      },
    }),
    selectable: selectableOf<Job>({ 'status.successful': ({ status }) => String(status?.succeeded ?? 0) }),
  }
}

/** A job without labels of its own wears those of its template. */
function copyTemplateLabels(job: Job): void {
  const labels = job.spec?.template?.metadata?.labels
  if (labels !== undefined && Object.keys(job.metadata.labels ?? {}).length === 0)
    job.metadata.labels = { ...labels }
}

/** The selector no other job can have, and the labels it selects, under their old and new names. */
function selectOwnPods(job: Job): void {
  const { spec } = job
  if (spec === undefined) return
  const uid = job.metadata.uid ?? ''
  const name = job.metadata.name ?? ''
  const template = { ...spec.template }
  template.metadata = {
    ...template.metadata,
    labels: {
      ...template.metadata?.labels,
      'controller-uid': uid,
      'job-name': name,
      'batch.kubernetes.io/controller-uid': uid,
      'batch.kubernetes.io/job-name': name,
    },
  } as NonNullable<typeof template.metadata>
  spec.template = template
  const selector = { ...spec.selector }
  selector.matchLabels = { ...selector.matchLabels, 'batch.kubernetes.io/controller-uid': uid }
  spec.selector = selector
}

function jobErrors({ spec }: Job): Errors {
  const errors: Errors = []
  if (spec === undefined) return [required('spec')]
  checkJobSpec(errors, 'spec', spec)
  if (spec.selector === undefined) errors.push(required('spec.selector'))
  else {
    checkLabelSelector(errors, 'spec.selector', spec.selector)
    const labels = spec.template?.metadata?.labels
    if (!selectorFits(spec.selector, labels))
      errors.push(
        invalid(
          'spec.template.metadata.labels',
          labels ?? null,
          '`selector` does not match template `labels`',
        ),
      )
  }
  return errors
}

function checkJobSpec(errors: Errors, path: string, spec: NonNullable<Job['spec']>): void {
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ] as const)
    checkNotNegative(errors, `${path}.${field}`, spec[field])
  const mode = spec.completionMode
  if (mode === 'Indexed' && spec.completions === undefined)
    errors.push(required(`${path}.completions`, 'when completion mode is Indexed'))
  else if (mode !== undefined && mode !== 'Indexed' && mode !== 'NonIndexed')
    errors.push(notSupported(`${path}.completionMode`, mode, ['NonIndexed', 'Indexed']))
  if (spec.backoffLimitPerIndex !== undefined && mode !== 'Indexed')
    errors.push(
      invalid(`${path}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode'),
    )
  checkTemplate(errors, `${path}.template`, spec.template)
  const policy = spec.template?.spec?.restartPolicy
  if (policy === undefined || policy === 'Always')
    errors.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'))
  else if (policy !== 'OnFailure' && policy !== 'Never')
    errors.push(notSupported(`${path}.template.spec.restartPolicy`, policy, ['OnFailure', 'Never']))
  else if (spec.podFailurePolicy !== undefined && policy !== 'Never')
    errors.push(
      invalid(
        `${path}.template.spec.restartPolicy`,
        policy,
        'only "Never" is supported when podFailurePolicy is specified',
      ),
    )
}

function jobUpdateErrors(job: Job, old: Job): Errors {
  const errors: Errors = []
  const spec = job.spec
  const before = old.spec
  const isIndexed = before?.completionMode === 'Indexed'
  const scalesTogether = isIndexed && spec?.completions !== undefined && spec.completions === spec.parallelism
  checkImmutable(
    errors,
    'spec.completions',
    spec?.completions,
    scalesTogether || spec?.completions === before?.completions,
  )
  checkImmutable(errors, 'spec.selector', spec?.selector, deepEqual(spec?.selector, before?.selector))
  if (!templateMayBe(job, old))
    errors.push(
      invalid(
        'spec.template',
        spec === undefined ? null : internalTemplate(spec.template),
        'field is immutable',
      ),
    )
  for (const field of [
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ] as const)
    checkImmutable(errors, `spec.${field}`, spec?.[field], deepEqual(spec?.[field], before?.[field]))
  return errors
}

/** A suspended job that never ran may still be told where and with what resources to run. */
function templateMayBe(job: Job, old: Job): boolean {
  const now = job.spec?.template
  const then = old.spec?.template
  if (deepEqual(now, then)) return true
  if (old.spec?.suspend !== true || old.status?.startTime !== undefined) return false
  const placed = (template: typeof now) => ({
    ...template,
    metadata: undefined,
    spec: {
      ...template?.spec,
      nodeSelector: undefined,
      affinity: undefined,
      tolerations: undefined,
      schedulingGates: undefined,
      containers: template?.spec?.containers?.map((container) => ({ ...container, resources: undefined })),
      initContainers: template?.spec?.initContainers?.map((container) => ({
        ...container,
        resources: undefined,
      })),
    },
  })
  return deepEqual(placed(now), placed(then))
}

const longestCronJobName = 52
const policies = ['Allow', 'Forbid', 'Replace']

const cronJobKind: KindBuilder = (schema) => {
  const strategy = createStrategy<CronJob>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    applyDefaults({ spec }) {
      if (spec === undefined) return
      spec.concurrencyPolicy ??= 'Allow'
      spec.suspend ??= false
      spec.successfulJobsHistoryLimit ??= 3
      spec.failedJobsHistoryLimit ??= 1
      applyTemplateDefaults(spec.jobTemplate?.spec?.template)
    },
    validate: cronJobErrors,
    nameProblems: subdomainProblems,
    warnings: (job, old) => cronJobWarnings(job, old),
  })
  return { strategy, status: createStatusStrategy<CronJob>(strategy) }
}

function cronJobErrors({ metadata, spec }: CronJob): Errors {
  const errors: Errors = []
  if (spec === undefined) return [required('spec')]
  if ((metadata.name ?? '').length > longestCronJobName)
    errors.push(invalid('metadata.name', metadata.name, 'must be no more than 52 characters'))
  if (!spec.schedule) errors.push(required('spec.schedule'))
  else {
    const problem = scheduleProblem(spec.schedule)
    if (problem !== undefined) errors.push(invalid('spec.schedule', spec.schedule, problem))
    if (/TZ/.test(spec.schedule))
      errors.push(
        invalid(
          'spec.schedule',
          spec.schedule,
          'cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
        ),
      )
  }
  checkNotNegative(errors, 'spec.startingDeadlineSeconds', spec.startingDeadlineSeconds)
  if (spec.timeZone !== undefined) checkTimeZone(errors, spec.timeZone)
  if (!policies.includes(spec.concurrencyPolicy ?? ''))
    errors.push(notSupported('spec.concurrencyPolicy', spec.concurrencyPolicy ?? '', policies))
  const template = spec.jobTemplate?.spec
  if (template?.selector !== undefined)
    errors.push(
      invalid('spec.jobTemplate.spec.selector', template.selector, '`selector` will be auto-generated'),
    )
  if (template !== undefined) checkJobSpec(errors, 'spec.jobTemplate.spec', template)
  checkNotNegative(errors, 'spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit)
  checkNotNegative(errors, 'spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit)
  return errors
}

function checkTimeZone(errors: Errors, zone: string): void {
  const field = 'spec.timeZone'
  if (zone === '') errors.push(invalid(field, zone, 'timeZone must be nil or non-empty string'))
  else if (zone.toLowerCase() === 'local')
    errors.push(
      invalid(
        field,
        zone,
        'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ),
    )
  else if (!isTimeZone(zone)) errors.push(invalid(field, zone, `unknown time zone ${zone}`))
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

function cronJobWarnings(job: CronJob, old: CronJob | undefined): string[] {
  const warnings =
    old !== undefined && deepEqual(job.spec, old.spec)
      ? []
      : templateWarnings('spec.jobTemplate.spec.template', job.spec?.jobTemplate?.spec?.template)
  const problems = old === undefined ? labelProblems(job.metadata.name ?? '') : []
  if (problems.length > 0)
    warnings.push(
      `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${problems.join(', ')}]`,
    )
  return warnings
}

/** Work that ends, once or by the clock. */
export const batchKinds: KindBuilders = { 'batch/v1/jobs': jobKind, 'batch/v1/cronjobs': cronJobKind }
