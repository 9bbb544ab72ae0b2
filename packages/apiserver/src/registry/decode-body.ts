import {
  apiVersionOf,
  isRecord,
  type KubeObject,
  type ObjectKey,
  parseJson,
  parseYaml,
} from '@outrigger/kube'
import { decodeProtobufObject } from '../protobuf/decode-object.ts'
import type { ApiRequest } from './api-request.ts'
import { type Document, decodeDocument, refuseDocument } from './decode-document.ts'
import { essenceOf, unsupportedBody } from './media-types.ts'
import type { WriteOptions } from './request-options.ts'
import type { Resource } from './resource.ts'
import { badRequest } from './status-error.ts'

type Decoding = Pick<ApiRequest, 'body' | 'contentType' | 'warnings' | 'key'>

/**
 * The object in a body: of the kind and version of `resource` (both may be missing), in the namespace of
 * the path, with fields the schema does not know dropped, reported or refused.
 *
 * @throws StatusError 400 or 415
 */
export function decodeBody(
  request: Decoding,
  resource: Resource,
  options: Pick<WriteOptions, 'fieldValidation'>,
  { acceptsOtherVersions = false } = {},
): KubeObject {
  const document = parseBody(request, resource, options.fieldValidation !== 'Ignore')
  const fields = document.value
  checkKind(fields, resource, acceptsOtherVersions)
  const object = decodeDocument(document, resource, options.fieldValidation, request.warnings)
  placeInNamespace(object, resource, request.key.namespace)
  return object
}

/** The body of a DELETE, undefined when there is none. @throws StatusError 400 or 415 */
export function decodeDeleteOptions(request: Pick<ApiRequest, 'body' | 'contentType'>): unknown {
  if (request.body.length === 0) return undefined
  return parseText(request, (message) => badRequest(message)).value
}

function parseBody(
  request: Decoding,
  resource: Resource,
  findDuplicates: boolean,
): Document & { readonly value: Record<string, unknown> } {
  const document = parseText(request, (message) => refuseDocument(resource, message), findDuplicates)
  const { value } = document
  if (!isRecord(value))
    throw refuseDocument(
      resource,
      `json: cannot unmarshal ${describe(value)} into Go value of type v1.${resource.kind}`,
    )
  return { ...document, value }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  return value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value
}

function parseText(
  { body, contentType }: Pick<ApiRequest, 'body' | 'contentType'>,
  refuse: (message: string) => Error,
  findDuplicates = false,
): Document {
  const essence = essenceOf(contentType)
  const isProtobuf = essence === 'application/vnd.kubernetes.protobuf'
  if (!isProtobuf && essence !== '' && essence !== 'application/json' && essence !== 'application/yaml')
    throw unsupportedBody()
  try {
    if (isProtobuf) return { value: decodeProtobufObject(body), duplicates: [] }
    const text = body.toString()
    return essence === 'application/yaml'
      ? { value: parseYaml(text), duplicates: [] }
      : parseJson(text, { findDuplicates })
  } catch (error) {
    throw refuse((error as Error).message)
  }
}

/** Refuses what is clearly meant for somewhere else, in the words of the real server. */
function checkKind(fields: Record<string, unknown>, resource: Resource, acceptsOtherVersions: boolean): void {
  const expected = apiVersionOf(resource)
  const { kind, apiVersion } = fields
  const sentKind = typeof kind === 'string' && kind !== '' ? kind : resource.kind
  const sentVersion = typeof apiVersion === 'string' && apiVersion !== '' ? apiVersion : expected
  if (sentKind === resource.kind && sentVersion === expected) return
  const slash = sentVersion.indexOf('/')
  const sentGroup = slash < 0 ? '' : sentVersion.slice(0, slash)
  if (acceptsOtherVersions && sentKind === resource.kind && sentGroup === resource.group) return
  if (resource.isCustom) refuseCustomKind(resource, sentKind, sentVersion)
  if (sentKind === resource.listKind && sentVersion === expected)
    throw badRequest(
      `${sentKind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: converting (${goPackage(resource)}.${sentKind}) to (${internalPackage(resource)}.${resource.kind}): unknown conversion`,
    )
  if (sentKind === resource.kind && sentGroup === resource.group)
    throw badRequest(
      `the API version in the data (${sentVersion}) does not match the expected API version (${expected})`,
    )
  throw badRequest(
    `${sentKind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: no kind ${JSON.stringify(sentKind)} is registered for version ${JSON.stringify(sentVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
  )
}

function refuseCustomKind(resource: Resource, kind: string, version: string): never {
  const expected = apiVersionOf(resource)
  if (version !== expected)
    throw badRequest(
      `the API version in the data (${version}) does not match the expected API version (${expected})`,
    )
  throw badRequest(
    `${kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(version)}`,
  )
}

const goPackage = (resource: Resource) => resource.version
const internalPackage = (resource: Resource) =>
  resource.group === '' ? 'core' : resource.group.split('.')[0]

function placeInNamespace(object: KubeObject, resource: Resource, namespace: string): void {
  const { metadata } = object
  if (!resource.namespaced) {
    delete metadata.namespace
    return
  }
  if (metadata.namespace === undefined || metadata.namespace === '') metadata.namespace = namespace
  else if (metadata.namespace !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
}

/** The name in a body must be the one in the path, or none. */
export function checkNameInBody(object: KubeObject, key: ObjectKey): void {
  const { name } = object.metadata
  if (!name) {
    object.metadata.name = key.name
    return
  }
  if (name !== key.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${key.name})`)
}
