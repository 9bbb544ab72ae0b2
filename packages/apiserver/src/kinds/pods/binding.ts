import { formatTime } from '@outrigger/foundation'
import { type Binding, type ObjectKey, type Pod, resources } from '@outrigger/kube'
import type { Objects } from '../../registry/objects.ts'
import type { Subresource } from '../../registry/resource.ts'
import { badRequest, conflict, invalidObject, notFound } from '../../registry/status-error.ts'
import type { KindsEnvironment } from '../environment.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { knownSchema } from '../known-schema.ts'
import { createStrategy } from '../strategy.ts'
import { bindingErrors } from './pod-rules.ts'

const success = {
  code: 201,
  object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
}

/** `pods/binding`: a scheduler's word on which node a pod goes to. */
export function createBinding(environment: KindsEnvironment): Subresource {
  return {
    type: 'action',
    group: '',
    version: 'v1',
    kind: 'Binding',
    schema: knownSchema('', 'v1', 'Binding'),
    async perform({ key, body, isDryRun, context }) {
      if (body.metadata.name && body.metadata.name !== key.name)
        throw badRequest('name in URL does not match name in Binding object')
      await bind(environment.objects, key, body as Binding, isDryRun, context.now)
      return success
    },
  }
}

/** `bindings`, the same by its older path. */
export const createBindingsResource: KindBuilder = (schema, environment) => ({
  strategy: createStrategy({ schema }),
  virtual: {
    async create({ key, body, isDryRun, context }) {
      const name = body.metadata.name ?? ''
      await bind(environment.objects, { ...key, name }, body as Binding, isDryRun, context.now)
      return success
    },
  },
})

async function bind(
  objects: Objects,
  key: ObjectKey,
  binding: Binding,
  isDryRun: boolean,
  now: number,
): Promise<void> {
  const errors = bindingErrors(binding)
  if (errors.length > 0) throw invalidObject({ group: '', resource: 'Binding' }, key.name, errors)
  if (isDryRun) {
    const pod = objects.get<Pod>(resources.pods, key)
    if (pod === undefined) throw notFound({ group: '', resource: 'pods' }, key.name)
    checkBindable(pod, binding)
    return
  }
  let wasThere = false
  await objects.write<Pod>(resources.pods, key, (pod) => {
    wasThere = pod !== undefined
    if (pod === undefined) return undefined
    checkBindable(pod, binding)
    applyBinding(pod, binding, now)
    return pod
  })
  if (!wasThere) throw notFound({ group: '', resource: 'pods' }, key.name)
}

const subject = { group: '', resource: 'pods/binding' }

function checkBindable(pod: Pod, binding: Binding): void {
  const name = pod.metadata.name ?? ''
  const uid = binding.metadata?.uid
  if (uid && uid !== pod.metadata.uid)
    throw conflict(
      subject,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`,
    )
  if (pod.metadata.deletionTimestamp !== undefined)
    throw conflict(subject, name, `pod ${name} is being deleted, cannot be assigned to a host`)
  if (pod.spec?.nodeName)
    throw conflict(subject, name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`)
  if ((pod.spec?.schedulingGates ?? []).length > 0)
    throw conflict(subject, name, `pod ${name} has non-empty .spec.schedulingGates`)
}

/**
 * Sets the node, the PodScheduled condition and the binding's labels and annotations in one write, so that
 * nobody sees a placed pod without them.
 */
function applyBinding(pod: Pod, binding: Binding, now: number): void {
  pod.spec = { ...pod.spec, nodeName: binding.target.name ?? '' } as NonNullable<Pod['spec']>
  const { labels, annotations } = binding.metadata ?? {}
  if (labels !== undefined) pod.metadata.labels = { ...pod.metadata.labels, ...labels }
  if (annotations !== undefined) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations }
  const status = pod.status ?? {}
  const conditions = status.conditions ?? []
  const before = conditions.find(({ type }) => type === 'PodScheduled')
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: before?.status === 'True' ? before.lastTransitionTime : formatTime(now),
  } as unknown as NonNullable<typeof before>
  status.conditions =
    before === undefined
      ? [...conditions, scheduled]
      : conditions.map((condition) => (condition === before ? scheduled : condition))
  delete status.nominatedNodeName
  pod.status = status
}
