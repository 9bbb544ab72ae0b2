import type { Random } from '@outrigger/foundation'
import type { Draft, KubeObject, Pod, PodTemplateSpec } from '@outrigger/kube'

/**
 * A pod made from a workload's template and controlled by it. The name is drawn here and not by the
 * server, so that a controller can expect it by name.
 */
export function podFromTemplate(template: PodTemplateSpec, owner: KubeObject, random: Random): Draft<Pod> {
  const generateName = `${owner.metadata.name.slice(0, 57)}-`
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: generateName + random.suffix(5),
      generateName,
      namespace: owner.metadata.namespace ?? '',
      ...(template.metadata?.labels && { labels: template.metadata.labels }),
      ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
      ...(template.metadata?.finalizers && { finalizers: template.metadata.finalizers }),
      ownerReferences: [
        {
          apiVersion: owner.apiVersion,
          kind: owner.kind,
          name: owner.metadata.name,
          uid: owner.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: template.spec,
  }
}
