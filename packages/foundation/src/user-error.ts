/**
 * A failure that the person at the terminal can mend. Printed as one line, `what: why; remedy`, with
 * exit code 1 and no stack.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
  /** What to do about it, an imperative clause without a full stop. */
  readonly remedy: string | undefined

  constructor(message: string, remedy?: string, options?: ErrorOptions) {
    super(remedy === undefined ? message : `${message}; ${remedy}`, options)
    this.remedy = remedy
  }
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
