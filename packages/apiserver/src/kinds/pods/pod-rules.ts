import { deepEqual, forbidden, invalid, type Pod, required } from '@outrigger/kube'
import { checkName, type Errors } from '../field-checks.ts'
import { qualifiedNameProblems, subdomainProblems } from '../name-rules.ts'
import { internalEphemeralContainer } from './internal-form.ts'
import { lineDiff } from './line-diff.ts'
import { checkPodSpec } from './pod-spec-rules.ts'
import { qualityOfService } from './quality-of-service.ts'

/** What is wrong with a new pod. */
export function podCreateErrors(pod: Pod): Errors {
  const errors: Errors = []
  checkPodSpec(errors, 'spec', pod.spec ?? {})
  const { spec } = pod
  if (spec === undefined) return errors
  if (spec.ephemeralContainers !== undefined)
    errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'))
  if (spec.nodeName && (spec.schedulingGates ?? []).length > 0)
    errors.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'))
  return errors
}

/** What is wrong with a status write. */
export function podStatusErrors(pod: Pod, old: Pod): Errors {
  const errors: Errors = []
  const status = pod.status ?? {}
  const nominated = status.nominatedNodeName
  if (nominated && nominated !== old.status?.nominatedNodeName) {
    checkName(errors, 'status.nominatedNodeName', nominated, subdomainProblems)
    if (old.spec?.nodeName)
      errors.push(
        forbidden('status.nominatedNodeName', 'may not be set on pods that are already bound to a node'),
      )
  }
  status.conditions?.forEach((condition, index) => {
    checkName(errors, `status.conditions[${index}].Type`, condition.type, qualifiedNameProblems)
  })
  checkIps(errors, pod)
  const { restartPolicy } = old.spec ?? {}
  if (restartPolicy !== 'Always') {
    for (const field of ['containerStatuses', 'initContainerStatuses'] as const)
      checkStaysTerminated(errors, field, pod, old)
  }
  if (old.status?.qosClass !== undefined && status.qosClass !== old.status.qosClass)
    errors.push(invalid('status.qosClass', status.qosClass ?? '', 'field is immutable'))
  return errors
}

function checkIps(errors: Errors, pod: Pod): void {
  const ips = pod.status?.podIPs ?? []
  const seen = new Set<string>()
  ips.forEach(({ ip }, index) => {
    if (seen.has(ip ?? ''))
      errors.push({ type: 'duplicate', field: `status.podIPs[${index}]`, value: { IP: ip }, detail: '' })
    seen.add(ip ?? '')
  })
  if (ips.length > 2)
    errors.push(invalid('status.podIPs', ips, 'may specify no more than one IP for each IP family'))
}

/** A container that has ended for good does not come back to life. */
function checkStaysTerminated(
  errors: Errors,
  field: 'containerStatuses' | 'initContainerStatuses',
  pod: Pod,
  old: Pod,
): void {
  const containers = field === 'containerStatuses' ? old.spec?.containers : old.spec?.initContainers
  for (const before of old.status?.[field] ?? []) {
    const ended = before.state?.terminated
    if (ended === undefined) continue
    const container = containers?.find(({ name }) => name === before.name)
    if (container?.restartPolicy !== undefined) continue
    if (ended.exitCode !== 0 && old.spec?.restartPolicy === 'OnFailure') continue
    const index = pod.status?.[field]?.findIndex(({ name }) => name === before.name) ?? -1
    const after = pod.status?.[field]?.[index]
    if (after !== undefined && after.state?.terminated === undefined)
      errors.push(
        forbidden(`status.${field}[${index}].state`, 'may not be transitioned to non-terminated state'),
      )
  }
}

/** What is wrong with a write of the ephemeralcontainers subresource. */
export function ephemeralContainersErrors(pod: Pod, old: Pod): Errors {
  const errors: Errors = []
  checkPodSpec(errors, 'spec', pod.spec ?? {})
  const added = new Map((pod.spec?.ephemeralContainers ?? []).map((container) => [container.name, container]))
  for (const container of old.spec?.ephemeralContainers ?? []) {
    const now = added.get(container.name)
    if (now === undefined)
      errors.push(
        forbidden(
          'spec.ephemeralContainers',
          `existing ephemeral containers "${container.name}" may not be removed\n`,
        ),
      )
    else if (!deepEqual(now, container)) {
      const difference = lineDiff(internalEphemeralContainer(container), internalEphemeralContainer(now))
      errors.push(
        forbidden(
          'spec.ephemeralContainers',
          `existing ephemeral containers "${container.name}" may not be changed\n${difference}`,
        ),
      )
    }
  }
  return errors
}

/** What is wrong with a change of resources while the pod runs. */
export function resizeErrors(pod: Pod, old: Pod): Errors {
  const errors: Errors = []
  checkPodSpec(errors, 'spec', pod.spec ?? {})
  if (pod.spec?.containers?.length !== old.spec?.containers?.length) {
    errors.push(forbidden('spec.containers', 'containers may not be added or removed on resize'))
    return errors
  }
  if (old.spec?.os?.name === 'windows') errors.push(forbidden('', 'windows pods cannot be resized'))
  for (const list of ['initContainers', 'containers'] as const) checkNothingRemoved(errors, list, pod, old)
  const before = old.status?.qosClass ?? qualityOfService(old)
  const after = qualityOfService(pod)
  if (after !== before)
    errors.push(invalid('spec', after, 'Pod QOS Class may not change as a result of resizing'))
  return errors
}

/** A running container cannot be told that it has no limit any more. Source: validation of the `resize` subresource. */
function checkNothingRemoved(
  errors: Errors,
  list: 'initContainers' | 'containers',
  pod: Pod,
  old: Pod,
): void {
  old.spec?.[list]?.forEach(({ resources: before }, index) => {
    const now = pod.spec?.[list]?.[index]?.resources
    for (const side of ['limits', 'requests'] as const) {
      const isRemoved = Object.keys(before?.[side] ?? {}).some((name) => now?.[side]?.[name] === undefined)
      if (isRemoved)
        errors.push(
          forbidden(`spec.${list}[${index}].resources.${side}`, `resource ${side} cannot be removed`),
        )
    }
  })
}

/** What a Binding object must say. */
export function bindingErrors(binding: { target?: { kind?: string; name?: string } }): Errors {
  const errors: Errors = []
  const kind = binding.target?.kind ?? ''
  if (kind !== '' && kind !== 'Node')
    errors.push({
      type: 'unsupported',
      field: 'target.kind',
      value: kind,
      detail: 'supported values: "Node", "<empty>"',
    })
  if (!binding.target?.name) errors.push(required('target.name'))
  return errors
}
