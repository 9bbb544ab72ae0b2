import { formatTime } from '@outrigger/foundation'
import {
  apiVersionOf,
  applyConfiguration,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  deepCopy,
  formatConflicts,
  formatGoValue,
  isRecord,
  type KubeObject,
  PatchError,
  parseJson,
  parseYaml,
  required,
} from '@outrigger/kube'
import { type ApiRequest, managerOf } from './api-request.ts'
import { type Document, decodeDocument } from './decode-document.ts'
import { ignoredFields, setManagers } from './field-ownership.ts'
import { essenceOf } from './media-types.ts'
import { refuseOptions, type WriteOptions } from './request-options.ts'
import type { Resource } from './resource.ts'
import { badRequest, StatusError } from './status-error.ts'
import type { Proposal, WriteTarget } from './write-request.ts'

/** A patch that was read and waits for the object it changes. */
export interface ObjectPatch {
  /** Undefined when there is no object and the patch does not create one. @throws StatusError */
  apply(current: KubeObject | undefined): Proposal | undefined
}

type PatchType = 'json' | 'merge' | 'strategic' | 'apply'

const patchTypes: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
  'application/apply-patch+json': 'apply',
}

/** Reads the patch of a request. @throws StatusError 400, 415 or 422 */
export function createPatch(request: ApiRequest, target: WriteTarget, options: WriteOptions): ObjectPatch {
  const type = patchTypes[essenceOf(request.contentType)]
  if (type === undefined || (type === 'strategic' && target.resource.isCustom))
    throw unsupportedPatch(target.resource.isCustom && type === 'strategic')
  if (type === 'apply') return createApply(request, target, options)
  if (options.force !== undefined)
    refuseOptions('PatchOptions', [
      { type: 'forbidden', field: 'force', detail: 'may not be specified for non-apply patch' },
    ])
  const patch = parsePatch(request, type)
  return {
    apply(current) {
      if (current === undefined) return undefined
      const changed = applyParsed(type, current, patch.value, target.resource)
      const describe = type === 'strategic' ? { describe: () => formatGoValue(patch.value) } : {}
      const object = settle(
        { value: changed, duplicates: patch.duplicates, ...describe },
        request,
        target,
        options,
        current,
      )
      return { object, ownsFieldsBy: 'update' }
    },
  }
}

function unsupportedPatch(isStrategicForCustom: boolean): StatusError {
  if (isStrategicForCustom)
    return new StatusError({
      code: 415,
      reason: 'UnsupportedMediaType',
      message:
        'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
    })
  return new StatusError({
    code: 415,
    reason: 'UnsupportedMediaType',
    message: '415: Unsupported Media Type',
    details: {},
  })
}

function parsePatch(request: ApiRequest, type: PatchType): Document {
  const { body } = request
  let document: Document
  try {
    document = parseJson(body.toString(), { findDuplicates: type !== 'json' })
  } catch (error) {
    throw badRequest(`error decoding patch: ${(error as Error).message}`)
  }
  if (type === 'json' && !Array.isArray(document.value))
    throw badRequest(
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    )
  if (type === 'strategic' && typeof document.value === 'string')
    throw badRequest('json: cannot unmarshal string into Go value of type map[string]interface {}')
  if (type !== 'json' && !isRecord(document.value)) throw badRequest('the patch is not a JSON object')
  return document
}

function applyParsed(type: PatchType, current: KubeObject, patch: unknown, resource: Resource): unknown {
  try {
    switch (type) {
      case 'json':
        return applyJsonPatch(current, patch)
      case 'merge':
        return applyMergePatch(current, patch)
      default:
        return applyStrategicMergePatch(current, patch, resource.schema)
    }
  } catch (error) {
    if (!(error instanceof PatchError)) throw error
    if (error.reason === 'malformed') throw badRequest(error.message)
    if (error.reason === 'too-large')
      throw new StatusError({ code: 413, reason: 'RequestEntityTooLarge', message: error.message })
    if (type === 'strategic') throw new StatusError({ code: 500, message: error.message })
    throw new StatusError({
      code: 422,
      reason: 'Invalid',
      message: 'the server rejected our request due to an error in our request',
      details: {},
    })
  }
}

/** The patched object as if it had been sent whole: decoded, private, defaulted. */
function settle(
  document: Document,
  request: ApiRequest,
  { resource, strategy }: WriteTarget,
  options: WriteOptions,
  current: KubeObject,
): KubeObject {
  if (isRecord(document.value)) {
    const { kind, apiVersion } = document.value
    if (kind !== current.kind || apiVersion !== current.apiVersion)
      throw badRequest('the kind and apiVersion of the patched object must stay as they were')
  }
  // What a patch does not touch is shared with the stored object.
  const own = { ...document, value: deepCopy(document.value) }
  const object = decodeDocument(own, resource, options.fieldValidation, request.warnings, 'patch')
  strategy.applyDefaults(object)
  return object
}

function createApply(request: ApiRequest, target: WriteTarget, options: WriteOptions): ObjectPatch {
  const { resource, key } = target
  const manager = request.query.get('fieldManager') ?? ''
  if (manager === '') refuseOptions('PatchOptions', [required('fieldManager', 'is required for apply patch')])
  const document = parseApplied(request)
  const { value } = document
  if (!isRecord(value)) throw badRequest('the applied configuration is no object')
  if (value.apiVersion !== apiVersionOf(resource) || value.kind !== resource.kind)
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${String(value.apiVersion)}, expected: ${apiVersionOf(resource)}`,
    )
  const config = decodeDocument(document, resource, options.fieldValidation, request.warnings, 'apply')
  if (config.metadata.managedFields !== undefined && config.metadata.managedFields.length > 0)
    throw badRequest('metadata.managedFields must be nil')
  if (config.metadata.name !== undefined && config.metadata.name !== key.name)
    throw badRequest(
      `the name of the object (${config.metadata.name}) does not match the name on the URL (${key.name})`,
    )
  config.metadata.name = key.name
  if (resource.namespaced) config.metadata.namespace ??= key.namespace
  if (resource.namespaced && config.metadata.namespace !== key.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  return { apply: (current) => applied(config, current, request, target, options) }
}

function parseApplied(request: ApiRequest): Document {
  try {
    return { value: parseYaml(request.body.toString()), duplicates: [] }
  } catch (error) {
    throw badRequest(`error decoding YAML: ${(error as Error).message}`)
  }
}

function applied(
  config: KubeObject,
  current: KubeObject | undefined,
  request: ApiRequest,
  target: WriteTarget,
  options: WriteOptions,
): Proposal | undefined {
  const { resource, subresource, strategy } = target
  if (current === undefined && subresource !== '') return undefined
  const ignored = ignoredFields(target)
  const outcome = applyConfiguration({
    live: current,
    managers: current?.metadata.managedFields,
    config,
    manager: managerOf(request),
    force: options.force === true,
    schema: resource.schema,
    apiVersion: apiVersionOf(resource),
    time: formatTime(request.now),
    subresource,
    ...(ignored === undefined ? {} : { ignored }),
  })
  if (outcome.type === 'refused')
    throw new StatusError({
      code: 500,
      message: `failed to create typed patch object (${config.metadata.namespace ?? ''}/${config.metadata.name ?? ''}; ${apiVersionOf(resource)}, Kind=${resource.kind}): ${outcome.problems.map(({ path, message }) => `${path}: ${message}`).join('\n')}`,
    })
  if (outcome.type === 'conflicts')
    throw new StatusError({
      code: 409,
      reason: 'Conflict',
      message: formatConflicts(outcome.conflicts),
      details: {
        causes: outcome.conflicts.map(({ message, field }) => ({
          reason: 'FieldManagerConflict',
          message,
          field,
        })),
      },
    })
  const object = deepCopy(outcome.object)
  strategy.applyDefaults(object)
  setManagers(object, outcome.managedFields)
  return { object, ownsFieldsBy: 'apply' }
}
