import {
  deepEqual,
  forbidden,
  invalid,
  type PodTemplateSpec,
  required,
  type StatefulSet,
} from '@outrigger/kube'
import { applyClaimDefaults } from '../core/claim-defaults.ts'
import { checkIntOrPercent, checkNotNegative, type Errors, notSupported } from '../field-checks.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { applyTemplateDefaults } from '../pods/pod-defaults.ts'
import { checkLastingTemplate, checkWorkloadSelector, templateWarnings } from '../pods/template-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'

/** Pods with names and volumes of their own. */
export const statefulSetKind: KindBuilder = (schema) => {
  const strategy = createStrategy<StatefulSet>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    initialStatus: () => ({ replicas: 0, availableReplicas: 0 }),
    applyDefaults,
    validate,
    validateUpdate(set, old) {
      return deepEqual(frozenFields(set, old), old.spec)
        ? []
        : [
            forbidden(
              'spec',
              "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            ),
          ]
    },
    warnings: (set, old) =>
      old !== undefined && deepEqual(set.spec, old.spec)
        ? []
        : templateWarnings('spec.template', set.spec?.template),
  })
  return { strategy, status: createStatusStrategy<StatefulSet>(strategy, { validate: statusErrors }) }
}

function applyDefaults({ spec }: StatefulSet): void {
  if (spec === undefined) return
  spec.podManagementPolicy ??= 'OrderedReady'
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ??= 'RollingUpdate'
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {}
    spec.updateStrategy.rollingUpdate.partition ??= 0
  }
  spec.persistentVolumeClaimRetentionPolicy ??= {}
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ??= 'Retain'
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ??= 'Retain'
  spec.replicas ??= 1
  spec.revisionHistoryLimit ??= 10
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion ??= 'v1'
    claim.kind ??= 'PersistentVolumeClaim'
    applyClaimDefaults(claim)
  }
  applyTemplateDefaults(spec.template)
}

function validate({ spec }: StatefulSet): Errors {
  const errors: Errors = []
  if (spec === undefined) return [required('spec')]
  const policy = spec.podManagementPolicy
  if (policy !== 'OrderedReady' && policy !== 'Parallel')
    errors.push(invalid('spec.podManagementPolicy', policy ?? '', "must be 'OrderedReady' or 'Parallel'"))
  const { type, rollingUpdate } = spec.updateStrategy ?? {}
  if (type === 'OnDelete') {
    if (rollingUpdate !== undefined)
      errors.push(
        invalid(
          'spec.updateStrategy.rollingUpdate',
          rollingUpdate,
          "only allowed for updateStrategy 'RollingUpdate'",
        ),
      )
  } else if (type === 'RollingUpdate') {
    checkNotNegative(errors, 'spec.updateStrategy.rollingUpdate.partition', rollingUpdate?.partition)
    checkIntOrPercent(
      errors,
      'spec.updateStrategy.rollingUpdate.maxUnavailable',
      rollingUpdate?.maxUnavailable,
    )
  } else
    errors.push(invalid('spec.updateStrategy', spec.updateStrategy, "must be 'RollingUpdate' or 'OnDelete'"))
  const retention = ['Delete', 'Retain']
  for (const field of ['whenDeleted', 'whenScaled'] as const) {
    const value = spec.persistentVolumeClaimRetentionPolicy?.[field]
    if (value !== undefined && !retention.includes(value))
      errors.push(notSupported(`spec.persistentVolumeClaimRetentionPolicy.${field}`, value, retention))
  }
  checkNotNegative(errors, 'spec.replicas', spec.replicas)
  checkNotNegative(errors, 'spec.minReadySeconds', spec.minReadySeconds)
  checkNotNegative(errors, 'spec.ordinals.start', spec.ordinals?.start)
  checkWorkloadSelector(errors, spec.selector, 'statefulset')
  checkLastingTemplate(errors, 'spec.template', withClaims(spec), spec.selector)
  return errors
}

/** The template as its pods will have it: claims become volumes, in place of those of the same name. */
function withClaims({
  template,
  volumeClaimTemplates = [],
}: NonNullable<StatefulSet['spec']>): PodTemplateSpec {
  if (template?.spec === undefined || volumeClaimTemplates.length === 0) return template
  const claimed = new Set(volumeClaimTemplates.map(({ metadata }) => metadata.name))
  const volumes = [
    ...(template.spec.volumes ?? []).filter(({ name }) => !claimed.has(name)),
    ...[...claimed].map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
  ]
  return { ...template, spec: { ...template.spec, volumes } }
}

const changeable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const

/** The new spec with everything that may change put back to what it was. */
function frozenFields(set: StatefulSet, old: StatefulSet): object {
  const spec: Record<string, unknown> = { ...set.spec }
  for (const field of changeable) {
    const before = old.spec?.[field]
    if (before === undefined) delete spec[field]
    else spec[field] = before
  }
  return spec
}

function statusErrors({ status }: StatefulSet): Errors {
  const errors: Errors = []
  const replicas = status?.replicas ?? 0
  for (const field of [
    'replicas',
    'readyReplicas',
    'currentReplicas',
    'updatedReplicas',
    'observedGeneration',
  ] as const)
    checkNotNegative(errors, `status.${field}`, status?.[field])
  for (const field of ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'] as const) {
    const count = status?.[field] ?? 0
    if (count > replicas)
      errors.push(invalid(`status.${field}`, count, 'cannot be greater than status.replicas'))
  }
  if ((status?.availableReplicas ?? 0) > (status?.readyReplicas ?? 0))
    errors.push(
      invalid(
        'status.availableReplicas',
        status?.availableReplicas,
        'cannot be greater than status.readyReplicas',
      ),
    )
  return errors
}
