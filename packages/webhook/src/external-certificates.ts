import { isKeyPair, type KeyPair } from '@outrigger/certificates'
import { type Clock, deferred, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import type { CertificateSource } from './certificate-source.ts'

/** A pair that somebody else makes and renews, with the authorities that signed it. */
export interface ExternalCertificates {
  readonly server: KeyPair
  /** PEM. */
  readonly authorities: string
}

export interface ExternalCertificatesOptions {
  /** What is there now; `undefined` while nobody has made it. */
  readonly read: (signal: AbortSignal) => Promise<ExternalCertificates | undefined>
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds between looks. Defaults to 10,000. */
  readonly interval?: number
}

/**
 * Certificates of somebody else (cert-manager), which are taken over as they change and never written. A pair that
 * does not belong together is not taken over: what was shown before stays.
 */
export function createExternalCertificates(
  options: ExternalCertificatesOptions,
): Runnable & CertificateSource {
  const { clock, logger, read, interval = 10_000 } = options
  const first = deferred()
  const listeners = new Set<() => void>()
  let held: ExternalCertificates | undefined

  const look = async (signal: AbortSignal): Promise<void> => {
    const found = await read(signal)
    if (found === undefined || !isKeyPair(found.server)) {
      const what = found === undefined ? 'are not there yet' : 'do not belong together'
      return logger.warn(`external webhook certificates ${what}`)
    }
    const isSame =
      held?.server.certificate === found.server.certificate && held.authorities === found.authorities
    const isFirst = held === undefined
    held = found
    first.resolve()
    if (!isFirst && !isSame) for (const listener of listeners) listener()
  }

  return {
    name: 'external webhook certificates',
    isExternal: true,
    get authorities() {
      return held?.authorities ?? ''
    },
    current: async () => {
      await first.promise
      return held!.server
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    run: async (signal) => {
      while (!signal.aborted) {
        await look(signal).catch((error: unknown) => {
          if (!signal.aborted)
            logger.warn('external webhook certificates could not be read', { error: messageOf(error) })
        })
        await clock.sleep(held === undefined ? Math.min(interval, 1_000) : interval, signal).catch(() => {})
      }
    },
  }
}
