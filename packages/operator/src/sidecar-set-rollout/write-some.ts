/** Pods written to at the same time. */
const atOnce = 8

/**
 * Writes to each of these in order, a few at a time, until `isCurrent` says that it is no use any more. Answers with how many
 * `write` has said to be different now.
 *
 * @throws the first error of a write, when all that were begun have ended; no more are begun then.
 */
export async function writeSome<T>(
  items: readonly T[],
  isCurrent: () => boolean,
  signal: AbortSignal,
  // rule 9: what to do comes last, as with every callback.
  write: (item: T) => Promise<boolean>,
): Promise<number> {
  const queue = items[Symbol.iterator]()
  let written = 0
  let failure: unknown
  const work = async () => {
    for (const item of queue) {
      if (signal.aborted || failure !== undefined || !isCurrent()) return
      try {
        if (await write(item)) written++
      } catch (error) {
        failure ??= error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work))
  if (failure !== undefined) throw failure
  return written
}
