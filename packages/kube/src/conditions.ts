/** What all conditions of all kinds have in common. */
export interface AnyCondition {
  type: string
  status: string
  reason?: string
  message?: string
  lastTransitionTime?: string
}

/** The condition of a type. */
export function findCondition<T extends { readonly type: string }>(
  conditions: readonly T[] | undefined,
  type: string,
): T | undefined {
  return conditions?.find((condition) => condition.type === type)
}

/** Whether the condition is there and `True`. */
export function isConditionTrue(
  conditions: readonly { readonly type: string; readonly status: string }[] | undefined,
  type: string,
): boolean {
  return findCondition(conditions, type)?.status === 'True'
}

/**
 * The list with a condition set. Its transition time is the one given, or `now`, when the status changes, and
 * the old one otherwise. Returns the very list it was given when nothing changes.
 */
export function withCondition<T extends AnyCondition>(
  conditions: readonly T[] | undefined,
  condition: T,
  now: string,
): readonly T[] {
  const list = conditions ?? []
  const index = list.findIndex(({ type }) => type === condition.type)
  const old = list[index]
  const changesStatus = old?.status !== condition.status
  const time = changesStatus ? (condition.lastTransitionTime ?? now) : (old?.lastTransitionTime ?? now)
  const next: T = { ...condition, lastTransitionTime: time }
  if (old === undefined) return [...list, next]
  if (hasSameFields(old, next)) return list
  return list.map((each, position) => (position === index ? next : each))
}

/** The list without a condition; the very list it was given when there was none. */
export function withoutCondition<T extends { readonly type: string }>(
  conditions: readonly T[],
  type: string,
): readonly T[] {
  return conditions.some((condition) => condition.type === type)
    ? conditions.filter((condition) => condition.type !== type)
    : conditions
}

function hasSameFields(one: object, two: object): boolean {
  const left = one as Record<string, unknown>
  const right = two as Record<string, unknown>
  return [...Object.keys(left), ...Object.keys(right)].every((key) => left[key] === right[key])
}
