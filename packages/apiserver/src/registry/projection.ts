import { deepCopy, type KubeObject } from '@outrigger/kube'
import type { ApiRequest } from './api-request.ts'
import { checkNameInBody, decodeBody } from './decode-body.ts'
import { createPatch } from './object-patch.ts'
import type { WriteOptions } from './request-options.ts'
import type { Resource, Subresource } from './resource.ts'
import { invalidObject } from './status-error.ts'
import type { WriteTarget } from './write-request.ts'

/** Changes a private copy of the object by way of its projection. */
export function proposeProjected(
  request: ApiRequest,
  rules: Extract<Subresource, { type: 'projection' }>,
  name: string,
  options: WriteOptions,
) {
  const projectionTarget: WriteTarget = {
    resource: request.resource,
    key: request.key,
    subresource: name,
    strategy: request.resource.strategy,
  }
  const patch = request.verb === 'patch' ? createPatch(request, projectionTarget, options) : undefined
  return async (current: KubeObject | undefined) => {
    if (current === undefined) return undefined
    const before = rules.read(current)
    const after =
      patch === undefined
        ? decodeBody(request, request.resource, options)
        : (await patch.apply(before))?.object
    if (after === undefined) return undefined
    return writeProjected(request, rules, current, after)
  }
}

function writeProjected(
  { key, resource }: ApiRequest,
  rules: Extract<Subresource, { type: 'projection' }>,
  current: KubeObject,
  after: KubeObject,
) {
  checkNameInBody(after, key)
  const object = deepCopy(current)
  object.metadata.resourceVersion = after.metadata.resourceVersion
  const errors = rules.write(object, after)
  if (errors.length > 0)
    throw invalidObject({ group: resource.group, resource: resource.kind }, key.name, errors)
  return { object, ownsFieldsBy: 'update' as const }
}

/** The projected kind as if it were a resource of its own, for decoding and rendering. */
export function projectionResource(
  resource: Resource,
  rules: Extract<Subresource, { type: 'projection' | 'action' }>,
): Resource {
  return {
    ...resource,
    group: rules.group,
    version: rules.version,
    kind: rules.kind,
    schema: rules.schema,
    isCustom: false,
    storage: { group: rules.group, resource: resource.plural, version: rules.version },
    strategy: { ...resource.strategy, applyDefaults: () => {} },
  }
}
