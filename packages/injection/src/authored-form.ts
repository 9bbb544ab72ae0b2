import { hasForeignReference, isInjectionAnnotation, virtualNodeNames } from '@outrigger/api'
import type { Container, Pod } from '@outrigger/kube'

/**
 * An injected pod, or pod template, in a form its author may submit where a manager runs: with its containers and its way
 * to the virtual node, without what a manager alone may write, which are its label, its records, and volumes of other
 * namespaces together with their mounts. The manager finds the containers by name, makes each anew in its place and adds
 * the rest. Without a manager such a pod lacks those volumes. The very pod given if it holds nothing of the kind.
 */
export function inAuthoredForm(pod: Pod): Pod {
  const labels = without(pod.metadata.labels, (key) => key === virtualNodeNames.podLabel)
  const annotations = without(pod.metadata.annotations, isInjectionAnnotation)
  const foreign = new Set((pod.spec.volumes ?? []).filter(hasForeignReference).map(({ name }) => name))
  const isSame =
    labels === pod.metadata.labels && annotations === pod.metadata.annotations && foreign.size === 0
  if (isSame) return pod
  const { labels: _, annotations: __, ...metadata } = pod.metadata
  return {
    ...pod,
    metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: foreign.size === 0 ? pod.spec : withoutVolumes(pod.spec, foreign),
  }
}

function withoutVolumes(spec: Pod['spec'], names: ReadonlySet<string>): Pod['spec'] {
  const unmounted = (container: Container): Container =>
    container.volumeMounts?.some(({ name }) => names.has(name))
      ? { ...container, volumeMounts: container.volumeMounts.filter(({ name }) => !names.has(name)) }
      : container
  return {
    ...spec,
    volumes: (spec.volumes ?? []).filter(({ name }) => !names.has(name)),
    containers: spec.containers.map(unmounted),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(unmounted) }),
  }
}

/** The very map if nothing goes, none if nothing stays. */
function without(
  map: Readonly<Record<string, string>> | undefined,
  isTaken: (key: string) => boolean,
): Record<string, string> | undefined {
  const entries = Object.entries(map ?? {})
  const kept = entries.filter(([key]) => !isTaken(key))
  if (kept.length === entries.length) return map
  return kept.length > 0 ? Object.fromEntries(kept) : undefined
}
