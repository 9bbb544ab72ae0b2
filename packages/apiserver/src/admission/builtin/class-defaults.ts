import type {
  Ingress,
  IngressClass,
  KubeObject,
  Node,
  PersistentVolumeClaim,
  Pod,
  RuntimeClass,
  StorageClass,
} from '@outrigger/kube'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf, writes } from './attribute-questions.ts'

const storageClasses = { group: 'storage.k8s.io', resource: 'storageclasses' }
const ingressClasses = { group: 'networking.k8s.io', resource: 'ingressclasses' }
const runtimeClasses = { group: 'node.k8s.io', resource: 'runtimeclasses' }
const notReady = 'node.kubernetes.io/not-ready'

/** The newest object that says it is the default; of equally old ones the first by name. */
function newestDefault<T extends KubeObject>(
  all: Iterable<T>,
  annotations: readonly string[],
): T | undefined {
  let best: T | undefined
  for (const one of all) {
    if (!annotations.some((annotation) => one.metadata.annotations?.[annotation] === 'true')) continue
    if (best === undefined || isBetter(one, best)) best = one
  }
  return best
}

function isBetter(one: KubeObject, best: KubeObject): boolean {
  const left = one.metadata.creationTimestamp ?? ''
  const right = best.metadata.creationTimestamp ?? ''
  return left === right ? (one.metadata.name ?? '') < (best.metadata.name ?? '') : left > right
}

/** A claim that names no class gets the default one, if there is any. */
export function createDefaultStorageClass({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    concerns: (attributes) => writes(attributes, '', 'persistentvolumeclaims', 'CREATE'),
    mutate({ object }) {
      const claim = object as PersistentVolumeClaim
      const annotated = claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class']
      if (claim.spec === undefined || claim.spec.storageClassName !== undefined || annotated !== undefined)
        return
      const found = newestDefault(objects.list<StorageClass>(storageClasses), [
        'storageclass.kubernetes.io/is-default-class',
        'storageclass.beta.kubernetes.io/is-default-class',
      ])
      if (found !== undefined) claim.spec.storageClassName = found.metadata.name ?? ''
    },
  }
}

/** An ingress that names no class gets the default one, if there is any. */
export function createDefaultIngressClass({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    concerns: (attributes) => writes(attributes, 'networking.k8s.io', 'ingresses', 'CREATE'),
    mutate({ object }) {
      const ingress = object as Ingress
      if (ingress.spec === undefined || ingress.spec.ingressClassName !== undefined) return
      if (ingress.metadata.annotations?.['kubernetes.io/ingress.class'] !== undefined) return
      const found = newestDefault(objects.list<IngressClass>(ingressClasses), [
        'ingressclass.kubernetes.io/is-default-class',
      ])
      if (found !== undefined) ingress.spec.ingressClassName = found.metadata.name ?? ''
    },
  }
}

/** Keeps claims and volumes that are in use from vanishing under their users. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  concerns: (attributes) =>
    writes(attributes, '', 'persistentvolumeclaims', 'CREATE') ||
    writes(attributes, '', 'persistentvolumes', 'CREATE'),
  mutate({ object, resource }) {
    if (object === undefined) return
    const finalizer =
      resource.plural === 'persistentvolumes' ? 'kubernetes.io/pv-protection' : 'kubernetes.io/pvc-protection'
    const finalizers = object.metadata.finalizers ?? []
    if (!finalizers.includes(finalizer)) object.metadata.finalizers = [...finalizers, finalizer]
  },
}

/** A pod of a runtime class gets its overhead and goes where the class runs. */
export function createRuntimeClass({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'RuntimeClass',
    concerns: (attributes) =>
      writes(attributes, '', 'pods', 'CREATE') &&
      (attributes.object as Pod).spec?.runtimeClassName !== undefined,
    mutate(attributes) {
      const spec = (attributes.object as Pod).spec
      const name = spec?.runtimeClassName ?? ''
      if (spec === undefined || name === '') return
      const refuse = (why: string) => forbidden(subjectOf(attributes), nameOf(attributes), why)
      const found = objects.get<RuntimeClass>(runtimeClasses, { namespace: '', name })
      if (found === undefined) throw refuse(`pod rejected: RuntimeClass "${name}" not found`)
      const overhead = found.overhead?.podFixed
      if (overhead !== undefined) spec.overhead ??= { ...overhead }
      const { nodeSelector = {}, tolerations = [] } = found.scheduling ?? {}
      for (const key in nodeSelector) {
        const wanted = spec.nodeSelector?.[key]
        if (wanted !== undefined && wanted !== nodeSelector[key])
          throw refuse(
            `pod rejected: conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${nodeSelector[key]}; pod.spec.nodeSelector[${key}] = ${wanted}`,
          )
      }
      if (Object.keys(nodeSelector).length > 0) spec.nodeSelector = { ...nodeSelector, ...spec.nodeSelector }
      if (tolerations.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...tolerations]
    },
  }
}

/** A new node takes no pods until it has said that it is ready. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  concerns: (attributes) => writes(attributes, '', 'nodes', 'CREATE'),
  mutate({ object }) {
    const node = object as Node
    node.spec ??= {}
    const taints = node.spec.taints ?? []
    if (!taints.some(({ key, effect }) => key === notReady && effect === 'NoSchedule'))
      node.spec.taints = [...taints, { key: notReady, effect: 'NoSchedule' }]
  },
}
