import {
  type FieldRequirement,
  type KubeObject,
  type LabelMatcher,
  matchesFields,
  type ObjectKey,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
} from '@outrigger/kube'
import type { Entry, Store } from '../storage/store.ts'
import { collectionFor } from './conversion.ts'
import type { ListOptions } from './request-options.ts'
import type { Resource } from './resource.ts'
import { badRequest } from './status-error.ts'

/** What a list or watch is about. */
export interface Selection {
  /** Undefined across namespaces. */
  readonly namespace: string | undefined
  /** Whether nothing but the namespace narrows it. */
  readonly isEverything: boolean
  /** A superset of what is there and matches, in order, read by the cheapest way. */
  candidates(store: Store): readonly Entry[]
  /** Whether an object with this key can match at all. */
  covers(key: ObjectKey): boolean
  /** Whether an object of the right namespace matches. */
  matches(shown: { readonly object: KubeObject }): boolean
}

const noLabels = {}

/** @throws StatusError 400 for a selector that does not parse or names an unknown field. */
export function createSelection(
  resource: Resource,
  key: ObjectKey,
  options: Pick<ListOptions, 'labelSelector' | 'fieldSelector'>,
): Selection {
  const labels = parseLabels(options.labelSelector)
  const fields = parseFields(resource, options.fieldSelector)
  const namespaceField = exact(fields, 'metadata.namespace')
  const namespace = key.namespace !== '' ? key.namespace : namespaceField
  const name = key.name !== '' ? key.name : exact(fields, 'metadata.name')
  const others = fields.filter(({ field }) => field !== 'metadata.name' && field !== 'metadata.namespace')
  const ofMetadata = fields.filter(({ field }) => field === 'metadata.name' || field === 'metadata.namespace')
  const collection = collectionFor(resource)

  return {
    namespace,
    isEverything: labels.isEverything && fields.length === 0 && key.name === '',
    candidates(store) {
      if (name !== undefined && (namespace !== undefined || !resource.namespaced)) {
        const found = store.get(collection, { namespace: namespace ?? '', name })
        return found === undefined ? [] : [found]
      }
      for (const { field, operator, value } of others)
        if (operator === '=' && store.hasIndex(collection, field))
          return inNamespace(store.indexed(collection, field, value), namespace)
      return store.list(collection, namespace)
    },
    covers: (candidate) =>
      (namespace === undefined || candidate.namespace === namespace) &&
      (name === undefined || candidate.name === name),
    matches({ object }) {
      const { metadata } = object
      if (name !== undefined && metadata.name !== name) return false
      if (!labels.isEverything && !labels.matches(metadata.labels ?? noLabels)) return false
      if (ofMetadata.length > 0 && !matchesFields(ofMetadata, metadataFields(metadata))) return false
      return others.length === 0 || matchesFields(others, resource.selectableFields(object))
    },
  }
}

const metadataFields = (metadata: KubeObject['metadata']) => ({
  'metadata.name': metadata.name,
  'metadata.namespace': metadata.namespace ?? '',
})

const inNamespace = (entries: readonly Entry[], namespace: string | undefined) =>
  namespace === undefined ? entries : entries.filter((entry) => entry.key.namespace === namespace)

function exact(fields: readonly FieldRequirement[], field: string): string | undefined {
  return fields.find((one) => one.field === field && one.operator === '=')?.value
}

function parseLabels(text: string): LabelMatcher {
  try {
    return parseLabelSelector(text)
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message)
    throw error
  }
}

function parseFields(resource: Resource, text: string): readonly FieldRequirement[] {
  if (text === '') return []
  let fields: readonly FieldRequirement[]
  try {
    fields = parseFieldSelector(text)
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message)
    throw error
  }
  for (const { field } of fields) {
    if (field === 'metadata.name' || field === 'metadata.namespace') continue
    if (resource.selectableFieldNames.includes(field)) continue
    throw badRequest(
      resource.selectableFieldNames.length > 0
        ? `field label not supported: ${field}`
        : `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
    )
  }
  return fields
}
