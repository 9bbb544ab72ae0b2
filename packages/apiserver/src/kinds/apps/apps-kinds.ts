import type { KindBuilders } from '../kind-definition.ts'

/** Kinds. */
export const appsKinds: KindBuilders = {}
