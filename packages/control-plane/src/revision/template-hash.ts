import type { PodTemplateSpec } from '@outrigger/kube'

const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

/**
 * The short text that names a pod template in `pod-template-hash` and in ReplicaSet names. Stable for
 * equal templates whatever the order of their keys; `collisions` (status.collisionCount) changes it.
 */
export function templateHash(template: PodTemplateSpec, collisions: number): string {
  let hash = 0x811c9dc5
  const text = collisions === 0 ? canonical(template) : `${canonical(template)}#${collisions}`
  for (let index = 0; index < text.length; index++) {
    hash ^= text.charCodeAt(index)
    hash = Math.imul(hash, 0x01000193)
  }
  // As upstream: the decimal digits of a 32-bit hash, spelled in letters that form no words.
  return [...String(hash >>> 0)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('')
}

/** JSON with sorted keys, without undefined values. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  entries.sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(',')}}`
}
