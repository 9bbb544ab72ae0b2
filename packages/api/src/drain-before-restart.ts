import { type FieldError, invalid, type ObjectMeta } from '@outrigger/kube'
import { sidecarSetAnnotations } from './names.ts'

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const shortest = 1_000
const longest = 600_000

/**
 * Milliseconds that a pod stays out of its Services' endpoints before containers of this SidecarSet restart in place, from the
 * annotation `outrigger.dev/drain-before-restart`. `undefined` where it is absent or not a duration between 1s and 10m:
 * then nothing is drained.
 */
export function drainTimeOf({ metadata }: { readonly metadata: ObjectMeta }): number | undefined {
  const text = metadata.annotations?.[sidecarSetAnnotations.drainBeforeRestart]
  const time = text === undefined ? undefined : milliseconds(text)
  return time !== undefined && time >= shortest && time <= longest ? time : undefined
}

/** What is wrong with the annotation; nothing where it is absent. */
export function drainErrors(sidecarSet: { readonly metadata: ObjectMeta }): FieldError[] {
  const key = sidecarSetAnnotations.drainBeforeRestart
  const text = sidecarSet.metadata.annotations?.[key]
  if (text === undefined || drainTimeOf(sidecarSet) !== undefined) return []
  return [
    invalid(
      `metadata.annotations[${key}]`,
      text,
      'must be a duration from 1s to 10m: how long pods stay out of their Services before sidecars restart; write for example 15s, or remove the annotation',
    ),
  ]
}

/** Of a duration as Go writes it: `15s`, `1m30s`, `1.5m`. */
function milliseconds(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, amount, unit = 's']) => sum + Number(amount) * (units[unit] ?? 0),
    0,
  )
}
