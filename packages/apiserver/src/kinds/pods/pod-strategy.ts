import { formatTime } from '@outrigger/foundation'
import { deepEqual, type KubeObject, type Pod, type Schema } from '@outrigger/kube'
import type { Strategy, WriteContext } from '../../registry/resource.ts'
import { labelProblems } from '../name-rules.ts'
import { createStatusStrategy, createStrategy, keepField } from '../strategy.ts'
import { applyPodDefaults } from './pod-defaults.ts'
import { ephemeralContainersErrors, podCreateErrors, podStatusErrors, resizeErrors } from './pod-rules.ts'
import { podUpdateErrors } from './pod-update-rules.ts'
import { podWarnings } from './pod-warnings.ts'
import { qualityOfService } from './quality-of-service.ts'

/** The rules of pods and of the parts of a pod that have a path of their own. */
export interface PodStrategies {
  readonly main: Strategy
  readonly status: Strategy
  readonly ephemeralContainers: Strategy
  readonly resize: Strategy
}

/** Builds the strategies of pods on their schema. */
export function createPodStrategies(schema: Schema): PodStrategies {
  const main = createStrategy<Pod>({
    schema,
    applyDefaults(pod) {
      applyPodDefaults(pod)
      alignPodIps(pod)
    },
    initialStatus: (pod, context) => initialStatus(pod, context),
    validateCreate: podCreateErrors,
    validateUpdate: (pod, old, context) => podUpdateErrors(pod, old, (gate) => context.isEnabled(gate)),
    warnings: warningsOf,
    tracksGeneration: true,
    generationFields: ['spec'],
    gracePeriod,
  })
  const status = createStatusStrategy<Pod>(main, {
    prepare(pod, old) {
      keepField(pod.metadata, old.metadata, 'ownerReferences')
      keepField(pod.metadata, old.metadata, 'deletionTimestamp')
      const qosClass = old.status?.qosClass
      if (pod.status !== undefined && pod.status.qosClass === undefined && qosClass !== undefined)
        pod.status.qosClass = qosClass
    },
    validate: podStatusErrors,
  })
  return {
    main,
    status,
    ephemeralContainers: {
      ...main,
      prepareForUpdate(object, old) {
        const wanted = (object as Pod).spec?.ephemeralContainers
        restoreAll(object as Pod, old as Pod)
        const spec = { ...(old as Pod).spec } as NonNullable<Pod['spec']>
        delete spec.ephemeralContainers
        if (wanted !== undefined) spec.ephemeralContainers = wanted
        ;(object as Pod).spec = spec
      },
      validateUpdate: (object, old) => ephemeralContainersErrors(object as Pod, old as Pod),
      warnings: () => [],
    },
    resize: {
      ...main,
      prepareForUpdate(object, old) {
        const pod = object as Pod
        const wanted = pod.spec
        restoreAll(pod, old as Pod)
        pod.spec = resized(old as Pod, wanted)
      },
      validateUpdate: (object, old) => resizeErrors(object as Pod, old as Pod),
      warnings: () => [],
    },
  }
}

/** Everything but the spec as it was; metadata too, for these subresources are about the spec alone. */
function restoreAll(pod: Pod, old: Pod): void {
  for (const field of ['status', 'spec']) keepField(pod, old, field)
  const { resourceVersion, managedFields } = pod.metadata
  pod.metadata = { ...old.metadata }
  if (resourceVersion !== undefined) pod.metadata.resourceVersion = resourceVersion
  if (managedFields !== undefined) pod.metadata.managedFields = managedFields
}

function resized(old: Pod, wanted: Pod['spec']): Pod['spec'] {
  const { spec } = old
  if (spec === undefined) return wanted
  const next = { ...spec }
  for (const field of ['containers', 'initContainers'] as const) {
    const containers = spec[field]
    if (containers === undefined) continue
    next[field] = containers.map((container) => {
      const change = wanted?.[field]?.find(({ name }) => name === container.name)
      if (change === undefined || (field === 'initContainers' && container.restartPolicy !== 'Always'))
        return container
      const copy = { ...container }
      keepField(copy, change, 'resources')
      keepField(copy, change, 'resizePolicy')
      return copy
    })
  }
  return next
}

function initialStatus(pod: Pod, context: WriteContext): object {
  const qosClass = qualityOfService(pod)
  if ((pod.spec?.schedulingGates ?? []).length === 0) return { phase: 'Pending', qosClass }
  return {
    phase: 'Pending',
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        lastProbeTime: null,
        lastTransitionTime: formatTime(context.now),
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
      },
    ],
    qosClass,
  }
}

/** `podIP` and the first of `podIPs` are the same thing. */
function alignPodIps(pod: Pod): void {
  const { status } = pod
  if (status === undefined) return
  const first = status.podIPs?.[0]?.ip
  if (status.podIP !== undefined && status.podIP !== first) status.podIPs = [{ ip: status.podIP }]
  else if (status.podIP === undefined && first !== undefined) status.podIP = first
}

function warningsOf(pod: Pod, old: Pod | undefined): string[] {
  if (pod.spec === undefined) return []
  if (old !== undefined && deepEqual(pod.spec, old.spec)) return []
  const warnings = podWarnings('spec', 'metadata', pod.metadata, pod.spec)
  if (old === undefined) {
    const problems = pod.metadata.name === '' ? [] : labelProblems(pod.metadata.name ?? '')
    if (problems.length > 0)
      warnings.push(
        `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${problems.join(', ')}]`,
      )
  }
  return warnings
}

/**
 * Seconds a deleted pod stays. A pod that never reached a node, or is over, goes at once; otherwise what
 * was asked for, or else what the pod says. Negative periods mean one second.
 */
function gracePeriod(object: KubeObject, requested: number | undefined): number {
  const pod = object as Pod
  let period = requested ?? pod.spec?.terminationGracePeriodSeconds ?? 0
  const { phase } = pod.status ?? {}
  if (!pod.spec?.nodeName || phase === 'Failed' || phase === 'Succeeded') period = 0
  return period < 0 ? 1 : period
}
