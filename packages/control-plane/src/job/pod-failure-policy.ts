import type { Job, Pod, PodFailurePolicyRule } from '@outrigger/kube'
import { podCondition } from '../pods/pod-state.ts'

/** What `spec.podFailurePolicy` says about a failed pod; `Count` when no rule fits. */
export interface FailureVerdict {
  readonly action: 'Count' | 'FailIndex' | 'FailJob' | 'Ignore'
  /** Why the job fails, for `FailJob`. */
  readonly message: string
}

const counted: FailureVerdict = { action: 'Count', message: '' }

/** The first rule that fits a failed pod decides. Source: kubernetes/pkg/controller/job/pod_failure_policy.go. */
export function judgeFailure(job: Job, pod: Pod): FailureVerdict {
  for (const [index, rule] of (job.spec.podFailurePolicy?.rules ?? []).entries()) {
    const because = whyFits(rule, pod)
    if (because === undefined) continue
    const message = `${because} for pod ${pod.metadata.namespace}/${pod.metadata.name} matching ${rule.action} rule at index ${index}`
    return { action: rule.action, message }
  }
  return counted
}

function whyFits(rule: PodFailurePolicyRule, pod: Pod): string | undefined {
  if (rule.onExitCodes !== undefined) return whyExitCodeFits(rule.onExitCodes, pod)
  for (const pattern of rule.onPodConditions ?? []) {
    const condition = podCondition(pod, pattern.type)
    if (condition !== undefined && condition.status === (pattern.status ?? 'True'))
      return `Pod has condition ${pattern.type} ${condition.status}`
  }
  return undefined
}

function whyExitCodeFits(
  { containerName, operator, values }: NonNullable<PodFailurePolicyRule['onExitCodes']>,
  pod: Pod,
): string | undefined {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])]
  for (const { name, state } of statuses) {
    const exitCode = state?.terminated?.exitCode
    if (exitCode === undefined || exitCode === 0) continue
    if (containerName !== undefined && containerName !== name) continue
    if (values.includes(exitCode) === (operator === 'In'))
      return `Container ${name} failed with exit code ${exitCode}`
  }
  return undefined
}
