import {
  compileNamePattern,
  ExpressionError,
  type ExpressionResource,
  evaluateResourceExpression,
  isNativeSidecar,
  podContainerNames,
  type ResourcesPolicy,
  type SidecarContainer,
  type SidecarSet,
  usesVariable,
} from '@outrigger/api'
import { addQuantities, type Container, compareQuantities, maxQuantity, type Pod } from '@outrigger/kube'
import { InjectionFailure } from './injection-failure.ts'

type Resources = NonNullable<Container['resources']>
type Side = 'limits' | 'requests'

/** Containers of a pod that resources policies may look at: long-running ones that no SidecarSet brings. None where no policy looks. */
export function measurableContainers(pod: Pod, sidecarSets: readonly SidecarSet[]): Container[] {
  const hasPolicy = ({ resourcesPolicy }: SidecarContainer) => resourcesPolicy !== undefined
  if (
    !sidecarSets.some(({ spec }) => spec.containers?.some(hasPolicy) || spec.initContainers?.some(hasPolicy))
  )
    return []
  const brought = new Set(
    sidecarSets.flatMap(({ spec }) =>
      (['initContainers', 'containers'] as const).flatMap((list) =>
        // Both names of a hot upgrade too, so that a pod that was injected already gives the same.
        (spec[list] ?? []).flatMap((sidecar) => [sidecar.name, ...podContainerNames(sidecar, list)]),
      ),
    ),
  )
  return [...(pod.spec.initContainers ?? []).filter(isNativeSidecar), ...pod.spec.containers].filter(
    ({ name }) => !brought.has(name),
  )
}

/**
 * The resources a policy gives a sidecar in a pod with these containers. They replace all that the sidecar says.
 *
 * @throws InjectionFailure when no container is meant or an expression has no value.
 */
export function resourcesByPolicy(
  sidecarSet: string,
  sidecar: SidecarContainer,
  policy: ResourcesPolicy,
  containers: readonly Container[],
): Resources {
  const culprit = `SidecarSet ${sidecarSet}, container ${sidecar.name}, resourcesPolicy`
  const pattern = compileNamePattern(policy.targetContainersNameRegex || '.*')
  if (pattern === undefined)
    throw new InjectionFailure(culprit, 'targetContainersNameRegex is no regular expression')
  const targets = containers.filter(({ name }) => pattern.occursIn(name))
  if (targets.length === 0)
    throw new InjectionFailure(
      culprit,
      `no container of the pod matches ${JSON.stringify(policy.targetContainersNameRegex)}`,
    )
  const resources: Resources = {}
  for (const side of ['limits', 'requests'] as const) {
    const amounts: Record<string, string> = {}
    for (const resource of ['cpu', 'memory'] as const) {
      const expression = policy.resourcesExpr?.[side]?.[resource]
      if (!expression) continue
      try {
        const amount = amountByExpression(expression, side, resource, policy.targetContainersMode, targets)
        if (amount !== undefined) amounts[resource] = amount
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error
        throw new InjectionFailure(`${culprit}, ${side}.${resource}`, error.message, { cause: error })
      }
    }
    if (Object.keys(amounts).length > 0) resources[side] = amounts
  }
  refuseExcess(culprit, resources)
  return resources
}

/** The API server would refuse the pod for it, without a word about where the numbers come from. */
function refuseExcess(culprit: string, { limits, requests }: Resources): void {
  for (const [resource, request] of Object.entries(requests ?? {})) {
    const limit = limits?.[resource]
    if (limit !== undefined && compareQuantities(request, limit) > 0)
      throw new InjectionFailure(
        culprit,
        `for this pod it gives a ${resource} request of ${request}, above the limit of ${limit}`,
      )
  }
}

/** A limit that depends on one the targets do not have does not exist either; a request then counts from zero. */
function amountByExpression(
  expression: string,
  side: Side,
  resource: ExpressionResource,
  mode: ResourcesPolicy['targetContainersMode'],
  targets: readonly Container[],
): string | undefined {
  const aggregate = aggregated(
    targets.map(({ resources }) => resources?.[side]?.[resource]),
    side,
    mode,
  )
  if (aggregate === undefined && side === 'limits' && usesVariable(expression)) return undefined
  return evaluateResourceExpression(expression, resource, aggregate ?? '0')
}

function aggregated(
  amounts: readonly (string | number | undefined)[],
  side: Side,
  mode: ResourcesPolicy['targetContainersMode'],
): string | undefined {
  const present = amounts.filter((amount) => amount !== undefined)
  if (present.length === 0 || (side === 'limits' && present.length < amounts.length)) return undefined
  const total = present.reduce((left, right) =>
    mode === 'max' ? maxQuantity(left, right) : addQuantities(left, right),
  )
  if (side === 'requests' && mode !== 'max' && compareQuantities(total, 0) === 0) return undefined
  return String(total)
}
