import type { PersistentVolumeClaim } from '@outrigger/kube'

/** Why no folder can be what a claim asks for; undefined when one can. */
export function provisionProblem({ spec }: PersistentVolumeClaim): string | undefined {
  if (spec?.volumeMode === 'Block') return 'block volume provisioning is not supported'
  if (spec?.selector !== undefined) return 'claim.Spec.Selector is not supported'
  if (spec?.dataSource !== undefined || spec?.dataSourceRef !== undefined)
    return 'volumes cannot be filled from another source'
  return undefined
}
