import {
  annotationWarnings,
  canaryBaseOf,
  convertSidecarSet,
  defaultSidecarSet,
  isNativeSidecar,
  type MetadataWhitelist,
  pullPolicyWarnings,
  type RevisionWish,
  type SidecarSet,
  sidecarSetAtRevision,
  sidecarSetErrors,
  sidecarSetShapeErrors,
  withNamespaceSelector,
  withTodaysSpelling,
} from '@outrigger/api'
import { type Clock, formatTime } from '@outrigger/foundation'
import { knowsNativeSidecars, type RevisionSource, type SidecarSetIndex } from '@outrigger/injection'
import { createJsonPatch, type FieldError, forbidden, type KubeObject, type Release } from '@outrigger/kube'
import {
  type AdmissionAnswer,
  type AdmissionHandler,
  type AdmissionRequest,
  allow,
  refuse,
} from '@outrigger/webhook'
import { withSelectionTime } from './selection-time.ts'

const group = 'apps.kruise.io'
const versions = ['v1alpha1', 'v1beta1']

/** Fills in defaults, hashes and the time of the selection. Fields it does not know stay. */
export function createSidecarSetMutator({ clock }: { readonly clock: Clock }): AdmissionHandler {
  return (request) =>
    guarded(request, (sidecarSet) => {
      const { sidecarSet: respelled, warnings } = withTodaysSpelling(sidecarSet)
      const old = request.oldObject as SidecarSet | undefined
      const timed = withSelectionTime(withNamespaceSelector(respelled), old, formatTime(clock.now()))
      const defaulted = defaultSidecarSet(timed)
      const policies = pullPolicyWarnings(respelled, defaulted, old)
      return {
        allowed: true,
        patch: createJsonPatch(sidecarSet, defaulted),
        warnings: [...warnings, ...policies, ...warningsAboutAnnotations(sidecarSet)],
      }
    })
}

function warningsAboutAnnotations(sidecarSet: SidecarSet): string[] {
  return annotationWarnings(sidecarSet).map(
    ({ annotation, message }) => `metadata.annotations[${annotation}]: ${message}`,
  )
}

/** Refuses SidecarSets that are wrong in themselves or beside the others. */
export function createSidecarSetValidator(
  known: SidecarSetIndex,
  { history, whitelist }: SidecarSetAdmissionFacts = {},
): AdmissionHandler {
  return async (request) => {
    const patches = (request.object as Partial<SidecarSet> | undefined)?.spec?.patchPodMetadata
    const allowed = whitelist && Array.isArray(patches) && patches.length > 0 ? await whitelist() : undefined
    return guarded(request, (sidecarSet) => {
      const others = rivalsAndBase(sidecarSet, known)
      const old = request.oldObject as SidecarSet | undefined
      const errors = sidecarSetErrors(sidecarSet, {
        others,
        ...(old && { old }),
        ...(history && { hasRevision: (subject, wish) => hasRevision(subject, wish, history) }),
        ...(allowed && { whitelist: allowed }),
      })
      const all = [...errors, ...unknownToServerErrors(sidecarSet, old, known.release)]
      return all.length > 0 ? refuse(titleOf(sidecarSet), all) : allow
    })
  }
}

/** Those it could conflict with, however many there are besides, and the one it is a canary of. */
function rivalsAndBase(sidecarSet: SidecarSet, known: SidecarSetIndex): SidecarSet[] {
  const base = known.get(canaryBaseOf(sidecarSet) ?? '')
  const found = new Set([...known.rivalsOf(sidecarSet), ...(base ? [base] : [])])
  return [...found].map((compiled) => compiled.sidecarSet)
}

/** What the API server would drop from pods. Of SidecarSets that have it already no pod gets anything; they stay editable. */
function unknownToServerErrors(
  { spec }: SidecarSet,
  old: SidecarSet | undefined,
  release: Release | undefined,
): FieldError[] {
  if (knowsNativeSidecars(release)) return []
  const before = new Set(old?.spec.initContainers?.filter(isNativeSidecar).map(({ name }) => name))
  return (spec.initContainers ?? []).flatMap((container, i) =>
    isNativeSidecar(container) && !before.has(container.name)
      ? forbidden(
          `spec.initContainers[${i}].restartPolicy`,
          `Kubernetes 1.${release} does not know native sidecars and would wait for ${container.name} to end; make it one of spec.containers, or upgrade the cluster to 1.29`,
        )
      : [],
  )
}

/** What admission of SidecarSets looks up. What is left out is not asked about. */
export interface SidecarSetAdmissionFacts {
  readonly history?: RevisionSource
  readonly whitelist?: () => Promise<MetadataWhitelist>
}

/** Whether what is wished for is recorded and can be restored now. */
function hasRevision(
  sidecarSet: SidecarSet,
  { revisionName, customVersion }: RevisionWish,
  history: RevisionSource,
): boolean {
  const wanted = revisionName ? { revisionName } : { ...(customVersion && { customVersion }) }
  const found = history.find(sidecarSet, wanted)
  return found !== undefined && sidecarSetAtRevision(sidecarSet, found) !== undefined
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
