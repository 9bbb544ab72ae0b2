/**
 * Why a patch cannot be used. `malformed` (HTTP 400) is a patch that is no patch, `unprocessable` (422) one
 * that does not fit the object, `too-large` (413) one beyond the limits, `server-fault` (500) a strategic
 * patch that cannot be merged, which the real server takes for its own failure.
 */
export class PatchError extends Error {
  override readonly name = 'PatchError'
  readonly reason: 'malformed' | 'unprocessable' | 'too-large' | 'server-fault'

  constructor(reason: PatchError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}
