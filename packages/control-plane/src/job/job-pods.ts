import type { Random } from '@outrigger/foundation'
import type { Container, Draft, Job, Pod } from '@outrigger/kube'
import { podFromTemplate } from '../pods/pod-from-template.ts'

/** Keeps a finished pod until the job has counted it. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
const indexKey = 'batch.kubernetes.io/job-completion-index'
const failureCountKey = 'batch.kubernetes.io/job-index-failure-count'
const indexVariable = 'JOB_COMPLETION_INDEX'

/** Whether the job has not counted the pod yet. */
export function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) === true
}

/** The completion index of a pod of an Indexed job. */
export function completionIndex(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[indexKey] ?? ''
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

/** How often the pod's index had failed before the pod was made. */
export function indexFailuresBefore(pod: Pod): number {
  return Number(pod.metadata.annotations?.[failureCountKey] ?? 0) || 0
}

/** A pod for any of the job's completions. */
export function jobPod(job: Job, random: Random): Draft<Pod> {
  const pod = podFromTemplate(job.spec.template, job, random)
  pod.metadata.finalizers = [...(pod.metadata.finalizers ?? []), trackingFinalizer]
  return pod
}

/** The pod for one index, which learns its index from annotation, label, environment and host name. */
export function indexedJobPod(job: Job, index: number, failuresBefore: number, random: Random): Draft<Pod> {
  const pod = jobPod(job, random)
  const generateName = `${job.metadata.name}-${index}-`
  const variable = {
    name: indexVariable,
    valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: `metadata.labels['${indexKey}']` } },
  }
  const withVariable = (container: Container): Container =>
    container.env?.some(({ name }) => name === indexVariable)
      ? container
      : { ...container, env: [...(container.env ?? []), variable] }
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: generateName.slice(0, 58) + random.suffix(5),
      generateName,
      labels: { ...pod.metadata.labels, [indexKey]: String(index) },
      annotations: {
        ...pod.metadata.annotations,
        [indexKey]: String(index),
        ...(job.spec.backoffLimitPerIndex !== undefined && { [failureCountKey]: String(failuresBefore) }),
      },
    },
    spec: {
      ...pod.spec,
      hostname: `${job.metadata.name}-${index}`,
      containers: pod.spec.containers.map(withVariable),
      ...(pod.spec.initContainers && { initContainers: pod.spec.initContainers.map(withVariable) }),
    },
  }
}
