import {
  type Container,
  deepEqual,
  forbidden,
  invalid,
  type Pod,
  type PodSpec,
  type Toleration,
} from '@outrigger/kube'
import type { Errors } from '../field-checks.ts'
import { internalPodSpec } from './internal-form.ts'
import { lineDiff } from './line-diff.ts'
import { checkPodSpec } from './pod-spec-rules.ts'

/** With this gate a pod that has just reached a virtual node may still receive its sidecars. */
export const lateSidecarsGate = 'SidecarSetServerlessPod'
const virtualNodeLabel = 'serverless.alibabacloud.com/virtual-node'

/** What is wrong with an update of a pod. */
export function podUpdateErrors(pod: Pod, old: Pod, isEnabled: (gate: string) => boolean): Errors {
  const errors: Errors = []
  const spec = pod.spec ?? ({ containers: [] } as PodSpec)
  const before = old.spec ?? ({ containers: [] } as PodSpec)
  if (spec === before || deepEqual(spec, before)) return errors
  checkPodSpec(errors, 'spec', spec)
  const additions = isEnabled(lateSidecarsGate) && mayReceiveSidecars(pod, old) ? pod : undefined

  for (const field of ['containers', 'initContainers'] as const) {
    const now = spec[field] ?? []
    const then = before[field] ?? []
    const onlyAdds = additions !== undefined && keepsAll(then, now, field === 'initContainers')
    if (now.length !== then.length && !onlyAdds) {
      errors.push(forbidden(`spec.${field}`, 'pod updates may not add or remove containers'))
      return errors
    }
    checkImages(errors, `spec.${field}`, now)
  }
  if (!checkDeadline(errors, spec, before)) return errors
  checkTolerationsGrow(errors, spec.tolerations ?? [], before.tolerations ?? [])
  checkGatesShrink(errors, spec, before)
  const allowed = withAllowedChanges(spec, before, additions !== undefined, old)
  if (!deepEqual(allowed, before)) errors.push(forbidden('spec', unchangeable(allowed, before)))
  return errors
}

/**
 * Whether containers may still be added: the pod is bound, it is marked for a virtual node, and nothing
 * in it has started, so no container ever runs without the sidecars that come now.
 */
function mayReceiveSidecars(pod: Pod, old: Pod): boolean {
  if (!old.spec?.nodeName || pod.metadata.labels?.[virtualNodeLabel] !== 'true') return false
  const statuses = [
    ...(old.status?.initContainerStatuses ?? []),
    ...(old.status?.containerStatuses ?? []),
    ...(old.status?.ephemeralContainerStatuses ?? []),
  ]
  return !statuses.some(
    ({ started, restartCount, state, lastState }) =>
      started === true ||
      restartCount > 0 ||
      state?.running !== undefined ||
      state?.terminated !== undefined ||
      lastState?.terminated !== undefined,
  )
}

/** Whether the old containers are all there, in their order; new init containers must be sidecars. */
function keepsAll(then: readonly Container[], now: readonly Container[], addsSidecarsOnly: boolean): boolean {
  let next = 0
  for (const container of now) {
    if (container.name === then[next]?.name) next++
    else if (addsSidecarsOnly && container.restartPolicy !== 'Always') return false
  }
  return next === then.length
}

function checkImages(errors: Errors, path: string, containers: readonly Container[]): void {
  containers.forEach((container, index) => {
    const image = container.image ?? ''
    if (image.trim() !== image)
      errors.push(invalid(`${path}[${index}].image`, image, 'must not have leading or trailing whitespace'))
  })
}

function checkDeadline(errors: Errors, spec: PodSpec, before: PodSpec): boolean {
  const field = 'spec.activeDeadlineSeconds'
  const now = spec.activeDeadlineSeconds
  const then = before.activeDeadlineSeconds
  if (now !== undefined) {
    if (now < 0 || now > 2147483647) {
      errors.push(invalid(field, now, 'must be between 0 and 2147483647, inclusive'))
      return false
    }
    if (then !== undefined && then < now) {
      errors.push(invalid(field, now, 'must be less than or equal to previous value'))
      return false
    }
  } else if (then !== undefined)
    errors.push(invalid(field, null, 'must not update from a positive integer to nil value'))
  return true
}

function checkTolerationsGrow(errors: Errors, now: readonly Toleration[], then: readonly Toleration[]): void {
  const keepsOld = then.every((old) =>
    now.some(
      (toleration) =>
        toleration.key === old.key &&
        toleration.operator === old.operator &&
        toleration.value === old.value &&
        toleration.effect === old.effect,
    ),
  )
  if (!keepsOld)
    errors.push(
      forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'),
    )
}

function checkGatesShrink(errors: Errors, spec: PodSpec, before: PodSpec): void {
  spec.schedulingGates?.forEach((gate, index) => {
    if (!before.schedulingGates?.some(({ name }) => name === gate.name))
      errors.push(
        forbidden(
          `spec.schedulingGates[${index}].name`,
          `only deletion is allowed, but found new scheduling gate '${gate.name}'`,
        ),
      )
  })
}

/** The new spec with everything an update may change put back; what then still differs is refused. */
function withAllowedChanges(spec: PodSpec, before: PodSpec, mayAdd: boolean, old: Pod): PodSpec {
  const munged: PodSpec = { ...spec, containers: withImagesOf(spec.containers, before.containers, mayAdd) }
  if (spec.initContainers !== undefined)
    munged.initContainers = withImagesOf(spec.initContainers, before.initContainers ?? [], mayAdd)
  if (mayAdd) {
    if (munged.initContainers?.length === 0 && before.initContainers === undefined)
      delete munged.initContainers
    const volumes = new Set((before.volumes ?? []).map(({ name }) => name))
    const kept = (spec.volumes ?? []).filter(({ name }) => volumes.has(name))
    if (kept.length > 0 || before.volumes !== undefined) munged.volumes = kept
    else delete munged.volumes
  }
  restore(munged, before, 'activeDeadlineSeconds')
  restore(munged, before, 'tolerations')
  restore(munged, before, 'schedulingGates')
  if (before.terminationGracePeriodSeconds !== undefined && before.terminationGracePeriodSeconds < 0)
    if (spec.terminationGracePeriodSeconds === 1) restore(munged, before, 'terminationGracePeriodSeconds')
  if ((old.spec?.schedulingGates ?? []).length > 0) {
    if (keepsEntries(spec.nodeSelector, before.nodeSelector)) restore(munged, before, 'nodeSelector')
    if (before.affinity?.nodeAffinity === undefined && spec.affinity?.nodeAffinity !== undefined) {
      const { nodeAffinity: _, ...others } = spec.affinity
      if (before.affinity !== undefined || Object.keys(others).length > 0) munged.affinity = others
      else delete munged.affinity
    }
  }
  return munged
}

function withImagesOf(now: readonly Container[], then: readonly Container[], mayAdd: boolean): Container[] {
  const kept = mayAdd ? now.filter(({ name }) => then.some((old) => old.name === name)) : now
  return kept.map((container, index) => {
    const image = then[index]?.image
    if (container.image === image) return container
    const same = { ...container }
    if (image === undefined) delete same.image
    else same.image = image
    return same
  })
}

function restore(spec: PodSpec, before: PodSpec, field: keyof PodSpec): void {
  if (before[field] === undefined) delete spec[field]
  else Object.assign(spec, { [field]: before[field] })
}

function keepsEntries(
  now: Readonly<Record<string, string>> | undefined,
  then: Readonly<Record<string, string>> | undefined,
): boolean {
  for (const key in then) if (now?.[key] !== then[key]) return false
  return true
}

const changeable = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',')

/** The refusal, with the difference upstream shows. */
function unchangeable(now: PodSpec, then: PodSpec): string {
  const difference = lineDiff(internalPodSpec(then), internalPodSpec(now))
  return `pod updates may not change fields other than ${changeable}\n${difference}`
}
