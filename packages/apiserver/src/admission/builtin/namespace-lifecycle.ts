import { type Namespace, resources } from '@outrigger/kube'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden, notFound, StatusError } from '../../registry/status-error.ts'
import type { AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf } from './attribute-questions.ts'

const immortal = new Set(['default', 'kube-system', 'kube-public'])

/** Nothing is written into namespaces that are not there or are going, and the first ones stay. */
export function createNamespaceLifecycle({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    concerns: ({ operation, resource, namespace }) =>
      resource.group === '' && resource.plural === 'namespaces'
        ? operation === 'DELETE'
        : namespace !== '' && (operation === 'CREATE' || operation === 'UPDATE'),
    mutate(attributes) {
      const { operation, namespace, resource, name } = attributes
      if (resource.group === '' && resource.plural === 'namespaces') {
        if (immortal.has(name))
          throw forbidden(subjectOf(attributes), name, 'this namespace may not be deleted')
        return
      }
      const found = objects.get<Namespace>(resources.namespaces, { namespace: '', name: namespace })
      if (found === undefined) throw notFound({ group: '', resource: 'namespaces' }, namespace)
      if (operation !== 'CREATE' || found.status?.phase !== 'Terminating') return
      const refusal = forbidden(
        subjectOf(attributes),
        nameOf(attributes),
        `unable to create new content in namespace ${namespace} because it is being terminated`,
      )
      throw new StatusError({
        ...refusal.status,
        details: {
          ...refusal.status.details,
          causes: [
            {
              reason: 'NamespaceTerminating',
              message: `namespace ${namespace} is being terminated`,
              field: 'metadata.namespace',
            },
          ],
        },
      })
    },
  }
}
