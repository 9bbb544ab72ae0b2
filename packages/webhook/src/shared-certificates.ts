import {
  createAuthority,
  issueCertificate,
  type KeyPair,
  needsRenewal,
  readCertificate,
} from '@outrigger/certificates'
import { type Clock, deferred, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import type { CertificateSource } from './certificate-source.ts'

/** What the replicas of one manager share: authority, server pair, and the authorities callers may trust. */
export interface StoredCertificates {
  readonly authority: KeyPair
  readonly server: KeyPair
  /** PEM of the authority and, for a while after it changed, of the one before. */
  readonly bundle: string
}

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
}

const authorityName = 'webhook-cert-ca'
const authorityDays = 3650
const serverDays = 365

/**
 * Certificates that all replicas share through a store: made by whoever comes first, renewed when a
 * third of their life is left, taken over by the others at their next look. A new authority is
 * published beside the old one, so that replicas still showing the old pair stay trusted.
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
    const { certificates, version } = await this.#options.store.read(signal)
    const wanted = await this.#renewed(certificates)
    if (wanted !== certificates) {
      if (!(await this.#options.store.write(wanted, version, signal))) return this.#look(signal)
      this.#options.logger.info('webhook certificates were made anew')
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

  /** The certificates themselves while they are good, others when something is missing, old or misnamed. */
  async #renewed(stored: StoredCertificates | undefined): Promise<StoredCertificates> {
    const now = this.#options.clock.now()
    if (stored !== undefined && this.#fits(stored, now)) return stored
    const keepsAuthority = stored !== undefined && !isStale(stored.authority, now)
    const authority = keepsAuthority
      ? stored.authority
      : await createAuthority({ commonName: authorityName, now, validDays: authorityDays })
    const server = await issueCertificate(authority, {
      commonName: this.#dnsNames[0] ?? 'localhost',
      dnsNames: this.#dnsNames,
      usages: ['server'],
      validDays: serverDays,
      now,
    })
    const older = stored === undefined || keepsAuthority ? '' : stored.authority.certificate
    return { authority, server, bundle: `${authority.certificate.trim()}\n${older}` }
  }

  #fits({ authority, server }: StoredCertificates, now: number): boolean {
    if (isStale(authority, now) || isStale(server, now)) return false
    const { dnsNames } = readCertificate(server.certificate)
    return this.#dnsNames.every((name) => dnsNames.includes(name))
  }
}

function isStale({ certificate }: KeyPair, now: number): boolean {
  try {
    return needsRenewal(certificate, now)
  } catch {
    return true
  }
}
