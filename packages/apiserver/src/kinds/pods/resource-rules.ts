import { duplicate, invalid, type ResourceRequirements, required } from '@outrigger/kube'
import { nanosOf } from '../amounts.ts'
import { checkName, type Errors, notFoundValue } from '../field-checks.ts'
import { qualifiedNameProblems } from '../name-rules.ts'

const standard = new Set(['cpu', 'memory', 'ephemeral-storage'])

const isStandard = (name: string) => standard.has(name) || name.startsWith('hugepages-')
/** Resources a node may promise more than once; all others need equal requests and limits. */
const mayOvercommit = (name: string) => standard.has(name) || isNative(name)
const isNative = (name: string) => !name.includes('/') || name.includes('kubernetes.io/')

/** Requests and limits of a container. */
export function checkResources(
  errors: Errors,
  path: string,
  resources: ResourceRequirements,
  claimNames: ReadonlySet<string>,
): void {
  const { limits, requests, claims } = resources
  for (const name in limits) checkAmount(errors, `${path}.limits`, name, limits[name] as string)
  for (const name in requests) {
    const amount = requests[name] as string
    checkAmount(errors, `${path}.requests`, name, amount)
    const limit = limits?.[name]
    if (limit !== undefined) {
      if (nanosOf(amount) > nanosOf(limit))
        errors.push(
          invalid(`${path}.requests`, amount, `must be less than or equal to ${name} limit of ${limit}`),
        )
      else if (!mayOvercommit(name) && nanosOf(amount) !== nanosOf(limit))
        errors.push(invalid(`${path}.requests`, amount, `must be equal to ${name} limit of ${limit}`))
    } else if (!mayOvercommit(name) || name.startsWith('hugepages-'))
      errors.push(required(`${path}.limits`, 'Limit must be set for non overcommitable resources'))
  }
  if (claims === undefined) return
  const seen = new Set<string>()
  claims.forEach((claim, index) => {
    if (!claim.name) errors.push(required(`${path}.claims[${index}]`))
    else if (seen.has(claim.name)) errors.push(duplicate(`${path}.claims[${index}]`, claim.name))
    else if (!claimNames.has(claim.name)) errors.push(notFoundValue(`${path}.claims[${index}]`, claim.name))
    seen.add(claim.name)
  })
}

function checkAmount(errors: Errors, path: string, name: string, amount: string): void {
  if (!isStandard(name)) {
    checkName(errors, path, name, qualifiedNameProblems)
    if (!name.includes('/')) errors.push(invalid(path, name, 'must be a standard resource for containers'))
    else if (isNative(name) || name.startsWith('requests.'))
      errors.push(invalid(path, name, "doesn't follow extended resource name standard"))
  }
  const nanos = nanosOf(amount)
  if (nanos < 0n) errors.push(invalid(`${path}[${name}]`, amount, 'must be greater than or equal to 0'))
  else if (!isStandard(name) && nanos % 1_000_000_000n !== 0n)
    errors.push(invalid(`${path}[${name}]`, amount, 'must be an integer'))
}
