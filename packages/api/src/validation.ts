import { type FieldError, formatFieldError, invalid, required, tooLong } from '@outrigger/kube'
import { changePolicyErrors } from './change-policy.ts'
import { drainErrors } from './drain-before-restart.ts'
import { injectionWeightErrors } from './injection-weight.ts'
import { type MetadataWhitelist, whitelistErrors } from './metadata-whitelist.ts'
import { sidecarSetAnnotations } from './names.ts'
import {
  canaryBaseOf,
  isNativeSidecar,
  namespaceSelectorOf,
  type SidecarSet,
  updatesNativeSidecars,
} from './sidecar-set.ts'
import type { RevisionWish } from './track.ts'
import { conflictErrors } from './validation-conflicts.ts'
import { containerErrors } from './validation-containers.ts'
import { selectorErrors } from './validation-selector.ts'
import { patchMetadataErrors, revisionErrors, rollingUpdateErrors } from './validation-strategy.ts'
import { trackErrors, trackRevisionErrors } from './validation-tracks.ts'

/** What validation needs to know besides the object. */
export interface SidecarSetFacts {
  /** The stored object, on an update. */
  readonly old?: SidecarSet
  /** All SidecarSets; the object itself among them does no harm. */
  readonly others: readonly SidecarSet[]
  /** Whether such a revision of the SidecarSet is recorded. Left out: not asked, as offline. */
  readonly hasRevision?: (sidecarSet: SidecarSet, wish: RevisionWish) => boolean
  /** Which annotations may be patched. Left out: not asked. */
  readonly whitelist?: MetadataWhitelist
}

/**
 * What is wrong with a **defaulted** SidecarSet. Conflicts with other SidecarSets are looked for only
 * when the object is right in itself, as OpenKruise does. On an update, faults of the spec and conflicts that the stored
 * object has already are let pass: what another release or OpenKruise has accepted can still be changed.
 */
export function sidecarSetErrors(sidecarSet: SidecarSet, facts: SidecarSetFacts): readonly FieldError[] {
  const { old, others } = facts
  const errors = [
    ...nameErrors(sidecarSet),
    ...canaryErrors(sidecarSet, facts),
    ...addedErrors(annotationErrors(sidecarSet), () => (old ? annotationErrors(old) : [])),
    ...addedErrors(specErrors(sidecarSet), () => (old ? specErrors(old) : [])),
    ...revisionErrors(sidecarSet, facts.hasRevision),
    ...trackRevisionErrors(sidecarSet, old, facts.hasRevision),
    ...(facts.whitelist ? whitelistErrors(sidecarSet, facts.whitelist) : []),
    ...(old ? updateErrors(sidecarSet, old) : []),
  ]
  if (errors.length > 0) return errors
  return addedErrors(conflictErrors(sidecarSet, others), () => (old ? conflictErrors(old, others) : []))
}

/** Those that were not there before; before is looked at only if there is something now. */
function addedErrors(now: readonly FieldError[], before: () => readonly FieldError[]): readonly FieldError[] {
  if (now.length === 0) return now
  const known = new Set(before().map(formatFieldError))
  return known.size === 0 ? now : now.filter((error) => !known.has(formatFieldError(error)))
}

function nameErrors({ metadata }: SidecarSet): FieldError[] {
  const errors: FieldError[] = []
  if (!/^[a-zA-Z0-9-]+$/.test(metadata.name))
    errors.push(invalid('metadata.name', metadata.name, 'must consist of alphanumeric characters or dashes'))
  if (metadata.name.length > 63) errors.push(tooLong('metadata.name', 63))
  return errors
}

function canaryErrors(sidecarSet: SidecarSet, { old, others }: SidecarSetFacts): FieldError[] {
  const base = canaryBaseOf(sidecarSet)
  if (base === undefined) return []
  const wrong = (detail: string) => invalid(`metadata`, base, detail)
  const errors: FieldError[] = []
  if (base === sidecarSet.metadata.name)
    errors.push(wrong('a SidecarSet cannot be the canary of itself; name another base'))
  if (old && old.metadata.annotations?.[sidecarSetAnnotations.base] !== base)
    errors.push(wrong(`annotation ${sidecarSetAnnotations.base} is immutable`))
  const found = others.find((other) => other.metadata.name === base)
  if (found === undefined) errors.push(wrong('the base SidecarSet does not exist'))
  else if (canaryBaseOf(found) !== undefined) errors.push(wrong('the base SidecarSet is itself a canary'))
  if (sidecarSet.spec.updateStrategy?.type !== 'NotUpdate')
    errors.push(wrong('a canary must have updateStrategy.type NotUpdate'))
  return errors
}

/** What is wrong with annotations of ours. */
function annotationErrors(sidecarSet: SidecarSet): FieldError[] {
  return [
    ...injectionWeightErrors(sidecarSet),
    ...changePolicyErrors(sidecarSet),
    ...trackErrors(sidecarSet),
    ...drainErrors(sidecarSet),
  ]
}

function specErrors(sidecarSet: SidecarSet): FieldError[] {
  const { spec } = sidecarSet
  const errors: FieldError[] = []
  const isRolling = spec.updateStrategy?.type === 'RollingUpdate'
  for (const container of spec.initContainers ?? []) {
    if (isRolling && isNativeSidecar(container) && !updatesNativeSidecars(sidecarSet))
      errors.push(
        required(
          'spec.updateStrategy',
          `init container ${container.name} is a native sidecar and cannot be upgraded in place; set updateStrategy.type to NotUpdate, or allow it with the annotation ${sidecarSetAnnotations.updatesNativeSidecars}: "true"`,
        ),
      )
  }
  if (!spec.selector) errors.push(required('spec.selector', 'no selector defined for SidecarSet'))
  else errors.push(...selectorErrors('spec.selector', spec.selector))
  if (spec.namespace && spec.namespaceSelector)
    errors.push(
      invalid(
        'spec.namespace',
        spec.namespace,
        'would silently replace namespaceSelector; use one of the two, or add kubernetes.io/metadata.name to the selector',
      ),
    )
  const namespaceSelector = namespaceSelectorOf(spec)
  if (namespaceSelector) errors.push(...selectorErrors('spec.namespaceSelector', namespaceSelector))
  if (isRolling && spec.updateStrategy?.selector)
    errors.push(...selectorErrors('spec.updateStrategy.selector', spec.updateStrategy.selector))
  if (isRolling) errors.push(...rollingUpdateErrors(spec))
  if (!spec.containers?.length && !spec.initContainers?.length)
    errors.push(required('spec', 'at least one container or init container'))
  errors.push(...containerErrors(spec), ...patchMetadataErrors(spec), ...pullSecretErrors(spec))
  return errors
}

/** Pull secrets are read before any volume is, in the pod's own namespace only. */
function pullSecretErrors({ imagePullSecrets }: SidecarSet['spec']): FieldError[] {
  return (imagePullSecrets ?? []).flatMap(({ name = '' }, i) =>
    name.includes('/')
      ? [
          invalid(
            `spec.imagePullSecrets[${i}].name`,
            name,
            'must be a name in the namespace of the pod; only the volumes of a SidecarSet may name objects of other namespaces',
          ),
        ]
      : [],
  )
}

function updateErrors(sidecarSet: SidecarSet, old: SidecarSet): FieldError[] {
  const before = new Map((old.spec.containers ?? []).map((container) => [container.name, container]))
  const errors: FieldError[] = []
  for (const container of sidecarSet.spec.containers ?? []) {
    const known = before.get(container.name)
    const type = container.upgradeStrategy?.upgradeType
    const oldType = known?.upgradeStrategy?.upgradeType
    if (known === undefined)
      errors.push(
        invalid(
          'spec.containers.name',
          container.name,
          'container not found in the stored SidecarSet: containers cannot be added or renamed; create another SidecarSet',
        ),
      )
    else if (oldType && oldType !== type)
      errors.push(invalid('spec.containers.upgradeStrategy.upgradeType', type, 'field is immutable'))
  }
  return errors
}
