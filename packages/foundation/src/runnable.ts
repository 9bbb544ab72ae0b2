/** Something that keeps going until it is told to stop. */
export interface Runnable {
  readonly name: string
  /**
   * Works until `signal` aborts. Resolves once everything it started has ended; rejects only on a
   * defect or on a failure that no retry can mend.
   */
  run(signal: AbortSignal): Promise<void>
}
