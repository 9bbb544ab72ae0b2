import { builtinSchema, checkTypes, isRecord, type KubeObject, type Pod, type PodSpec } from '@outrigger/kube'

/** Where workloads keep the pods they make, the most common place first. */
const templatePaths: readonly (readonly string[])[] = [
  ['spec', 'template'],
  ['spec', 'jobTemplate', 'spec', 'template'],
  // OpenKruise's AdvancedCronJob.
  ['spec', 'template', 'jobTemplate', 'spec', 'template'],
  ['spec', 'template', 'broadcastJobTemplate', 'spec', 'template'],
  // OpenKruise's UnitedDeployment.
  ['spec', 'template', 'statefulSetTemplate', 'spec', 'template'],
  ['spec', 'template', 'advancedStatefulSetTemplate', 'spec', 'template'],
  ['spec', 'template', 'cloneSetTemplate', 'spec', 'template'],
  ['spec', 'template', 'deploymentTemplate', 'spec', 'template'],
]

/**
 * Path of the pod inside an object: empty for a Pod, `['spec', 'template']` for a Deployment and whatever
 * else makes pods this way, known or not. `undefined` for objects that make none.
 */
export function podPathOf(object: KubeObject): readonly string[] | undefined {
  if (object.kind === 'Pod' && object.apiVersion === 'v1') return []
  if (object.kind === 'PodTemplate' && object.apiVersion === 'v1') return ['template']
  return templatePaths.find((path) => {
    const spec = valueAt(object, [...path, 'spec'])
    return isRecord(spec) && spec['containers'] !== undefined
  })
}

/** The pod as it would reach admission, in `namespace` where the object names none. */
export function podAt(object: KubeObject, path: readonly string[], namespace: string): Pod {
  const home = object.metadata.namespace || namespace
  if (path.length === 0) return { ...(object as Pod), metadata: { ...object.metadata, namespace: home } }
  const template = valueAt(object, path)
  const parts = isRecord(template) ? template : {}
  const metadata = isRecord(parts['metadata']) ? parts['metadata'] : {}
  const { name: _, ...templateMetadata } = metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...templateMetadata,
      name: '',
      generateName: `${object.metadata.name ?? ''}-`,
      namespace: home,
      // Pods of a DaemonSet belong to their node; admission knows them by their owner.
      ...(object.kind === 'DaemonSet' && {
        ownerReferences: [
          {
            apiVersion: object.apiVersion,
            kind: 'DaemonSet',
            name: object.metadata.name,
            uid: '',
            controller: true,
          },
        ],
      }),
    },
    spec: (parts['spec'] ?? {}) as PodSpec,
  }
}

/** The object with labels, annotations and spec of `pod` at `path`. What did not change is shared. */
export function withPodAt(object: KubeObject, path: readonly string[], pod: Pod): KubeObject {
  return replaced(object, path, (before) => {
    const parts = isRecord(before) ? before : {}
    const metadata = isRecord(parts['metadata']) ? { ...parts['metadata'] } : {}
    for (const map of ['labels', 'annotations'] as const) {
      if (pod.metadata[map] === undefined) delete metadata[map]
      else metadata[map] = pod.metadata[map]
    }
    return {
      ...parts,
      metadata,
      spec: pod.spec,
    }
  }) as KubeObject
}

/** What keeps a pod from being read at all, in one sentence; `undefined` when nothing does. */
export function podShapeProblem(pod: Pod): string | undefined {
  const containers: unknown = pod.spec?.containers
  if (!Array.isArray(containers) || containers.length === 0)
    return 'spec.containers must list at least one container'
  const problem = checkTypes(pod, builtinSchema('io.k8s.api.core.v1.Pod'))
  if (problem !== undefined) return problem
  const hole = nullItemIn(pod.spec, 'spec')
  if (hole !== undefined) return `${hole} must not be null`
  for (const list of ['containers', 'initContainers', 'volumes'] as const) {
    const items: readonly { readonly name: string }[] | undefined = pod.spec[list]
    const nameless = indexWithout(items, 'name')
    if (nameless >= 0) return `spec.${list}[${nameless}].name is missing`
  }
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [i, { volumeMounts, env }] of (pod.spec[list] ?? []).entries()) {
      const at = `spec.${list}[${i}]`
      for (const field of ['name', 'mountPath'] as const) {
        const bare = indexWithout(volumeMounts, field)
        if (bare >= 0) return `${at}.volumeMounts[${bare}].${field} is missing`
      }
      const bare = indexWithout(env, 'name')
      if (bare >= 0) return `${at}.env[${bare}].name is missing`
    }
  }
  return undefined
}

function indexWithout<T extends object>(items: readonly T[] | null | undefined, field: keyof T): number {
  return items?.findIndex((item) => !item[field]) ?? -1
}

/** Each field alone may be null; what a list holds may not. */
function nullItemIn(value: unknown, path: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, item] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`
    if (item === null && Array.isArray(value)) return at
    const found = nullItemIn(item, at)
    if (found !== undefined) return found
  }
  return undefined
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((current, key) => (isRecord(current) ? current[key] : undefined), value)
}

function replaced(value: unknown, path: readonly string[], change: (before: unknown) => unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return change(value)
  const fields = isRecord(value) ? value : {}
  return { ...fields, [key]: replaced(fields[key], rest, change) }
}
