import { type FieldError, invalid, type ObjectMeta } from '@outrigger/kube'
import { sidecarSetAnnotations } from './names.ts'

/** Weights lie between its negative and itself. */
const heaviest = 10_000
const { injectionWeight } = sidecarSetAnnotations

/**
 * The place of a SidecarSet among those that a pod gets: the smallest weight is injected first, so its containers stand in
 * front of those of others on the same side of the application. 0 where nothing is said, or nothing that can be read.
 */
export function injectionWeightOf(sidecarSet: { readonly metadata: ObjectMeta }): number {
  return weightIn(sidecarSet.metadata.annotations?.[injectionWeight] ?? '0') ?? 0
}

/** What is wrong with the weight that is stated. */
export function injectionWeightErrors({ metadata }: { readonly metadata: ObjectMeta }): FieldError[] {
  const stated = metadata.annotations?.[injectionWeight]
  if (stated === undefined || weightIn(stated) !== undefined) return []
  return [
    invalid(
      `metadata.annotations[${injectionWeight}]`,
      stated,
      `must be a whole number from -${heaviest} to ${heaviest}; the smallest is injected first, and 0 is where nothing is stated`,
    ),
  ]
}

function weightIn(text: string): number | undefined {
  if (!/^[+-]?\d{1,5}$/.test(text)) return undefined
  const weight = Number(text)
  return Math.abs(weight) > heaviest ? undefined : weight
}
