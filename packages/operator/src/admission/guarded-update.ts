import { podAnnotations, virtualNodeNames } from '@outrigger/api'
import type { MatchCondition } from '@outrigger/kube'

/** Parts of a pod's spec by which it could get at what is not its own, or on another node. */
const guardedFields = [
  'containers',
  'initContainers',
  'ephemeralContainers',
  'volumes',
  'imagePullSecrets',
  'nodeName',
]
const { podLabel } = virtualNodeNames

const isGuarded = (key: string) =>
  [
    `${key}.startsWith('kruise.io/sidecarset-')`,
    `${key}.startsWith('${podAnnotations.versionPrefix}')`,
    `${key}.startsWith('${podAnnotations.versionAltPrefix}')`,
    `${key} == '${podAnnotations.injectedReferences}'`,
  ].join(' || ')

const label = (object: string) =>
  `(has(${object}.metadata.labels) && '${podLabel}' in ${object}.metadata.labels ? ${object}.metadata.labels['${podLabel}'] : '')`

/** Some guarded annotation of `left` is missing or different in `right`. */
const annotationsDiffer = (left: string, right: string) =>
  `(has(${left}.metadata.annotations) && ${left}.metadata.annotations.exists(k, (${isGuarded('k')}) && !(has(${right}.metadata.annotations) && k in ${right}.metadata.annotations && ${right}.metadata.annotations[k] == ${left}.metadata.annotations[k])))`

const fieldDiffers = (field: string) =>
  `has(object.spec.${field}) != has(oldObject.spec.${field}) || (has(object.spec.${field}) && has(oldObject.spec.${field}) && object.spec.${field} != oldObject.spec.${field})`

/**
 * Holds for updates that touch what we guard, and for everything that is no update. Finalizers, owners, other labels
 * and annotations can be written without us, also while no manager answers. An API server without match
 * conditions (before 1.28) asks about every update, as it would have anyway.
 */
export const guardedUpdate: MatchCondition = {
  name: 'touches-what-is-guarded',
  expression: [
    `request.operation != 'UPDATE'`,
    `${label('object')} != ${label('oldObject')}`,
    annotationsDiffer('object', 'oldObject'),
    annotationsDiffer('oldObject', 'object'),
    ...guardedFields.map(fieldDiffers),
  ].join(' || '),
}

/** Holds for the update that sets the virtual-node label. */
export const newlyLabelled: MatchCondition = {
  name: 'sets-the-label',
  expression: `${label('oldObject')} == '' && ${label('object')} != ''`,
}
