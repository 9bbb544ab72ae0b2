import type { KindBuilders } from '../kind-definition.ts'
import { configMapKind, secretKind } from './config.ts'
import { namespaceKind } from './namespace.ts'

/** Kinds of the core group except pods. */
export const coreKinds: KindBuilders = {
  'core/v1/configmaps': configMapKind,
  'core/v1/secrets': secretKind,
  'core/v1/namespaces': namespaceKind,
}
