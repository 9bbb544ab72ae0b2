import { type DaemonSet, deepEqual, invalid, required } from '@outrigger/kube'
import {
  checkImmutable,
  checkIntOrPercent,
  checkNotNegative,
  type Errors,
  notSupported,
} from '../field-checks.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { applyTemplateDefaults } from '../pods/pod-defaults.ts'
import { checkLastingTemplate, checkWorkloadSelector, templateWarnings } from '../pods/template-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'

const templateGeneration = 'deprecated.daemonset.template.generation'

/** A pod on every node. The old template generation lives on as an annotation. */
export const daemonSetKind: KindBuilder = (schema) => {
  const strategy = createStrategy<DaemonSet>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    initialStatus: () => ({}),
    applyDefaults,
    prepareForCreate: (set) => void countTemplates(set, 1),
    prepareForUpdate(set, old) {
      const before = Number(old.metadata.annotations?.[templateGeneration] ?? 1)
      countTemplates(set, deepEqual(set.spec?.template, old.spec?.template) ? before : before + 1)
    },
    validate({ spec }) {
      if (spec === undefined) return [required('spec')]
      const errors: Errors = []
      checkWorkloadSelector(errors, spec.selector, 'daemonset')
      checkLastingTemplate(errors, 'spec.template', spec.template, spec.selector)
      checkNotNegative(errors, 'spec.minReadySeconds', spec.minReadySeconds)
      checkUpdateStrategy(errors, spec.updateStrategy)
      checkNotNegative(errors, 'spec.revisionHistoryLimit', spec.revisionHistoryLimit)
      return errors
    },
    validateUpdate(set, old) {
      const errors: Errors = []
      checkImmutable(
        errors,
        'spec.selector',
        set.spec?.selector,
        deepEqual(set.spec?.selector, old.spec?.selector),
      )
      return errors
    },
    warnings: (set, old) =>
      old !== undefined && deepEqual(set.spec, old.spec)
        ? []
        : templateWarnings('spec.template', set.spec?.template),
  })
  return { strategy, status: createStatusStrategy<DaemonSet>(strategy, { validate: statusErrors }) }
}

function applyDefaults({ spec }: DaemonSet): void {
  if (spec === undefined) return
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ??= 'RollingUpdate'
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {}
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1
    spec.updateStrategy.rollingUpdate.maxSurge ??= 0
  }
  spec.revisionHistoryLimit ??= 10
  applyTemplateDefaults(spec.template)
}

function countTemplates(set: DaemonSet, generation: number): void {
  set.metadata.annotations = { ...set.metadata.annotations, [templateGeneration]: String(generation) }
}

const isZero = (value: number | string | undefined) => value === undefined || value === 0 || value === '0%'

function checkUpdateStrategy(
  errors: Errors,
  strategy: NonNullable<DaemonSet['spec']>['updateStrategy'],
): void {
  const path = 'spec.updateStrategy'
  const { type, rollingUpdate } = strategy ?? {}
  if (type === 'OnDelete') return
  if (type !== 'RollingUpdate') {
    errors.push(notSupported(`${path}.type`, type ?? '', ['OnDelete', 'RollingUpdate']))
    return
  }
  const { maxUnavailable, maxSurge } = rollingUpdate ?? {}
  checkIntOrPercent(errors, `${path}.rollingUpdate.maxUnavailable`, maxUnavailable)
  checkIntOrPercent(errors, `${path}.rollingUpdate.maxSurge`, maxSurge)
  if (!isZero(maxUnavailable) && !isZero(maxSurge))
    errors.push(
      invalid(`${path}.rollingUpdate.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero'),
    )
  else if (isZero(maxUnavailable) && isZero(maxSurge))
    errors.push(required(`${path}.rollingUpdate.maxUnavailable`, 'cannot be 0 when maxSurge is 0'))
}

function statusErrors({ status }: DaemonSet): Errors {
  const errors: Errors = []
  for (const field of [
    'currentNumberScheduled',
    'numberMisscheduled',
    'desiredNumberScheduled',
    'numberReady',
    'observedGeneration',
    'updatedNumberScheduled',
    'numberAvailable',
    'numberUnavailable',
  ] as const)
    checkNotNegative(errors, `status.${field}`, status?.[field])
  return errors
}
