import type { Taint, Toleration } from './generated/kinds.ts'

/** Whether a toleration covers a taint. The time it is tolerated for does not matter here. */
export function toleratesTaint(toleration: Toleration, taint: Taint): boolean {
  if (
    toleration.effect !== undefined &&
    (toleration.effect as string) !== '' &&
    toleration.effect !== taint.effect
  )
    return false
  const key = toleration.key ?? ''
  if (key !== '' && key !== taint.key) return false
  switch (toleration.operator ?? 'Equal') {
    case 'Exists':
      return true
    case 'Gt':
      return compareNumbers(taint.value, toleration.value, (taintValue, own) => taintValue > own)
    case 'Lt':
      return compareNumbers(taint.value, toleration.value, (taintValue, own) => taintValue < own)
    default:
      // An empty key needs Exists; validation sees to that, and here it must not match everything.
      return key !== '' && (toleration.value ?? '') === (taint.value ?? '')
  }
}

/** Whether every taint with one of `effects` is covered by some toleration. */
export function toleratesTaints(
  tolerations: readonly Toleration[],
  taints: readonly Taint[],
  effects: readonly string[] = ['NoSchedule', 'NoExecute'],
): boolean {
  return findUntoleratedTaint(taints, tolerations, effects) === undefined
}

/** The first taint with one of these effects that nothing tolerates. */
export function findUntoleratedTaint(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  effects: readonly string[] = ['NoSchedule', 'NoExecute'],
): Taint | undefined {
  return taints?.find(
    (taint) =>
      effects.includes(taint.effect) && !tolerations?.some((toleration) => toleratesTaint(toleration, taint)),
  )
}

function compareNumbers(
  taintValue: string | undefined,
  own: string | undefined,
  holds: (taintValue: bigint, own: bigint) => boolean,
): boolean {
  const number = /^-?\d{1,19}$/
  if (!number.test(taintValue ?? '') || !number.test(own ?? '')) return false
  return holds(BigInt(taintValue ?? ''), BigInt(own ?? ''))
}
