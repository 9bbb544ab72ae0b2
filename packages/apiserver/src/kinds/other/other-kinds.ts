import type { KindBuilders } from '../kind-definition.ts'

/** Kinds. */
export const otherKinds: KindBuilders = {}
