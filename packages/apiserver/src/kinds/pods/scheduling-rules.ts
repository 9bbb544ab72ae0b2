import {
  type Affinity,
  duplicate,
  forbidden,
  invalid,
  type NodeSelectorTerm,
  type PodAffinityTerm,
  type PodSpec,
  required,
  type Toleration,
  type TopologySpreadConstraint,
} from '@outrigger/kube'
import { checkLabelSelector, checkName, type Errors, notSupported } from '../field-checks.ts'
import { labelProblems, labelValueProblems, qualifiedNameProblems, subdomainProblems } from '../name-rules.ts'

const effects = ['NoExecute', 'NoSchedule', 'PreferNoSchedule']
const tolerationOperators = ['Equal', 'Exists']

/** Tolerations of a pod or a runtime class. */
export function checkTolerations(errors: Errors, path: string, tolerations: readonly Toleration[]): void {
  tolerations.forEach((toleration, index) => {
    const at = `${path}[${index}]`
    const { key, operator, value, effect, tolerationSeconds } = toleration
    if (key) checkName(errors, `${at}.key`, key, qualifiedNameProblems)
    else if (operator !== 'Exists')
      errors.push(
        invalid(
          `${at}.operator`,
          operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      )
    if (tolerationSeconds !== undefined && effect !== 'NoExecute')
      errors.push(
        invalid(`${at}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"),
      )
    if (operator === undefined || operator === 'Equal') {
      const problems = labelValueProblems(value ?? '')
      if (problems.length > 0) errors.push(invalid(`${at}.operator`, value, problems.join(';')))
    } else if (operator === 'Exists') {
      if (value)
        errors.push(invalid(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"))
    } else errors.push(notSupported(`${at}.operator`, operator, tolerationOperators))
    if (effect && !effects.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, effects))
  })
}

/** Scheduling gates: qualified names, each once. */
export function checkSchedulingGates(
  errors: Errors,
  path: string,
  gates: NonNullable<PodSpec['schedulingGates']>,
): void {
  const seen = new Set<string>()
  gates.forEach((gate, index) => {
    checkName(errors, `${path}[${index}]`, gate.name, qualifiedNameProblems)
    if (seen.has(gate.name)) errors.push(duplicate(`${path}[${index}]`, gate.name))
    seen.add(gate.name)
  })
}

const unsatisfiables = ['DoNotSchedule', 'ScheduleAnyway']

/** Topology spread constraints; a pair of key and action occurs once. */
export function checkSpread(
  errors: Errors,
  path: string,
  constraints: readonly TopologySpreadConstraint[],
): void {
  const seen = new Set<string>()
  constraints.forEach((constraint, index) => {
    const at = `${path}[${index}]`
    if (!(constraint.maxSkew > 0))
      errors.push(invalid(`${at}.maxSkew`, constraint.maxSkew, 'must be greater than zero'))
    if (!constraint.topologyKey) errors.push(required(`${at}.topologyKey`, 'can not be empty'))
    else checkName(errors, `${at}.topologyKey`, constraint.topologyKey, qualifiedNameProblems)
    if (!unsatisfiables.includes(constraint.whenUnsatisfiable))
      errors.push(notSupported(`${at}.whenUnsatisfiable`, constraint.whenUnsatisfiable, unsatisfiables))
    const pair = `{${constraint.topologyKey}, ${constraint.whenUnsatisfiable}}`
    if (seen.has(pair)) errors.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, pair))
    seen.add(pair)
    if (constraint.minDomains !== undefined) {
      if (constraint.minDomains <= 0)
        errors.push(invalid(`${at}.minDomains`, constraint.minDomains, 'must be greater than zero'))
      if (constraint.whenUnsatisfiable !== 'DoNotSchedule')
        errors.push(
          invalid(
            `${at}.minDomains`,
            constraint.minDomains,
            `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${constraint.whenUnsatisfiable}`,
          ),
        )
    }
    checkLabelSelector(errors, `${at}.labelSelector`, constraint.labelSelector)
  })
}

/** Affinity to nodes and to other pods. */
export function checkAffinity(errors: Errors, path: string, affinity: Affinity): void {
  const node = affinity.nodeAffinity
  if (node !== undefined) {
    const hard = node.requiredDuringSchedulingIgnoredDuringExecution
    const hardPath = `${path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`
    if (hard !== undefined) {
      if ((hard.nodeSelectorTerms ?? []).length === 0)
        errors.push(required(`${hardPath}.nodeSelectorTerms`, 'must have at least one node selector term'))
      hard.nodeSelectorTerms?.forEach((term, index) => {
        checkNodeTerm(errors, `${hardPath}.nodeSelectorTerms[${index}]`, term)
      })
    }
    node.preferredDuringSchedulingIgnoredDuringExecution?.forEach((term, index) => {
      const at = `${path}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${index}]`
      checkWeight(errors, at, term.weight)
      checkNodeTerm(errors, `${at}.preference`, term.preference)
    })
  }
  for (const field of ['podAffinity', 'podAntiAffinity'] as const) {
    const terms = affinity[field]
    if (terms === undefined) continue
    const at = `${path}.${field}`
    terms.requiredDuringSchedulingIgnoredDuringExecution?.forEach((term, index) => {
      checkPodTerm(errors, `${at}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`, term)
    })
    terms.preferredDuringSchedulingIgnoredDuringExecution?.forEach((term, index) => {
      const path = `${at}.preferredDuringSchedulingIgnoredDuringExecution[${index}]`
      checkWeight(errors, path, term.weight)
      checkPodTerm(errors, `${path}.podAffinityTerm`, term.podAffinityTerm)
    })
  }
}

function checkWeight(errors: Errors, at: string, weight: number): void {
  if (!(weight >= 1 && weight <= 100))
    errors.push(invalid(`${at}.weight`, weight, 'must be in the range 1-100'))
}

const setOperators = ['In', 'NotIn']
const barOperators = ['Exists', 'DoesNotExist']

function checkNodeTerm(errors: Errors, at: string, term: NodeSelectorTerm): void {
  term.matchExpressions?.forEach((expression, index) => {
    const path = `${at}.matchExpressions[${index}]`
    const values = expression.values ?? []
    const { operator } = expression
    if (setOperators.includes(operator)) {
      if (values.length === 0)
        errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    } else if (barOperators.includes(operator)) {
      if (values.length > 0)
        errors.push(
          forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        )
    } else if (operator === 'Gt' || operator === 'Lt') {
      if (values.length !== 1)
        errors.push(
          required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
        )
    } else errors.push(invalid(`${path}.operator`, operator ?? '', 'not a valid selector operator'))
    checkName(errors, `${path}.key`, expression.key ?? '', qualifiedNameProblems)
    values.forEach((value, at) => void checkName(errors, `${path}.values[${at}]`, value, labelValueProblems))
  })
  term.matchFields?.forEach((expression, index) => {
    const path = `${at}.matchFields[${index}]`
    if (!setOperators.includes(expression.operator))
      errors.push(invalid(`${path}.operator`, expression.operator ?? '', 'not a valid selector operator'))
    else if ((expression.values ?? []).length !== 1)
      errors.push(
        required(
          `${path}.values`,
          "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        ),
      )
    if (expression.key !== 'metadata.name')
      errors.push(invalid(`${path}.key`, expression.key ?? '', 'not a valid field selector key'))
    else
      expression.values?.forEach((value, at) => {
        checkName(errors, `${path}.values[${at}]`, value, subdomainProblems)
      })
  })
}

function checkPodTerm(errors: Errors, at: string, term: PodAffinityTerm | undefined): void {
  checkLabelSelector(errors, `${at}.labelSelector`, term?.labelSelector)
  checkLabelSelector(errors, `${at}.namespaceSelector`, term?.namespaceSelector)
  term?.namespaces?.forEach((name) => void checkName(errors, `${at}.namespace`, name, labelProblems))
  if (!term?.topologyKey) errors.push(required(`${at}.topologyKey`, 'can not be empty'))
  else checkName(errors, `${at}.topologyKey`, term.topologyKey, qualifiedNameProblems)
}
