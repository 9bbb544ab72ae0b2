import { type FieldError, invalid, type KubeObject, type LabelSelector } from '@outrigger/kube'
import type { Subresource } from '../registry/resource.ts'
import { formatSelector } from './field-checks.ts'
import { knownSchema } from './known-schema.ts'

type Scalable = KubeObject & {
  spec?: { replicas?: number; selector?: LabelSelector | Record<string, string> }
  status?: { replicas?: number }
}
type Scale = KubeObject & { spec?: { replicas?: number } }

/** `autoscaling/v1 Scale` of a workload. A ReplicationController selects by a plain map. */
export function createScale(group: string, _version: string, kind: string): Subresource {
  const selectsByMap = group === '' && kind === 'ReplicationController'
  return {
    type: 'projection',
    group: 'autoscaling',
    version: 'v1',
    kind: 'Scale',
    schema: knownSchema('autoscaling', 'v1', 'Scale'),
    verbs: ['get', 'patch', 'update'],
    read: (object) => scaleOf(object as Scalable, selectsByMap),
    write: (object, projected) => writeScale(object as Scalable, projected as Scale),
  }
}

function scaleOf(object: Scalable, selectsByMap: boolean): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  const selector = object.spec?.selector
  const text = formatSelector(
    (selectsByMap && selector !== undefined ? { matchLabels: selector } : selector) as
      | LabelSelector
      | undefined,
  )
  const replicas = object.spec?.replicas ?? 0
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: object.status?.replicas ?? 0, ...(text === '' ? {} : { selector: text }) },
  } as KubeObject
}

function writeScale(object: Scalable, projected: Scale): readonly FieldError[] {
  const replicas = projected.spec?.replicas ?? 0
  if (replicas < 0) return [invalid('spec.replicas', replicas, 'must be greater than or equal to 0')]
  object.spec = { ...object.spec, replicas }
  return []
}
