/** Why a resource expression has no value. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
}
