import type { KubeObject, Pod } from '@outrigger/kube'
import type { Resource } from '../../registry/resource.ts'

/** Core resources whose DELETE answers with the object it deleted. */
const returningDeleted = new Set([
  'persistentvolumeclaims',
  'persistentvolumes',
  'pods',
  'podtemplates',
  'resourcequotas',
  'serviceaccounts',
  'services',
])

/** Adds what some core resources do differently from all others in answers. */
export function withCoreHabits(resource: Resource): Resource {
  if (resource.group !== '' || !returningDeleted.has(resource.plural)) return resource
  const strategy = { returnsDeleted: true, ...resource.strategy }
  return resource.plural === 'pods'
    ? { rowConditions: podConditions, ...resource, strategy }
    : { ...resource, strategy }
}

/** kubectl greys out pods that have ended. */
function podConditions(object: KubeObject) {
  const phase = (object as Pod).status?.phase
  if (phase === 'Succeeded')
    return [
      {
        type: 'Completed',
        status: 'True',
        reason: 'Succeeded',
        message: 'The pod has completed successfully.',
      },
    ]
  if (phase === 'Failed')
    return [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }]
  return []
}
