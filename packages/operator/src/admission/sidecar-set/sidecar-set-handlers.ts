import { convertSidecarSet, defaultSidecarSet, type SidecarSet, sidecarSetErrors } from '@outrigger/api'
import { planInjection, SidecarSetIndex } from '@outrigger/injection'
import { createJsonPatch, type Pod } from '@outrigger/kube'
import {
  type AdmissionAnswer,
  type AdmissionHandler,
  type AdmissionRequest,
  allow,
  refuse,
} from '@outrigger/webhook'

const group = 'apps.kruise.io'
const versions = ['v1alpha1', 'v1beta1']

/** Fills in defaults and hashes. Fields it does not know stay. */
export const mutateSidecarSet: AdmissionHandler = (request) =>
  guarded(request, (sidecarSet) => ({
    allowed: true,
    patch: createJsonPatch(sidecarSet, defaultSidecarSet(sidecarSet)),
  }))

/** Refuses SidecarSets that are wrong in themselves or beside the others. */
export function createSidecarSetValidator(known: SidecarSetIndex): AdmissionHandler {
  return (request) =>
    guarded(request, (sidecarSet) => {
      const others = [...known.values()].map((compiled) => compiled.sidecarSet)
      const old = request.oldObject as SidecarSet | undefined
      const errors = sidecarSetErrors(sidecarSet, { others, ...(old && { old }) })
      tryInjection(sidecarSet)
      return errors.length > 0 ? refuse(titleOf(sidecarSet), errors) : allow
    })
}

/** Converts between v1alpha1 and v1beta1. */
export const convertObjects = convertSidecarSet

/** The schema leaves fields of containers and volumes open, so what has not the shape of one shows only when it is used. */
function guarded(
  request: AdmissionRequest,
  decide: (sidecarSet: SidecarSet) => AdmissionAnswer,
): AdmissionAnswer {
  const { resource, object } = request
  if (resource.group !== group || resource.resource !== 'sidecarsets' || object === undefined) return allow
  if (!versions.includes(resource.version))
    return {
      allowed: false,
      code: 400,
      reason: 'BadRequest',
      message: `SidecarSet has no version ${resource.version}; use ${versions.join(' or ')}`,
    }
  try {
    return decide(object as SidecarSet)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return {
      allowed: false,
      code: 422,
      reason: 'Invalid',
      message: `${titleOf(object as SidecarSet)} is invalid: spec: a container or volume does not have the shape of one (${error.message})`,
    }
  }
}

/** What cannot be injected into this pod would make every pod it selects fail. @throws TypeError */
function tryInjection(sidecarSet: SidecarSet): void {
  const name = 'shape-check'
  const candidate: SidecarSet = {
    ...sidecarSet,
    spec: { ...sidecarSet.spec, selector: { matchLabels: { [name]: name } } },
  }
  const { namespace: _, namespaceSelector: __, ...spec } = candidate.spec
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { [name]: name } },
    spec: { containers: [{ name: 'app', volumeMounts: [], env: [] }] },
  }
  planInjection(pod, {
    sidecarSets: new SidecarSetIndex([{ ...candidate, spec }]),
    namespace: { name: 'default', labels: {} },
    time: '2026-01-01T00:00:00Z',
  })
}

function titleOf({ metadata }: SidecarSet): string {
  return `SidecarSet.${group} ${JSON.stringify(metadata.name)}`
}
