import type { KubeObject } from '@outrigger/kube'

/** JSON with kind and apiVersion in front, so that both can be cut off for lists. */
export function encodeObject(object: KubeObject): Buffer {
  const { kind, apiVersion, ...rest } = object
  const body = JSON.stringify(rest)
  const tail = body === '{}' ? '}' : `,${body.slice(1)}`
  return Buffer.from(`{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)}${tail}`)
}
