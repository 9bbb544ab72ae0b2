import type { Random } from '@outrigger/foundation'
import {
  controllerReference,
  type Draft,
  type KubeObject,
  type Pod,
  type PodTemplateSpec,
} from '@outrigger/kube'

/** Names that the server draws are at most 63 characters long, five of them drawn. */
const longestBase = 58

/**
 * A pod made from a workload's template and controlled by it. The name is drawn here and not by the
 * server, so that a controller can expect it by name.
 */
export function podFromTemplate(template: PodTemplateSpec, owner: KubeObject, random: Random): Draft<Pod> {
  const generateName = `${owner.metadata.name}-`
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: generateName.slice(0, longestBase) + random.suffix(5),
      generateName,
      namespace: owner.metadata.namespace ?? '',
      ...(template.metadata?.labels && { labels: template.metadata.labels }),
      ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
      ...(template.metadata?.finalizers && { finalizers: template.metadata.finalizers }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: template.spec,
  }
}
