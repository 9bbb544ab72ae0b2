import type { WaitingReason } from './status-input.ts'

/** Why containers of one pod are not running, by container name, as the status shows it. */
export class WaitingReasons {
  readonly #byName = new Map<string, WaitingReason>()

  get all(): ReadonlyMap<string, WaitingReason> {
    return this.#byName
  }

  get(name: string): WaitingReason | undefined {
    return this.#byName.get(name)
  }

  set(name: string, waiting: WaitingReason): void {
    this.#byName.set(name, waiting)
  }

  setAll(names: Iterable<string>, waiting: WaitingReason): void {
    for (const name of names) this.#byName.set(name, waiting)
  }

  delete(name: string): void {
    this.#byName.delete(name)
  }

  /** Forgets all that wait for one of these reasons. */
  drop(...reasons: readonly string[]): void {
    for (const [name, { reason }] of this.#byName) if (reasons.includes(reason)) this.#byName.delete(name)
  }

  clear(): void {
    this.#byName.clear()
  }
}
