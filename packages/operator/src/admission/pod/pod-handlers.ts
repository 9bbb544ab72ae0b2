import type { Logger } from '@outrigger/foundation'
import {
  applyPlan,
  authoredPodErrors,
  destinationOf,
  expectedReferences,
  falseClaimErrors,
  hasVirtualNodeLabel,
  InjectionFailure,
  injectedPodErrors,
  patchOf,
  planInjection,
  planPod,
  updatedPodErrors,
} from '@outrigger/injection'
import { createJsonPatch, type FieldError, type Pod } from '@outrigger/kube'
import {
  type AdmissionAnswer,
  type AdmissionHandler,
  type AdmissionRequest,
  allow,
  refuse,
} from '@outrigger/webhook'
import type { ReplacementHints } from '../../overflow-replacement/replacement-hints.ts'
import { routedReplacement } from '../../overflow-replacement/routed-replacement.ts'
import type { PodFactsSource } from './pod-facts.ts'

export interface PodHandlerOptions {
  readonly facts: PodFactsSource
  readonly logger: Logger
  /** User names of Outrigger itself: they alone may set the virtual-node label and change records. */
  readonly trustedUsers: readonly string[]
  /** Which new pods take the place of pods that overflowed. Left out: none does. */
  readonly replacements?: Pick<ReplacementHints, 'take'>
}

/** Routes and injects pods: at creation, and when the virtual-node label is set on one that is bound already. */
export function createPodMutator(options: PodHandlerOptions): AdmissionHandler {
  const { facts, logger, trustedUsers } = options
  return async (request, signal) => {
    const pod = podOf(request)
    if (pod === undefined || request.subResource !== '') return allow
    const known = await facts.factsFor(request.namespace, signal)
    return planned(pod, () => {
      if (request.operation === 'CREATE') {
        const errors = authoredPodErrors(pod, { goesToVirtualNode: destinationOf(pod, known).isCertain })
        if (errors.length > 0) return refused(pod, errors)
        const replacement = takingPlace(options, pod, request.isDryRun)
        if (replacement !== undefined) return report(planPod(replacement, known), replacement)
        return report(planPod(pod, known))
      }
      if (!isNewlyLabelled(request) || !trustedUsers.includes(request.user.name)) return allow
      return report(planInjection(pod, { ...known, isLate: true }))
    })

    function report(plan: ReturnType<typeof planInjection>, planned = pod as Pod): AdmissionAnswer {
      const patch =
        planned === pod ? patchOf(planned, plan) : createJsonPatch(pod as Pod, applyPlan(planned, plan))
      if (patch.length > 0)
        logger.debug('pod was planned', {
          namespace: request.namespace,
          pod: nameOf(pod as Pod),
          containers: plan.containers.map(({ name }) => name),
        })
      return { allowed: true, patch, warnings: plan.warnings }
    }
  }
}

/**
 * The new pod on its way to a virtual node, if it takes the place of one that overflowed to such a node. One that may not go
 * there is left to the scheduler.
 */
function takingPlace(
  { replacements, facts }: PodHandlerOptions,
  pod: Pod,
  isDryRun: boolean,
): Pod | undefined {
  const replaced = replacements?.take(pod, isDryRun)
  if (replaced === undefined || !facts.isVirtualNode(replaced.node)) return undefined
  const routed = routedReplacement(pod, replaced)
  return authoredPodErrors(routed).length === 0 ? routed : undefined
}

/** Watches over pods of virtual nodes: nothing in them may claim more than injection gave them. */
export function createPodValidator({ facts, trustedUsers }: PodHandlerOptions): AdmissionHandler {
  return async (request, signal) => {
    const pod = podOf(request)
    if (pod === undefined) return allow
    const old = request.oldObject as Pod | undefined
    if (request.operation === 'UPDATE' && old !== undefined) {
      if (!trustedUsers.includes(request.user.name)) return verdict(pod, updatedPodErrors(pod, old))
      if (!isNewlyLabelled(request)) return allow
      // Nobody has looked at this pod before: it may have been created while no manager answered.
      const authored = authoredPodErrors(withNamespace(old, request.namespace), { goesToVirtualNode: false })
      if (authored.length > 0) return refused(pod, authored)
    }
    if (!hasVirtualNodeLabel(pod)) return allow
    const known = await facts.factsFor(request.namespace, signal)
    const claims = old === undefined ? [] : falseClaimErrors(pod, known)
    if (claims.length > 0) return refused(pod, claims)
    return planned(pod, () => verdict(pod, injectedPodErrors(pod, expectedReferences(pod, known))))
  }
}

function podOf(request: AdmissionRequest): Pod | undefined {
  const { resource, object } = request
  if (resource.group !== '' || resource.resource !== 'pods' || object === undefined) return undefined
  return withNamespace(object as Pod, request.namespace)
}

/** At creation the object itself may not say where it will live. */
function withNamespace(pod: Pod, namespace: string): Pod {
  return pod.metadata.namespace ? pod : { ...pod, metadata: { ...pod.metadata, namespace } }
}

function isNewlyLabelled({ object, oldObject }: AdmissionRequest): boolean {
  return (
    hasVirtualNodeLabel(object as Pod) && oldObject !== undefined && !hasVirtualNodeLabel(oldObject as Pod)
  )
}

/** Turns what cannot be injected into a refusal that names the culprit. */
function planned(pod: Pod, plan: () => AdmissionAnswer): AdmissionAnswer {
  try {
    return plan()
  } catch (error) {
    if (!(error instanceof InjectionFailure)) throw error
    return {
      allowed: false,
      code: 422,
      reason: 'Invalid',
      message: `pod ${JSON.stringify(nameOf(pod))} cannot be injected: ${error.message}`,
    }
  }
}

function verdict(pod: Pod, errors: readonly FieldError[]): AdmissionAnswer {
  return errors.length > 0 ? refused(pod, errors) : allow
}

function refused(pod: Pod, errors: readonly FieldError[]): AdmissionAnswer {
  return refuse(`pod ${JSON.stringify(nameOf(pod))}`, errors, 403)
}

function nameOf({ metadata }: Pod): string {
  return metadata.name || `${metadata.generateName ?? ''}*`
}
