import type { ObjectKey } from '@outrigger/kube'

/** A key as one text, in etcd's order: the separator counts, so `a-b/x` comes before `a/x`. */
export const orderingText = (key: ObjectKey): string =>
  key.namespace === '' ? key.name : `${key.namespace}/${key.name}`
