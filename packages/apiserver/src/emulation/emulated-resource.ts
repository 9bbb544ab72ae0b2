import { newestRelease, type Release, resourceSince, schemaOfRelease } from '@outrigger/kube'
import type { Resource, Subresource } from '../registry/resource.ts'

/**
 * A built-in resource as an older release serves it: without the fields and parts that came later. Undefined when
 * all of it came later. How it behaves otherwise stays as it is today.
 */
export function resourceOfRelease(resource: Resource, release: Release): Resource | undefined {
  if (release >= newestRelease) return resource
  const { group, version, plural } = resource
  if (resourceSince(group, version, plural) > release) return undefined
  const subresources: Record<string, Subresource> = {}
  for (const [name, subresource] of Object.entries(resource.subresources))
    if (resourceSince(group, version, `${plural}/${name}`) <= release) subresources[name] = subresource
  return { ...resource, schema: schemaOfRelease(resource.schema, release), subresources }
}
