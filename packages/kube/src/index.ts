// Words

// What is wrong with an object
export {
  duplicate,
  type FieldError,
  type FieldErrorType,
  fieldErrorBody,
  fieldErrorReason,
  forbidden,
  formatFieldError,
  invalid,
  required,
  tooLong,
  unsupported,
} from './field-error.ts'
export type * from './generated/kinds.ts'
export {
  apiVersionOf,
  type Draft,
  type KubeList,
  type KubeObject,
  keyOf,
  type ObjectKey,
  parseKey,
  type ResourceRef,
  type WatchEvent,
} from './object.ts'
export { resources } from './resources.ts'
// Shapes
export type { Schema } from './schema.ts'
