import {
  type ControllerRevision,
  type Deployment,
  deepEqual,
  forbidden,
  invalid,
  type ReplicaSet,
  required,
} from '@outrigger/kube'
import {
  checkImmutable,
  checkIntOrPercent,
  checkNotNegative,
  type Errors,
  notSupported,
  percentOf,
} from '../field-checks.ts'
import { type KindBuilder, type KindBuilders, selectableOf } from '../kind-definition.ts'
import { applyTemplateDefaults } from '../pods/pod-defaults.ts'
import { checkLastingTemplate, checkWorkloadSelector, templateWarnings } from '../pods/template-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'
import { daemonSetKind } from './daemon-set.ts'
import { statefulSetKind } from './stateful-set.ts'

const deploymentKind: KindBuilder = (schema) => {
  const strategy = createStrategy<Deployment>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    applyDefaults: applyDeploymentDefaults,
    validate: deploymentErrors,
    validateUpdate(deployment, old) {
      const errors: Errors = []
      checkImmutable(
        errors,
        'spec.selector',
        deployment.spec?.selector,
        deepEqual(deployment.spec?.selector, old.spec?.selector),
      )
      return errors
    },
    warnings: (deployment, old) =>
      old !== undefined && deepEqual(deployment.spec, old.spec)
        ? []
        : templateWarnings('spec.template', deployment.spec?.template),
  })
  return {
    strategy,
    status: createStatusStrategy<Deployment>(strategy, {
      keepsLabels: true,
      validate: deploymentStatusErrors,
    }),
  }
}

function applyDeploymentDefaults(deployment: Deployment): void {
  const spec = deployment.spec
  if (spec === undefined) return
  spec.replicas ??= 1
  spec.strategy ??= {}
  spec.strategy.type ??= 'RollingUpdate'
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {}
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%'
    spec.strategy.rollingUpdate.maxSurge ??= '25%'
  }
  spec.revisionHistoryLimit ??= 10
  spec.progressDeadlineSeconds ??= 600
  applyTemplateDefaults(spec.template)
}

function deploymentErrors({ spec }: Deployment): Errors {
  const errors: Errors = []
  if (spec === undefined) return [required('spec')]
  checkNotNegative(errors, 'spec.replicas', spec.replicas)
  checkWorkloadSelector(errors, spec.selector, 'deployment')
  checkLastingTemplate(errors, 'spec.template', spec.template, spec.selector)
  checkDeploymentStrategy(errors, spec.strategy)
  checkNotNegative(errors, 'spec.minReadySeconds', spec.minReadySeconds)
  checkNotNegative(errors, 'spec.revisionHistoryLimit', spec.revisionHistoryLimit)
  const deadline = spec.progressDeadlineSeconds
  if (deadline !== undefined) {
    checkNotNegative(errors, 'spec.progressDeadlineSeconds', deadline)
    if (deadline <= (spec.minReadySeconds ?? 0))
      errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'))
  }
  return errors
}

function checkDeploymentStrategy(
  errors: Errors,
  strategy: NonNullable<Deployment['spec']>['strategy'],
): void {
  const { type, rollingUpdate } = strategy ?? {}
  if (type === 'Recreate') {
    if (rollingUpdate !== undefined)
      errors.push(
        forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'"),
      )
    return
  }
  if (type !== 'RollingUpdate') {
    errors.push(notSupported('spec.strategy.type', type ?? '', ['Recreate', 'RollingUpdate']))
    return
  }
  const { maxUnavailable, maxSurge } = rollingUpdate ?? {}
  const path = 'spec.strategy.rollingUpdate'
  checkIntOrPercent(errors, `${path}.maxUnavailable`, maxUnavailable)
  checkIntOrPercent(errors, `${path}.maxSurge`, maxSurge)
  if (isZero(maxUnavailable) && isZero(maxSurge))
    errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'))
  if ((percentOf(maxUnavailable) ?? 0) > 100)
    errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'must not be greater than 100%'))
}

const isZero = (value: number | string | undefined) => value === 0 || value === '0%' || value === undefined

function deploymentStatusErrors({ status }: Deployment): Errors {
  const errors: Errors = []
  const { replicas = 0, readyReplicas = 0, availableReplicas = 0, updatedReplicas = 0 } = status ?? {}
  for (const field of [
    'observedGeneration',
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
  ] as const)
    checkNotNegative(errors, `status.${field}`, status?.[field])
  const tooMany = 'cannot be greater than status.replicas'
  if (updatedReplicas > replicas) errors.push(invalid('status.updatedReplicas', updatedReplicas, tooMany))
  if (readyReplicas > replicas) errors.push(invalid('status.readyReplicas', readyReplicas, tooMany))
  if (availableReplicas > replicas)
    errors.push(invalid('status.availableReplicas', availableReplicas, tooMany))
  if (availableReplicas > readyReplicas && readyReplicas <= replicas)
    errors.push(
      invalid('status.availableReplicas', availableReplicas, 'cannot be greater than readyReplicas'),
    )
  return errors
}

const replicaSetKind: KindBuilder = (schema) => {
  const strategy = createStrategy<ReplicaSet>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    initialStatus: () => ({ replicas: 0 }),
    applyDefaults({ spec }) {
      if (spec === undefined) return
      spec.replicas ??= 1
      applyTemplateDefaults(spec.template)
    },
    validate({ spec }) {
      const errors: Errors = []
      checkNotNegative(errors, 'spec.replicas', spec?.replicas)
      checkNotNegative(errors, 'spec.minReadySeconds', spec?.minReadySeconds)
      checkWorkloadSelector(errors, spec?.selector, 'replicaset')
      checkLastingTemplate(errors, 'spec.template', spec?.template, spec?.selector)
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
  return {
    strategy,
    status: createStatusStrategy<ReplicaSet>(strategy, { validate: replicaSetStatusErrors }),
    selectable: selectableOf<ReplicaSet>({
      'status.replicas': ({ status }) => String(status?.replicas ?? 0),
    }),
  }
}

/** Shared with replication controllers, whose status has the same counters. */
export function replicaSetStatusErrors({ status }: Pick<ReplicaSet, 'status'>): Errors {
  const errors: Errors = []
  const { replicas = 0, fullyLabeledReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = status ?? {}
  for (const field of [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'observedGeneration',
  ] as const)
    checkNotNegative(errors, `status.${field}`, status?.[field])
  const tooMany = 'cannot be greater than status.replicas'
  if (fullyLabeledReplicas > replicas)
    errors.push(invalid('status.fullyLabeledReplicas', fullyLabeledReplicas, tooMany))
  if (readyReplicas > replicas) errors.push(invalid('status.readyReplicas', readyReplicas, tooMany))
  if (availableReplicas > replicas)
    errors.push(invalid('status.availableReplicas', availableReplicas, tooMany))
  if (availableReplicas > readyReplicas)
    errors.push(
      invalid('status.availableReplicas', availableReplicas, 'cannot be greater than readyReplicas'),
    )
  return errors
}

const controllerRevisionKind: KindBuilder = (schema) => ({
  strategy: createStrategy<ControllerRevision>({
    schema,
    validate({ revision }) {
      const errors: Errors = []
      checkNotNegative(errors, 'revision', revision)
      return errors
    },
    validateUpdate(revision, old) {
      const errors: Errors = []
      checkImmutable(errors, 'data', revision.data, deepEqual(revision.data, old.data))
      return errors
    },
  }),
})

/** Workloads that keep pods running, and their history. */
export const appsKinds: KindBuilders = {
  'apps/v1/deployments': deploymentKind,
  'apps/v1/replicasets': replicaSetKind,
  'apps/v1/statefulsets': statefulSetKind,
  'apps/v1/daemonsets': daemonSetKind,
  'apps/v1/controllerrevisions': controllerRevisionKind,
}
