import type { Clock } from '@outrigger/foundation'

export interface ExpectationsOptions {
  readonly clock: Clock
  /** Milliseconds after which an expectation counts as met, so that a lost event wedges nothing. Defaults to 300,000. */
  readonly timeout?: number
}

/**
 * What a controller has asked the API server for and not yet seen in its cache. Until it is seen,
 * the cache is behind and counting objects in it would create or delete too much.
 *
 * An owner is the key of the object being reconciled. Creations are expected by name, deletions by
 * uid, and changes by uid and the resourceVersion the write returned, so an event that is seen twice
 * or belongs to something else can never stand for another one.
 */
export interface Expectations {
  /** To be called before the objects are created. */
  expectCreations(owner: string, names: readonly string[]): void
  /** To be called before the objects are deleted. */
  expectDeletions(owner: string, uids: readonly string[]): void
  /** To be called with what a write returned. */
  expectVersion(owner: string, uid: string, resourceVersion: string): void
  /** The object was seen, or creating it failed. */
  observeCreation(owner: string, name: string): void
  /** The object was seen going (or being marked for deletion), or deleting it failed. */
  observeDeletion(owner: string, uid: string): void
  /** The object was seen in this version: expectations of this version and older ones are met. */
  observeVersion(owner: string, uid: string, resourceVersion: string): void
  /** Whether nothing is outstanding, or all that is has waited longer than the timeout. */
  isSatisfied(owner: string): boolean
  /** Milliseconds until `isSatisfied` turns true by itself; 0 when it is. */
  remaining(owner: string): number
  /** Drops everything expected for an owner that is gone. */
  forget(owner: string): void
}

/** No expectations yet. */
export function createExpectations(options: ExpectationsOptions): Expectations {
  return new DatedExpectations(options)
}

interface Outstanding {
  readonly creations: Map<string, number>
  readonly deletions: Map<string, number>
  readonly versions: Map<string, { readonly version: bigint; readonly deadline: number }>
}

class DatedExpectations implements Expectations {
  readonly #clock: Clock
  readonly #timeout: number
  readonly #owners = new Map<string, Outstanding>()

  constructor(options: ExpectationsOptions) {
    this.#clock = options.clock
    this.#timeout = options.timeout ?? 300_000
  }

  expectCreations(owner: string, names: readonly string[]): void {
    this.#expect(owner, 'creations', names)
  }

  expectDeletions(owner: string, uids: readonly string[]): void {
    this.#expect(owner, 'deletions', uids)
  }

  expectVersion(owner: string, uid: string, resourceVersion: string): void {
    const version = parseVersion(resourceVersion)
    if (version === undefined) return
    const { versions } = this.#of(owner)
    const already = versions.get(uid)
    if (already !== undefined && already.version >= version) return
    versions.set(uid, { version, deadline: this.#deadline() })
  }

  observeCreation(owner: string, name: string): void {
    this.#observe(owner, (outstanding) => outstanding.creations.delete(name))
  }

  observeDeletion(owner: string, uid: string): void {
    this.#observe(owner, (outstanding) => {
      outstanding.deletions.delete(uid)
      outstanding.versions.delete(uid)
    })
  }

  observeVersion(owner: string, uid: string, resourceVersion: string): void {
    this.#observe(owner, ({ versions }) => {
      const expected = versions.get(uid)
      const seen = parseVersion(resourceVersion)
      if (expected === undefined || (seen !== undefined && seen < expected.version)) return
      versions.delete(uid)
    })
  }

  isSatisfied(owner: string): boolean {
    return this.remaining(owner) === 0
  }

  remaining(owner: string): number {
    const outstanding = this.#owners.get(owner)
    if (outstanding === undefined) return 0
    let last = Number.NEGATIVE_INFINITY
    for (const deadline of outstanding.creations.values()) last = Math.max(last, deadline)
    for (const deadline of outstanding.deletions.values()) last = Math.max(last, deadline)
    for (const { deadline } of outstanding.versions.values()) last = Math.max(last, deadline)
    const remaining = Math.max(0, last - this.#clock.monotonic())
    if (remaining === 0) this.#owners.delete(owner)
    return remaining
  }

  forget(owner: string): void {
    this.#owners.delete(owner)
  }

  #expect(owner: string, kind: 'creations' | 'deletions', ids: readonly string[]): void {
    if (ids.length === 0) return
    const outstanding = this.#of(owner)[kind]
    for (const id of ids) outstanding.set(id, this.#deadline())
  }

  #observe(owner: string, see: (outstanding: Outstanding) => void): void {
    const outstanding = this.#owners.get(owner)
    if (outstanding === undefined) return
    see(outstanding)
    if (outstanding.creations.size + outstanding.deletions.size + outstanding.versions.size === 0)
      this.#owners.delete(owner)
  }

  #of(owner: string): Outstanding {
    let outstanding = this.#owners.get(owner)
    if (outstanding === undefined) {
      outstanding = { creations: new Map(), deletions: new Map(), versions: new Map() }
      this.#owners.set(owner, outstanding)
    }
    return outstanding
  }

  #deadline(): number {
    return this.#clock.monotonic() + this.#timeout
  }
}

/** Resource versions of one resource are comparable as whole numbers (Kubernetes KEP-5504). */
function parseVersion(text: string): bigint | undefined {
  return /^[0-9]+$/.test(text) ? BigInt(text) : undefined
}
