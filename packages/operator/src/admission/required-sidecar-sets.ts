import { podAnnotations, type SidecarSet, sidecarSetAnnotations, virtualNodeNames } from '@outrigger/api'
import { type CompiledSidecarSet, type SidecarSetIndex, selectSidecarSets } from '@outrigger/injection'
import type { LabelSelectorRequirement, Pod } from '@outrigger/kube'
import { type AdmissionHandler, allow, refuse, type WebhookDeclaration } from '@outrigger/webhook'
import type { PodFactsSource } from './pod/pod-facts.ts'

/** A configuration may not grow without end; the API server asks each entry. */
const maxEntries = 100

const statedPolicy = ({ metadata }: SidecarSet) => metadata.annotations?.[sidecarSetAnnotations.failurePolicy]

/** Whether pods that it selects may not be created without it: as in OpenKruise, unless it says otherwise. */
export function isRequired(sidecarSet: SidecarSet): boolean {
  return statedPolicy(sidecarSet) !== 'Ignore'
}

/** Whether a change of a SidecarSet may change the entries below. Status does not. */
export function changesRequirements(old: SidecarSet | undefined, next: SidecarSet | undefined): boolean {
  if (old === undefined || next === undefined) return [old, next].some((one) => one && isRequired(one))
  if (statedPolicy(old) !== statedPolicy(next)) return true
  return isRequired(next) && old.metadata.generation !== next.metadata.generation
}

/**
 * One entry with failurePolicy Fail for each required SidecarSet, about the pods it selects and no others; a single one
 * about all pods when there are more than a hundred. They validate and do not inject: a pod is asked about once for its
 * injection, whoever requires it. Only a SidecarSet that says `Fail` itself is required in kube-system: what a cluster
 * starts with must not wait for us.
 */
export function requiredDeclarations(
  sidecarSets: SidecarSetIndex,
  path: string,
  elsewhere: readonly LabelSelectorRequirement[],
): WebhookDeclaration[] {
  const required: SidecarSet[] = []
  for (const compiled of sidecarSets.values()) {
    if (!hasEntry(compiled)) continue
    required.push(compiled.sidecarSet)
    if (required.length > maxEntries)
      return [{ ...entry(path), namespaceSelector: { matchExpressions: [...elsewhere, notInKubeSystem] } }]
  }
  return required
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map((sidecarSet) => ({
      ...entry(path, sidecarSet.metadata.name),
      objectSelector: sidecarSet.spec.selector ?? {},
      namespaceSelector: namespacesOf(sidecarSet, elsewhere),
    }))
}

/** Whether so many are required that one entry asks about all pods, and one more or less makes no difference. */
export function shareOneEntry(sidecarSets: SidecarSetIndex): boolean {
  let count = 0
  for (const compiled of sidecarSets.values()) if (hasEntry(compiled) && ++count > maxEntries + 1) return true
  return false
}

/** An empty selector selects no pod here, and every pod in a webhook. */
function hasEntry({ sidecarSet, selects }: CompiledSidecarSet): boolean {
  return selects !== undefined && isRequired(sidecarSet) && !isForVirtualNodes(sidecarSet)
}

const nameLabel = 'kubernetes.io/metadata.name'
const notInKubeSystem: LabelSelectorRequirement = {
  key: nameLabel,
  operator: 'NotIn',
  values: ['kube-system'],
}

/** Its pods do not start without the label that only the manager sets, whatever is asked about their creation. */
function isForVirtualNodes({ spec }: SidecarSet): boolean {
  return spec.selector?.matchLabels?.[virtualNodeNames.podLabel] === 'true'
}

function entry(path: string, sidecarSet?: string): WebhookDeclaration {
  // A SidecarSet's name may be as long as an entry's.
  const prefix = sidecarSet === undefined ? '' : `${sidecarSet.slice(-200).replace(/^[^a-z0-9]+/, '')}.`
  return {
    name: `${prefix}required.vpod.kb.io`,
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
  }
}

function namespacesOf(sidecarSet: SidecarSet, elsewhere: readonly LabelSelectorRequirement[]) {
  const { namespace, namespaceSelector } = sidecarSet.spec
  return {
    ...(namespaceSelector?.matchLabels && { matchLabels: namespaceSelector.matchLabels }),
    matchExpressions: [
      ...elsewhere,
      ...(statedPolicy(sidecarSet) === 'Fail' ? [] : [notInKubeSystem]),
      ...(namespaceSelector?.matchExpressions ?? []),
      ...(namespace ? [{ key: nameLabel, operator: 'In' as const, values: [namespace] }] : []),
    ],
  }
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
    const detail = `the pod must not start without SidecarSet ${missing.join(', ')} and was not given it; create it again, or annotate the SidecarSet with ${sidecarSetAnnotations.failurePolicy}: Ignore`
    return refuse(
      `pod ${JSON.stringify(name)}`,
      [{ type: 'forbidden', field: 'spec.containers', detail }],
      403,
    )
  }
}
