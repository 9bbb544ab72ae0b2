import type { Taint, Toleration } from './generated/kinds.ts'

/** Whether the toleration covers the taint. An empty key with `Exists` covers every taint. Source: core/v1 `ToleratesTaint`. */
export function toleratesTaint(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false
  if (toleration.key && toleration.key !== taint.key) return false
  if (toleration.operator === 'Exists') return true
  if (!toleration.key) return false
  return (toleration.value ?? '') === (taint.value ?? '')
}

/** Whether every taint with one of `effects` is covered by some toleration. */
export function toleratesTaints(
  tolerations: readonly Toleration[],
  taints: readonly Taint[],
  effects: readonly string[] = ['NoSchedule', 'NoExecute'],
): boolean {
  return taints.every(
    (taint) =>
      !effects.includes(taint.effect) || tolerations.some((toleration) => toleratesTaint(toleration, taint)),
  )
}
