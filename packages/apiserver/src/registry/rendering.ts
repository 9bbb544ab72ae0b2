import { apiVersionOf, fieldErrorBody, formatYaml, invalid, type KubeObject } from '@outrigger/kube'
import type { Reply } from './api-request.ts'
import type { Shown } from './conversion.ts'
import type { Representation } from './media-types.ts'
import type { Column, Resource } from './resource.ts'
import { badRequest } from './status-error.ts'

/** What rows of a table carry besides their cells. */
export type IncludedObject = 'None' | 'Metadata' | 'Object'

/** @throws StatusError 400 */
export function parseIncludedObject(query: URLSearchParams): IncludedObject {
  const text = query.get('includeObject') ?? ''
  if (text === '') return 'Metadata'
  if (text === 'None' || text === 'Metadata' || text === 'Object') return text
  const error = invalid('includeObject', text, "must be 'Metadata', 'Object', 'None', or empty")
  throw badRequest(`Unable to convert to Table as requested: includeObject: ${fieldErrorBody(error)}`)
}

/** A finished JSON value as an answer. */
export function reply(
  code: number,
  body: unknown,
  representation: Pick<Representation, 'format'> = { format: 'json' },
): Reply {
  if (representation.format === 'yaml')
    return { code, headers: { 'content-type': 'application/yaml' }, body: formatYaml(body) }
  return { code, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** One object in the representation asked for. */
export function replyWithObject(
  code: number,
  resource: Resource,
  shown: Shown,
  view: { readonly representation: Representation; readonly included: IncludedObject; readonly now: number },
): Reply {
  const { representation } = view
  if (representation.as === 'PartialObjectMetadata')
    return reply(code, partialMetadata(shown.object, representation), representation)
  if (representation.as === 'Table') {
    const { resourceVersion } = shown.object.metadata
    const metadata = resourceVersion === undefined ? {} : { resourceVersion }
    return reply(code, table(resource, [shown.object], metadata, view), representation)
  }
  if (representation.format === 'yaml') return reply(code, shown.object, representation)
  return { code, headers: { 'content-type': 'application/json' }, body: shown.encoded() }
}

/** Metadata of a list. */
export interface ListMetadata {
  readonly resourceVersion: string
  readonly continue?: string
  readonly remainingItemCount?: number
}

/** Many objects in the representation asked for. */
export function replyWithList(
  resource: Resource,
  items: readonly Shown[],
  metadata: ListMetadata,
  view: { readonly representation: Representation; readonly included: IncludedObject; readonly now: number },
): Reply {
  const { representation } = view
  if (representation.as === 'Table')
    return reply(
      200,
      table(
        resource,
        items.map((item) => item.object),
        metadata,
        view,
      ),
      representation,
    )
  if (representation.as !== undefined)
    return reply(
      200,
      {
        kind: 'PartialObjectMetadataList',
        apiVersion: `meta.k8s.io/${representation.metaVersion}`,
        metadata,
        items: items.map((item) => partialMetadata(item.object, representation)),
      },
      representation,
    )
  // Lists of custom objects come from unstructured code, which always writes `continue`.
  const written = resource.isCustom ? { continue: '', ...metadata } : metadata
  const head = { kind: resource.listKind, apiVersion: apiVersionOf(resource), metadata: written }
  if (representation.format === 'yaml')
    return reply(200, { ...head, items: items.map((item) => item.object) }, representation)
  const start = `${JSON.stringify(head).slice(0, -1)},"items":[`
  return {
    code: 200,
    headers: { 'content-type': 'application/json' },
    body: joinItems(resource, start, items),
  }
}

/** Items of built-in lists go without kind and apiVersion; both stand at the front of every encoding. */
function joinItems(resource: Resource, start: string, items: readonly Shown[]): Buffer {
  const prefix = resource.isCustom
    ? 0
    : Buffer.byteLength(
        `{"kind":${JSON.stringify(resource.kind)},"apiVersion":${JSON.stringify(apiVersionOf(resource))},`,
      )
  const encoded = items.map((item) => item.encoded())
  let size = Buffer.byteLength(start) + 2
  for (const bytes of encoded) size += bytes.length - prefix + 2
  const joined = Buffer.allocUnsafe(size)
  let at = joined.write(start)
  for (const [index, bytes] of encoded.entries()) {
    if (index > 0) joined[at++] = comma
    if (prefix > 0) joined[at++] = brace
    at += bytes.copy(joined, at, prefix)
  }
  at += joined.write(']}', at)
  return joined.subarray(0, at)
}

const comma = 0x2c
const brace = 0x7b

export function partialMetadata(object: KubeObject, { metaVersion }: Pick<Representation, 'metaVersion'>) {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: object.metadata,
  }
}

/** A Table of objects; `headers` can be left out of the second and later events of a watch. */
export function table(
  resource: Resource,
  objects: readonly KubeObject[],
  metadata: object,
  view: {
    readonly representation: Representation
    readonly included: IncludedObject
    readonly now: number
    readonly isHeadless?: boolean
  },
) {
  const { representation, included, now } = view
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${representation.metaVersion}`,
    metadata,
    columnDefinitions: view.isHeadless === true ? null : resource.columns.map(definitionOf),
    rows: objects.map((object) => ({
      cells: resource.columns.map((column) => column.cell(object, now)),
      ...conditionsOf(resource, object),
      object:
        included === 'None' ? null : included === 'Object' ? object : partialMetadata(object, representation),
    })),
  }
}

function conditionsOf(resource: Resource, object: KubeObject): { readonly conditions?: readonly object[] } {
  const conditions = resource.rowConditions?.(object) ?? []
  return conditions.length === 0 ? {} : { conditions }
}

const definitionOf = ({ name, type, format, description, priority }: Column) => ({
  name,
  type,
  format,
  description,
  priority,
})
