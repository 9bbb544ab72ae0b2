import { canonicalQuantity, isRecord } from '@outrigger/kube'
import type { JsonValue } from './go-json.ts'

type Fields = { [key: string]: JsonValue }
type Change = (value: JsonValue) => JsonValue

/**
 * A volume as Kubernetes' client types print it: quantities in their canonical form, and the few values that are printed
 * although nobody set them. The argument stays as it is.
 */
export function typedVolume(volume: JsonValue): JsonValue {
  return typed(volume)
}

/** Changes the fields that are there. What is no object stays. */
const within =
  (changes: Readonly<Record<string, Change>>): Change =>
  (value) => {
    if (!isRecord(value)) return value
    const result = { ...(value as Fields) }
    for (const [key, change] of Object.entries(changes)) {
      const field = result[key]
      if (field !== undefined && field !== null) result[key] = change(field)
    }
    return result
  }

const each =
  (change: Change): Change =>
  (list) =>
    Array.isArray(list) ? list.map(change) : list

/** What is printed although it was not set, before what was. */
const withZero =
  (zero: Fields, change: Change): Change =>
  (value) =>
    isRecord(value) ? change({ ...zero, ...(value as Fields) }) : value

const quantity: Change = (value) =>
  typeof value === 'string' || typeof value === 'number' ? (canonicalQuantity(value) ?? value) : value

const quantities: Change = (map) =>
  isRecord(map)
    ? Object.fromEntries(Object.entries(map as Fields).map(([key, value]) => [key, quantity(value)]))
    : map

const downwardAPI = within({
  items: each(within({ resourceFieldRef: withZero({ divisor: '0' }, within({ divisor: quantity })) })),
})

const claimTemplate = withZero(
  { metadata: {}, spec: {} },
  within({
    metadata: withZero({ creationTimestamp: null }, (metadata) => metadata),
    spec: withZero(
      { resources: {} },
      within({ resources: within({ requests: quantities, limits: quantities }) }),
    ),
  }),
)

const typed = within({
  emptyDir: within({ sizeLimit: quantity }),
  downwardAPI,
  projected: within({ sources: each(within({ downwardAPI })) }),
  ephemeral: within({ volumeClaimTemplate: claimTemplate }),
})
