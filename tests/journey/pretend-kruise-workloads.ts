import { type Client, isAlreadyExists, isNotFound } from '@outrigger/client'
import { createController, createInformer, waitForChange } from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import {
  type KubeObject,
  keyOf,
  type Pod,
  type PodTemplateSpec,
  type ResourceRef,
  resources,
} from '@outrigger/kube'

/** CloneSets of OpenKruise: pods with names that are drawn, each with an instance ID. */
export const cloneSets: ResourceRef = {
  group: 'apps.kruise.io',
  version: 'v1alpha1',
  resource: 'clonesets',
  kind: 'CloneSet',
  namespaced: true,
}

/** Its Advanced StatefulSets: pods that are numbered and keep their names. */
export const advancedStatefulSets: ResourceRef = {
  group: 'apps.kruise.io',
  version: 'v1beta1',
  resource: 'statefulsets',
  kind: 'StatefulSet',
  namespaced: true,
}

/** What both have in common. */
export interface Workload extends KubeObject {
  readonly spec: { readonly replicas: number; readonly template: PodTemplateSpec }
}

/** Their definitions, in the shape the chart has. */
export function workloadDefinition({ group, version, resource, kind }: ResourceRef): KubeObject {
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource}.${group}` },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural: resource, singular: kind.toLowerCase() },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec: open, status: open },
            },
          },
          subresources: {
            status: {},
            scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
          },
        },
      ],
    },
  } as KubeObject
}

export interface PretendWorkloadsOptions {
  readonly client: Client
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly resource: ResourceRef
}

/**
 * Makes the pods of one kind of OpenKruise's workloads as kruise-manager would, and makes them anew when they are gone: a
 * numbered pod only then, another one as soon as its predecessor is leaving.
 */
export function createPretendWorkloads(options: PretendWorkloadsOptions): Runnable {
  const { client, random, resource } = options
  return {
    name: `pretend ${resource.resource}`,
    async run(signal) {
      const workloads = createInformer<Workload>({ ...options, resource })
      const pods = createInformer<Pod>({ ...options, resource: resources.pods })
      const ownerKey = ({ metadata }: Pod) => {
        const owner = metadata.ownerReferences?.find(({ controller }) => controller)
        return owner?.kind === resource.kind && owner.apiVersion.startsWith(`${resource.group}/`)
          ? [`${metadata.namespace}/${owner.name}`]
          : []
      }
      const controller = createController({
        ...options,
        name: `pretend ${resource.resource}`,
        concurrency: 1,
        informers: [workloads, pods],
        sources: [
          (enqueue) => workloads.onChange({ onAdd: (one) => enqueue(keyOf(one)) }),
          (enqueue) => {
            const take = (pod: Pod) => {
              for (const key of ownerKey(pod)) enqueue(key)
            }
            return pods.onChange({ onAdd: take, onUpdate: take, onDelete: take })
          },
        ],
        async reconcile(key) {
          const workload = workloads.store.get(key)
          if (workload === undefined) return waitForChange
          // What the server has, not what was heard of it: a second pod would be one too many.
          const { items } = await client.list<Pod>(resources.pods, {
            namespace: workload.metadata.namespace ?? '',
          })
          const own = items.filter((pod) => ownerKey(pod).includes(key))
          for (const pod of missingPods(workload, own, resource, random))
            await client.create<Pod>(resources.pods, pod).catch((error: unknown) => {
              if (!isAlreadyExists(error) && !isNotFound(error)) throw error
            })
          return waitForChange
        },
      })
      await Promise.all([workloads.run(signal), pods.run(signal), controller.run(signal)])
    },
  }
}

function missingPods(
  workload: Workload,
  own: readonly Pod[],
  { group, version, kind }: ResourceRef,
  random: Random,
) {
  const { name, namespace = '', uid = '' } = workload.metadata
  const { replicas, template } = workload.spec
  const make = (podName: string, labels: Readonly<Record<string, string>>) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName,
      namespace,
      labels: { ...template.metadata?.labels, 'controller-revision-hash': `${name}-5d8b7c4f9`, ...labels },
      ownerReferences: [
        {
          apiVersion: `${group}/${version}`,
          kind,
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: template.spec ?? { containers: [] },
  })
  if (kind === 'StatefulSet') {
    const taken = new Set(own.map(({ metadata }) => metadata.name))
    return Array.from({ length: replicas }, (_, index) => `${name}-${index}`)
      .filter((podName) => !taken.has(podName))
      .map((podName) => make(podName, { 'statefulset.kubernetes.io/pod-name': podName }))
  }
  const staying = own.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  return Array.from({ length: Math.max(0, replicas - staying.length) }, () => {
    const id = random.uuid().slice(0, 5)
    return make(`${name}-${id}`, { 'apps.kruise.io/cloneset-instance-id': id })
  })
}
