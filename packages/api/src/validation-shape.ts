import { builtinSchema, checkTypes, type FieldError, invalid, isRecord, type Schema } from '@outrigger/kube'

const core = 'io.k8s.api.core.v1'
const labelSelector = 'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector'

const shapes: readonly (readonly [field: string, definition: string, isList: boolean])[] = [
  ['containers', `${core}.Container`, true],
  ['initContainers', `${core}.Container`, true],
  ['volumes', `${core}.Volume`, true],
  ['imagePullSecrets', `${core}.LocalObjectReference`, true],
  ['selector', labelSelector, false],
  ['namespaceSelector', labelSelector, false],
]

/**
 * What in an object, as it came from outside, has not the type a SidecarSet has there. The resource's
 * schema leaves containers and volumes open, so this must be asked before anything reads them.
 */
export function sidecarSetShapeErrors(object: unknown): FieldError[] {
  const spec = isRecord(object) ? object['spec'] : undefined
  if (!isRecord(spec)) return [invalid('spec', spec, 'must be an object')]
  return [
    ...shapes.flatMap(([field, definition, isList]) =>
      shapeErrors(spec[field], `spec.${field}`, definition, isList),
    ),
    ...['updateStrategy', 'injectionStrategy'].flatMap((field) =>
      isAbsent(spec[field]) || isRecord(spec[field])
        ? []
        : [invalid(`spec.${field}`, spec[field], 'must be an object')],
    ),
    ...patchErrors(spec['patchPodMetadata']),
    ...['initContainers', 'containers'].flatMap((list) => policyErrors(spec[list], `spec.${list}`)),
  ]
}

const isAbsent = (value: unknown) => value === undefined || value === null

function shapeErrors(value: unknown, path: string, definition: string, isList: boolean): FieldError[] {
  if (isAbsent(value)) return []
  const schema = builtinSchema(definition)
  if (!isList) return typeErrors(value, path, schema)
  if (!Array.isArray(value)) return [invalid(path, value, 'must be a list')]
  return value.flatMap((item, i) => typeErrors(item, `${path}[${i}]`, schema))
}

/** Lists whose items may not be null, although each field alone may be. */
function typeErrors(value: unknown, path: string, schema: Schema): FieldError[] {
  if (!isRecord(value)) return [invalid(path, value, 'must be an object')]
  const problem = checkTypes(value, schema)
  if (problem !== undefined) return [invalid(path, undefined, problem)]
  return nullItems(value, path).map((field) => invalid(field, null, 'must not be null'))
}

function nullItems(value: unknown, path: string): string[] {
  if (Array.isArray(value))
    return value.flatMap((item, i) => (item === null ? [`${path}[${i}]`] : nullItems(item, `${path}[${i}]`)))
  if (isRecord(value))
    return Object.entries(value).flatMap(([key, field]) => nullItems(field, `${path}.${key}`))
  return []
}

function patchErrors(value: unknown): FieldError[] {
  if (isAbsent(value)) return []
  const path = 'spec.patchPodMetadata'
  if (!Array.isArray(value)) return [invalid(path, value, 'must be a list')]
  return value.flatMap((entry, i) => {
    const annotations = isRecord(entry) ? (entry['annotations'] ?? {}) : undefined
    const isRight =
      isRecord(annotations) && Object.values(annotations).every((text) => typeof text === 'string')
    return isRight ? [] : [invalid(`${path}[${i}].annotations`, annotations, 'must be a map of texts')]
  })
}

/** Core containers know no resourcesPolicy, so their schema does not look at it. */
function policyErrors(containers: unknown, path: string): FieldError[] {
  if (!Array.isArray(containers)) return []
  return containers.flatMap((container, i) => {
    const policy = isRecord(container) ? container['resourcesPolicy'] : undefined
    if (isAbsent(policy) || isPolicy(policy)) return []
    return [
      invalid(`${path}[${i}].resourcesPolicy`, undefined, 'must be an object with texts for expressions'),
    ]
  })
}

function isPolicy(policy: unknown): boolean {
  if (!isRecord(policy)) return false
  const isText = (value: unknown) => isAbsent(value) || typeof value === 'string'
  const { targetContainersMode, targetContainersNameRegex, resourcesExpr } = policy
  const sides = isRecord(resourcesExpr) ? [resourcesExpr['limits'], resourcesExpr['requests']] : []
  return (
    isText(targetContainersMode) &&
    isText(targetContainersNameRegex) &&
    (isAbsent(resourcesExpr) || isRecord(resourcesExpr)) &&
    sides.every((side) => isAbsent(side) || (isRecord(side) && isText(side['cpu']) && isText(side['memory'])))
  )
}
