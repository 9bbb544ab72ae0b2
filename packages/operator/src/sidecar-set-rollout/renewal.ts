import { podAnnotations, revisionData } from '@outrigger/api'
import {
  contentFor,
  InjectionFailure,
  podIdentity,
  type RevisionSource,
  type SidecarSetIndex,
  selectSidecarSets,
  trackQuestion,
} from '@outrigger/injection'
import { controllerOf, type Labels, type Pod } from '@outrigger/kube'
import type { PodView } from '../sidecar-set-status/pod-view.ts'

export interface RenewalFacts {
  readonly sidecarSets: SidecarSetIndex
  readonly revisions: RevisionSource
  /** The manager's own namespace, about whose pods no webhook is asked. */
  readonly managerNamespace: string
  namespaceLabels(namespace: string): Labels | undefined
}

/**
 * Why a new pod like this one would not get the content that it should have; `undefined` where it would. A pod is not sent
 * away for one that is no better.
 */
export function renewalProblem({ pod, target }: PodView, facts: RenewalFacts): string | undefined {
  const { name } = target.content.metadata
  const { namespace = '' } = pod.metadata
  const labels = facts.namespaceLabels(namespace)
  if (namespace === facts.managerNamespace || labels?.['control-plane'] !== undefined)
    return `namespace ${namespace} is exempt from injection`
  const newPod = asCreated(pod)
  const { decisions, selected } = selectSidecarSets(newPod, {
    sidecarSets: facts.sidecarSets,
    namespace: { name: namespace, labels },
  })
  const sidecarSet = selected.find(({ metadata }) => metadata.name === name)
  if (sidecarSet === undefined) {
    const reason = decisions.find((decision) => decision.sidecarSet === name)?.reason
    return `a new pod would not get it: ${reason ?? 'it does not select the pod'}`
  }
  try {
    // Where a share of the pods gets a recorded content, a new name does.
    const content = contentFor(sidecarSet, newPod, { revisions: facts.revisions })
    const isDrawnAnew =
      podIdentity(sidecarSet, newPod) === undefined &&
      (trackQuestion(sidecarSet, newPod.metadata.labels ?? {})?.shares.length ?? 0) > 0
    // Whichever track a new name is drawn to, what it gets there is right for it; so may be what it gets on none.
    const expected = isDrawnAnew ? sidecarSet : target.content
    if (revisionData(content.spec) === revisionData(expected.spec)) return undefined
    return 'a new pod might get other content (injectionStrategy.revision)'
  } catch (error) {
    if (error instanceof InjectionFailure) return `a new pod would not get it: ${error.message}`
    throw error
  }
}

/** The pod without what injection has written on it, and without a name where its owner would give it another one. */
function asCreated(pod: Pod): Pod {
  const {
    [podAnnotations.hash]: _,
    [podAnnotations.hashWithoutImage]: _without,
    [podAnnotations.injectedList]: _list,
    [podAnnotations.trackSeed]: _seed,
    ...annotations
  } = pod.metadata.annotations ?? {}
  const keepsName = controllerOf(pod)?.kind === 'StatefulSet'
  return { ...pod, metadata: { ...pod.metadata, annotations, ...(!keepsName && { name: '' }) } }
}
