import { duplicate, invalid, type Node, required } from '@outrigger/kube'
import { nanosOf } from '../amounts.ts'
import { checkName, type Errors, notSupported } from '../field-checks.ts'
import { type KindBuilder, selectableOf } from '../kind-definition.ts'
import { labelValueProblems, qualifiedNameProblems } from '../name-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'

const effects = ['NoExecute', 'NoSchedule', 'PreferNoSchedule']

/** Machines. A kubelet may register one together with its status. */
export const nodeKind: KindBuilder = (schema) => {
  const strategy = createStrategy<Node>({
    schema,
    initialStatus: ({ status }) => status ?? {},
    applyDefaults({ spec, status }) {
      if (spec?.podCIDR !== undefined && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR]
      else if (spec !== undefined && spec.podCIDR === undefined && spec.podCIDRs?.[0] !== undefined)
        spec.podCIDR = spec.podCIDRs[0]
      if (status?.capacity === undefined) return
      const allocatable = status.allocatable ?? {}
      const missing = Object.keys(status.capacity).filter((name) => allocatable[name] === undefined)
      if (missing.length === 0) return
      // A node that does not say what of its capacity pods may have offers all of it.
      if (status.allocatable === undefined) status.allocatable = { ...status.capacity }
    },
    validate: nodeErrors,
    validateUpdate(node, old) {
      const errors: Errors = []
      const before = old.spec?.podCIDRs ?? []
      if (before.length > 0 && before.join() !== (node.spec?.podCIDRs ?? []).join())
        errors.push({
          type: 'forbidden',
          field: 'spec.podCIDRs',
          detail: 'node updates may not change podCIDR except from "" to valid',
        })
      if (old.spec?.providerID && old.spec.providerID !== node.spec?.providerID)
        errors.push({
          type: 'forbidden',
          field: 'spec.providerID',
          detail: 'node updates may not change providerID except from "" to valid',
        })
      return errors
    },
    warnings: ({ spec }) => [
      ...(spec?.configSource === undefined ? [] : ['spec.configSource: the feature is no longer available']),
      ...(spec?.externalID === undefined
        ? []
        : ['spec.externalID: this field is deprecated, and is unused by Kubernetes']),
    ],
  })
  return {
    strategy,
    status: createStatusStrategy<Node>(strategy, { validate: (node) => amountErrors(node) }),
    selectable: selectableOf<Node>({
      'spec.unschedulable': ({ spec }) => String(spec?.unschedulable === true),
    }),
  }
}

function nodeErrors(node: Node): Errors {
  const errors = amountErrors(node)
  const seen = new Set<string>()
  node.spec?.taints?.forEach((taint, index) => {
    const at = `spec.taints[${index}]`
    checkName(errors, `${at}.key`, taint.key ?? '', qualifiedNameProblems)
    const problems = labelValueProblems(taint.value ?? '')
    if (problems.length > 0) errors.push(invalid(`${at}.value`, taint.value, problems.join(';')))
    if (!taint.effect) errors.push(required(`${at}.effect`))
    else if (!effects.includes(taint.effect)) errors.push(notSupported(`${at}.effect`, taint.effect, effects))
    const key = `${taint.key}:${taint.effect}`
    if (seen.has(key))
      errors.push({ ...duplicate(at, taint), detail: 'taints must be unique by key and effect pair' })
    seen.add(key)
  })
  return errors
}

function amountErrors({ status }: Node): Errors {
  const errors: Errors = []
  for (const field of ['capacity', 'allocatable'] as const)
    for (const name in status?.[field])
      if (nanosOf(status[field][name]) < 0n)
        errors.push(
          invalid(`status.${field}.${name}`, status[field][name], 'must be greater than or equal to 0'),
        )
  return errors
}
