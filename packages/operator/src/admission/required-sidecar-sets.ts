import { podAnnotations, type SidecarSet, sidecarSetAnnotations } from '@outrigger/api'
import { type SidecarSetIndex, selectSidecarSets } from '@outrigger/injection'
import type { LabelSelectorRequirement, Pod } from '@outrigger/kube'
import { type AdmissionHandler, allow, refuse, type WebhookDeclaration } from '@outrigger/webhook'
import type { PodFactsSource } from './pod/pod-facts.ts'

/** A configuration may not grow without end; the API server asks each entry. */
const maxEntries = 100

/** Whether pods that it selects may not be created without it. */
export function isRequired({ metadata }: SidecarSet): boolean {
  return metadata.annotations?.[sidecarSetAnnotations.failurePolicy] === 'Fail'
}

/** Whether a change of a SidecarSet may change the entries below. Status does not. */
export function changesRequirements(old: SidecarSet | undefined, next: SidecarSet | undefined): boolean {
  const wasRequired = old !== undefined && isRequired(old)
  const becomesRequired = next !== undefined && isRequired(next)
  if (wasRequired !== becomesRequired) return true
  return becomesRequired && old?.metadata.generation !== next.metadata.generation
}

/**
 * One entry with failurePolicy Fail for each required SidecarSet, about the pods it selects and no others. They validate
 * and do not inject: a pod is asked about once for its injection, whoever requires it.
 */
export function requiredDeclarations(
  sidecarSets: SidecarSetIndex,
  path: string,
  elsewhere: readonly LabelSelectorRequirement[],
): WebhookDeclaration[] {
  return (
    [...sidecarSets.values()]
      // An empty selector selects no pod here, and every pod in a webhook.
      .filter(({ sidecarSet, selects }) => isRequired(sidecarSet) && selects !== undefined)
      .map(({ sidecarSet }) => sidecarSet)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .slice(0, maxEntries)
      .map(({ metadata, spec }) => ({
        // A SidecarSet's name may be as long as an entry's.
        name: `${metadata.name.slice(-200).replace(/^[^a-z0-9]+/, '')}.required.vpod.kb.io`,
        kind: 'validating',
        path,
        rules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['CREATE'],
            resources: ['pods'],
            scope: 'Namespaced',
          },
        ],
        failurePolicy: 'Fail',
        objectSelector: spec.selector ?? {},
        namespaceSelector: {
          ...(spec.namespaceSelector?.matchLabels && { matchLabels: spec.namespaceSelector.matchLabels }),
          matchExpressions: [
            ...elsewhere,
            ...(spec.namespaceSelector?.matchExpressions ?? []),
            ...(spec.namespace
              ? [{ key: 'kubernetes.io/metadata.name', operator: 'In' as const, values: [spec.namespace] }]
              : []),
          ],
        },
      }))
  )
}

/** Refuses pods that lack a SidecarSet without which they may not start, for whatever reason they lack it. */
export function createRequiredValidator({ facts }: { readonly facts: PodFactsSource }): AdmissionHandler {
  return async (request, signal) => {
    const { resource, object, operation, subResource, namespace } = request
    if (resource.resource !== 'pods' || subResource !== '' || operation !== 'CREATE' || object === undefined)
      return allow
    const pod = object as Pod
    const injected = pod.metadata.annotations?.[podAnnotations.injectedList]?.split(',') ?? []
    const { selected } = selectSidecarSets(pod, await facts.factsFor(namespace, signal))
    const missing = selected
      .filter((sidecarSet) => isRequired(sidecarSet) && !injected.includes(sidecarSet.metadata.name))
      .map(({ metadata }) => metadata.name)
    if (missing.length === 0) return allow
    const name = pod.metadata.name || `${pod.metadata.generateName ?? ''}*`
    const detail = `the pod must not start without SidecarSet ${missing.join(', ')}, which asks for it with the annotation ${sidecarSetAnnotations.failurePolicy}; create it again`
    return refuse(
      `pod ${JSON.stringify(name)}`,
      [{ type: 'forbidden', field: 'spec.containers', detail }],
      403,
    )
  }
}
