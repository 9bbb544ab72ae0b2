import type { IntOrString } from '@outrigger/kube'
import type { SidecarSet, SidecarSetSpec } from './sidecar-set.ts'
import { unknownWordWarnings } from './unknown-words.ts'

/** A SidecarSet in today's words, with a sentence for each old or unknown one. */
export interface Respelled {
  readonly sidecarSet: SidecarSet
  readonly warnings: readonly string[]
}

interface OldSpec extends SidecarSetSpec {
  readonly paused?: boolean
  readonly strategy?: { readonly rollingUpdate?: { readonly maxUnavailable?: IntOrString } }
}

/**
 * Takes over `spec.paused` and `spec.strategy.rollingUpdate.maxUnavailable`, which the first releases of
 * OpenKruise had, into `spec.updateStrategy`. What today's field says wins. The very object given if it has neither.
 * Words that nobody knows stay as they are, with a warning.
 */
export function withTodaysSpelling(sidecarSet: SidecarSet): Respelled {
  const { paused, strategy, ...spec } = sidecarSet.spec as OldSpec
  const warnings = unknownWordWarnings(sidecarSet.spec)
  if (paused === undefined && strategy === undefined) return { sidecarSet, warnings }
  const updateStrategy = { ...spec.updateStrategy }
  if (paused !== undefined) {
    warnings.push('spec.paused is the spelling of old releases; use spec.updateStrategy.paused')
    updateStrategy.paused ??= paused
  }
  if (strategy !== undefined) {
    warnings.push(
      'spec.strategy.rollingUpdate.maxUnavailable is the spelling of old releases; use spec.updateStrategy.maxUnavailable',
    )
    const maxUnavailable = strategy?.rollingUpdate?.maxUnavailable
    if (maxUnavailable !== undefined && maxUnavailable !== null)
      updateStrategy.maxUnavailable ??= maxUnavailable
  }
  return { sidecarSet: { ...sidecarSet, spec: { ...spec, updateStrategy } }, warnings }
}
