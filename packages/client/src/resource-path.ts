import { type ObjectKey, parseKey, type ResourceRef } from '@outrigger/kube'

/** `/api/v1/namespaces/x/pods/y/log`. Without a namespace: all namespaces, or a cluster-scoped object. */
export function resourcePath(
  resource: ResourceRef,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const root =
    resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  let path = root
  if (resource.namespaced && namespace) path += `/namespaces/${encodeURIComponent(namespace)}`
  path += `/${resource.resource}`
  if (name !== undefined) path += `/${encodeURIComponent(name)}`
  if (subresource !== undefined) path += `/${subresource}`
  return path
}

/** @throws RangeError when the key of a namespaced object names no namespace, or no object. */
export function objectPath(resource: ResourceRef, key: ObjectKey | string, subresource?: string): string {
  const { namespace, name } = typeof key === 'string' ? parseKey(key) : key
  if (name === '') throw new RangeError(`${resource.resource}: a name is needed`)
  if (resource.namespaced && namespace === '')
    throw new RangeError(`${resource.resource} ${name}: a namespace is needed`)
  return resourcePath(resource, namespace, name, subresource)
}

type QueryValue = string | number | boolean | undefined | readonly string[]

/** `?a=1&b=x` of everything that is set; empty when nothing is. Lists repeat their name. */
export function query(values: Readonly<Record<string, QueryValue>>): string {
  const parts: string[] = []
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    for (const one of typeof value === 'object' ? value : [value])
      parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(one)}`)
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}
