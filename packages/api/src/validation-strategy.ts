import {
  annotationsSize,
  compileLabelSelector,
  type FieldError,
  type IntOrString,
  invalid,
  type LabelSelector,
  maxAnnotationsSize,
  qualifiedNameProblems,
  required,
  SelectorError,
  tooLong,
  unsupported,
} from '@outrigger/kube'
import { customVersionOf, type SidecarSet, type SidecarSetSpec } from './sidecar-set.ts'
import { revisionName } from './sidecar-set-revision.ts'
import type { RevisionWish } from './track.ts'

/**
 * What is wrong with `injectionStrategy.revision`. It may name the very content that is being written, which is
 * not recorded yet.
 */
export function revisionErrors(
  sidecarSet: SidecarSet,
  hasRevision: ((sidecarSet: SidecarSet, wish: RevisionWish) => boolean) | undefined,
): FieldError[] {
  const revision = sidecarSet.spec.injectionStrategy?.revision
  if (!revision) return []
  const errors: FieldError[] = []
  if (!revision.revisionName && !revision.customVersion)
    errors.push(invalid('revision', revision, 'revisionName and customVersion cannot both be empty'))
  else if (hasRevision && !namesItself(sidecarSet, revision) && !hasRevision(sidecarSet, revision))
    errors.push(
      invalid(
        'revision',
        revision.revisionName || revision.customVersion,
        'cannot find this revision among those recorded for the SidecarSet',
      ),
    )
  if (revision.policy && revision.policy !== 'Always' && revision.policy !== 'Partial')
    errors.push(unsupported('revision.policy', revision.policy, ['Always', 'Partial']))
  return errors
}

/** Whether what is wished for is the present content. */
export function namesItself(sidecarSet: SidecarSet, revision: RevisionWish): boolean {
  if (revision.revisionName) {
    const { name } = sidecarSet.metadata
    return (
      revision.revisionName === revisionName(name, sidecarSet.spec, sidecarSet.status?.collisionCount ?? 0)
    )
  }
  return revision.customVersion === customVersionOf(sidecarSet)
}

/** What is wrong with the settings that only a rolling update reads. */
export function rollingUpdateErrors({ updateStrategy = {} }: SidecarSetSpec): FieldError[] {
  const errors: FieldError[] = []
  const { partition, maxUnavailable, selector } = updateStrategy
  const hasPartition = typeof partition === 'string' || (partition ?? 0) !== 0
  if (selector && hasPartition)
    errors.push(invalid('updateStrategy', partition, 'selector and partition cannot be used together'))
  errors.push(...amountErrors('spec.updateStrategy.partition', partition))
  errors.push(...amountErrors('spec.updateStrategy.maxUnavailable', maxUnavailable))
  errors.push(...priorityErrors(updateStrategy), ...scatterErrors(updateStrategy))
  return errors
}

function amountErrors(field: string, value: IntOrString | undefined): FieldError[] {
  if (value === undefined || value === null) return []
  if (typeof value === 'number')
    return value >= 0 ? [] : [invalid(field, value, 'must be greater than or equal to 0')]
  return /^[0-9]+%$/.test(value)
    ? []
    : [invalid(field, value, 'must be an integer or a percentage such as "10%"')]
}

type Strategy = NonNullable<SidecarSetSpec['updateStrategy']>

function priorityErrors({ priorityStrategy }: Strategy): FieldError[] {
  const field = 'spec.updateStrategy.priorityStrategy'
  const { orderPriority = [], weightPriority = [] } = priorityStrategy ?? {}
  const errors: FieldError[] = []
  if (orderPriority.length > 0 && weightPriority.length > 0)
    errors.push(required(field, 'only one of orderPriority and weightPriority can be used'))
  for (const { weight, matchSelector } of weightPriority) {
    if (weight < 0 || weight > 100) errors.push(required(field, 'weight must be in the range 0-100'))
    const isEmpty =
      Object.keys(matchSelector?.matchLabels ?? {}).length === 0 && !matchSelector?.matchExpressions?.length
    if (isEmpty) errors.push(required(field, 'matchSelector must not be empty'))
    else if (!isSelector(matchSelector))
      errors.push(required(field, 'matchSelector must be a label selector'))
  }
  for (const { orderedKey } of orderPriority)
    if (!orderedKey) errors.push(required(field, 'orderedKey must not be empty'))
  return errors
}

function isSelector(selector: LabelSelector): boolean {
  try {
    compileLabelSelector(selector)
    return true
  } catch (error) {
    if (error instanceof SelectorError) return false
    throw error
  }
}

function scatterErrors({ scatterStrategy = [] }: Strategy): FieldError[] {
  const field = 'spec.updateStrategy.scatterStrategy'
  const seen = new Set<string>()
  const errors: FieldError[] = []
  for (const { key, value } of scatterStrategy) {
    if (!key) errors.push(required(field, 'key must not be empty'))
    if (seen.has(`${key}:${value}`)) errors.push(required(field, `duplicate term ${key}:${value}`))
    seen.add(`${key}:${value}`)
  }
  return errors
}

/** What is wrong with patchPodMetadata in itself; the whitelist is the caller's business. */
export function patchMetadataErrors({ patchPodMetadata }: SidecarSetSpec): FieldError[] {
  const field = 'spec.patchPodMetadata'
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const { annotations, patchPolicy } of patchPodMetadata ?? []) {
    const keys = Object.keys(annotations ?? {})
    if (keys.length === 0) errors.push(required(field, 'no annotations defined'))
    if (!patchPolicy) errors.push(required(field, 'no patchPolicy defined'))
    for (const key of keys) {
      if (seen.has(key)) errors.push(required(field, `annotation key ${key} already exists in another entry`))
      seen.add(key)
      for (const problem of qualifiedNameProblems(key.toLowerCase()))
        errors.push(invalid('patchPodMetadata.annotations', key, problem))
    }
    if (annotationsSize(annotations ?? {}) > maxAnnotationsSize)
      errors.push(tooLong('patchPodMetadata.annotations', maxAnnotationsSize))
  }
  return errors
}
