/** Something that is complete at some time. */
export interface Syncing {
  readonly hasSynced: boolean
  /** Resolves once `hasSynced` is true. */
  readonly synced: Promise<void>
}

/** Waits until all have synced. Resolves with false when `signal` aborts first. */
export async function waitForSync(informers: readonly Syncing[], signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false
  if (informers.every((informer) => informer.hasSynced)) return true
  return new Promise((resolve) => {
    const onAbort = () => resolve(false)
    signal.addEventListener('abort', onAbort, { once: true })
    void Promise.all(informers.map((informer) => informer.synced)).then(() => {
      signal.removeEventListener('abort', onAbort)
      resolve(!signal.aborted)
    })
  })
}
