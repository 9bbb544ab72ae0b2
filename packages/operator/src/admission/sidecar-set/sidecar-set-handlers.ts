import {
  convertSidecarSet,
  defaultSidecarSet,
  type SidecarSet,
  sidecarSetErrors,
  sidecarSetShapeErrors,
} from '@outrigger/api'
import type { SidecarSetIndex } from '@outrigger/injection'
import { createJsonPatch, type KubeObject } from '@outrigger/kube'
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
      return errors.length > 0 ? refuse(titleOf(sidecarSet), errors) : allow
    })
}

/** Converts between v1alpha1 and v1beta1. */
export const convertObjects = convertSidecarSet

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
  const errors = sidecarSetShapeErrors(object)
  return errors.length > 0 ? refuse(titleOf(object), errors) : decide(object as SidecarSet)
}

function titleOf({ metadata }: KubeObject): string {
  return `SidecarSet.${group} ${JSON.stringify(metadata.name)}`
}
