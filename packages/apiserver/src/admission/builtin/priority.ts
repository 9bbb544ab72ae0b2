import { type Pod, type PriorityClass, resources } from '@outrigger/kube'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionAttributes, AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf, writes } from './attribute-questions.ts'

/** Always there, whether or not somebody has stored them. */
const systemClasses: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
}

interface Computed {
  readonly value: number
  readonly preemptionPolicy: 'PreemptLowerPriority' | 'Never'
  readonly className?: string
}

/** Turns the name of a priority class into the number the scheduler compares. */
export function createPriority({ objects }: KindsEnvironment): AdmissionPlugin {
  const find = (name: string): Computed | undefined => {
    const found = objects.get<PriorityClass>(resources.priorityClasses, { namespace: '', name })
    if (found !== undefined) return computedOf(found)
    const value = systemClasses[name]
    return value === undefined ? undefined : { value, preemptionPolicy: 'PreemptLowerPriority' }
  }
  const ofDefault = defaultClass(objects)
  return {
    name: 'Priority',
    concerns: (attributes) => writes(attributes, '', 'pods', 'CREATE', 'UPDATE'),
    mutate(attributes) {
      const spec = (attributes.object as Pod).spec
      if (spec === undefined) return
      if (attributes.operation === 'UPDATE') {
        const old = (attributes.oldObject as Pod).spec
        if (spec.priority === undefined && old?.priority !== undefined) spec.priority = old.priority
        if (spec.preemptionPolicy === undefined && old?.preemptionPolicy !== undefined)
          spec.preemptionPolicy = old.preemptionPolicy
        return
      }
      const name = spec.priorityClassName ?? ''
      const computed = name === '' ? ofDefault() : find(name)
      if (computed === undefined) refuse(attributes, `no PriorityClass with name ${name} was found`)
      if (computed.className !== undefined) spec.priorityClassName = computed.className
      checkGiven(attributes, spec, computed)
      spec.priority = computed.value
      spec.preemptionPolicy = computed.preemptionPolicy
    },
  }
}

const computedOf = ({ value, preemptionPolicy }: PriorityClass): Computed => ({
  value: value ?? 0,
  preemptionPolicy: preemptionPolicy ?? 'PreemptLowerPriority',
})

/** The class for pods that name none; looked up again only when classes changed. */
function defaultClass(objects: KindsEnvironment['objects']): () => Computed {
  let seen = -1
  let known: Computed = { value: 0, preemptionPolicy: 'PreemptLowerPriority' }
  return () => {
    const changes = objects.changes(resources.priorityClasses)
    if (changes === seen) return known
    seen = changes
    let best: PriorityClass | undefined
    for (const one of objects.list<PriorityClass>(resources.priorityClasses))
      if (one.globalDefault === true && (best === undefined || (one.value ?? 0) < (best.value ?? 0)))
        best = one
    known =
      best === undefined
        ? { value: 0, preemptionPolicy: 'PreemptLowerPriority' }
        : { ...computedOf(best), className: best.metadata.name ?? '' }
    return known
  }
}

function checkGiven(
  attributes: AdmissionAttributes,
  spec: NonNullable<Pod['spec']>,
  computed: Computed,
): void {
  if (spec.priority !== undefined && spec.priority !== computed.value)
    refuse(
      attributes,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${computed.value} from the given PriorityClass name`,
    )
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== computed.preemptionPolicy)
    refuse(
      attributes,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${computed.preemptionPolicy} from the given PriorityClass name`,
    )
}

function refuse(attributes: AdmissionAttributes, why: string): never {
  throw forbidden(subjectOf(attributes), nameOf(attributes), why)
}
