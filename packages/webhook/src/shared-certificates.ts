import type { KeyPair } from '@outrigger/certificates'
import { type Clock, deferred, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import type { CertificateSource } from './certificate-source.ts'
import { isUsable, renewCertificates, type StoredCertificates } from './stored-certificates.ts'

/** Where the replicas keep them: a Secret, in a cluster. */
export interface CertificateStore {
  /** What is stored, and a token that `write` compares; no certificates when there is nothing usable. */
  read(
    signal: AbortSignal,
  ): Promise<{ readonly certificates: StoredCertificates | undefined; readonly version: string | undefined }>
  /** False when somebody wrote since `version` was read. */
  write(certificates: StoredCertificates, version: string | undefined, signal: AbortSignal): Promise<boolean>
}

export interface SharedCertificatesOptions {
  readonly store: CertificateStore
  /** Names the server is called by; `localhost` is always among them. */
  readonly dnsNames: readonly string[]
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds between looks at the store. Defaults to 60,000. */
  readonly interval?: number
  /** Milliseconds a new authority is published before it is used. Defaults to an hour. */
  readonly overlap?: number
}

/**
 * Certificates that all replicas share through a store: made by whoever comes first, renewed when a
 * third of their life is left, taken over by the others at their next look. What disappears from the store or is
 * spoilt there is written back from memory: callers trust it. A new authority is published beside the old one for
 * `overlap` before a server pair of its own is shown, so that no replica is ahead of what callers know.
 */
export function createSharedCertificates(options: SharedCertificatesOptions): Runnable & CertificateSource {
  return new SharedCertificates(options)
}

class SharedCertificates implements Runnable, CertificateSource {
  readonly name = 'webhook certificates'
  readonly #options: SharedCertificatesOptions
  readonly #dnsNames: readonly string[]
  readonly #listeners = new Set<() => void>()
  readonly #first = deferred()
  #held: StoredCertificates | undefined

  constructor(options: SharedCertificatesOptions) {
    this.#options = options
    this.#dnsNames = [...new Set([...options.dnsNames, 'localhost'])]
  }

  get authorities(): string {
    return this.#held?.bundle ?? ''
  }

  async current(): Promise<KeyPair> {
    await this.#first.promise
    return this.#held!.server
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, interval = 60_000 } = this.#options
    while (!signal.aborted) {
      let pause = interval
      try {
        await this.#look(signal)
      } catch (error) {
        if (signal.aborted) return
        logger.warn('webhook certificates could not be read or written', { error: messageOf(error) })
        pause = Math.min(interval, 2_000)
      }
      await clock.sleep(pause, signal).catch(() => {})
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { store, clock, logger, overlap = 60 * 60_000 } = this.#options
    const { certificates, version } = await store.read(signal)
    const isSound = certificates !== undefined && isUsable(certificates)
    if (!isSound && this.#held !== undefined)
      logger.warn('webhook certificates are missing or spoilt in their store; they are written back')
    const known = isSound ? certificates : (this.#held ?? certificates)
    const wanted = await renewCertificates(known, { now: clock.now(), dnsNames: this.#dnsNames, overlap })
    if (wanted !== certificates) {
      if (!(await store.write(wanted, version, signal))) return this.#look(signal)
      if (wanted !== this.#held) logger.info('webhook certificates were made anew')
    }
    this.#adopt(wanted)
  }

  #adopt(certificates: StoredCertificates): void {
    const before = this.#held
    this.#held = certificates
    this.#first.resolve()
    const isSame =
      before?.server.certificate === certificates.server.certificate && before.bundle === certificates.bundle
    if (before !== undefined && !isSame) for (const listener of this.#listeners) listener()
  }
}
