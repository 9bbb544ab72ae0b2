import { type FieldError, invalid, required, unsupported } from '@outrigger/kube'
import { compileNamePattern } from './name-pattern.ts'
import { resourceExpressionProblem } from './resource-expression.ts'
import { isNativeSidecar, type SidecarContainer } from './sidecar-set.ts'

/** What is wrong with a container's resourcesPolicy: everything that would keep pods from being created. */
export function resourcesPolicyErrors(
  path: string,
  container: SidecarContainer,
  list: 'initContainers' | 'containers',
): FieldError[] {
  const policy = container.resourcesPolicy
  if (!policy) return []
  const field = `${path}.resourcesPolicy`
  const { limits = {}, requests = {} } = container.resources ?? {}
  const errors: FieldError[] = []
  if (list === 'initContainers' && !isNativeSidecar(container))
    errors.push(
      invalid(
        field,
        container.name,
        'only native sidecars (restartPolicy: Always) may have a resourcesPolicy among init containers',
      ),
    )
  if (Object.keys(limits).length > 0 || Object.keys(requests).length > 0)
    return [
      ...errors,
      invalid(field, container.name, 'cannot be used together with resources.limits or resources.requests'),
    ]
  return [...errors, ...targetErrors(field, policy), ...expressionErrors(`${field}.resourcesExpr`, policy)]
}

type Policy = NonNullable<SidecarContainer['resourcesPolicy']>

function targetErrors(
  field: string,
  { targetContainersMode, targetContainersNameRegex }: Policy,
): FieldError[] {
  const errors: FieldError[] = []
  if (targetContainersMode !== 'sum' && targetContainersMode !== 'max')
    errors.push(unsupported(`${field}.targetContainersMode`, targetContainersMode, ['sum', 'max']))
  const at = `${field}.targetContainersNameRegex`
  if (!targetContainersNameRegex) errors.push(required(at))
  else if (compileNamePattern(targetContainersNameRegex) === undefined)
    errors.push(invalid(at, targetContainersNameRegex, 'must be a regular expression of RE2'))
  return errors
}

function expressionErrors(field: string, { resourcesExpr }: Policy): FieldError[] {
  if (!resourcesExpr?.limits && !resourcesExpr?.requests)
    return [required(field, 'at least one of limits and requests')]
  const errors: FieldError[] = []
  for (const side of ['limits', 'requests'] as const) {
    for (const resource of ['cpu', 'memory'] as const) {
      const expression = resourcesExpr[side]?.[resource]
      const problem = expression ? resourceExpressionProblem(expression, resource) : undefined
      if (problem !== undefined) errors.push(invalid(`${field}.${side}.${resource}`, expression, problem))
    }
  }
  return errors
}
