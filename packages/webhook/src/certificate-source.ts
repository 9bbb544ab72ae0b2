import type { KeyPair } from '@outrigger/certificates'

/** The certificate a server shows, which may change while it serves. */
export interface CertificateSource {
  /** Resolves with the pair to serve once there is one. */
  current(): Promise<KeyPair>
  /** PEM of the authorities callers should trust: what goes into a caBundle. Known once `current` has resolved. */
  readonly authorities: string
  /** Calls back after each change of pair or authorities. Returns a function that stops it. */
  onChange(listener: () => void): () => void
  /**
   * Whether somebody else writes the authorities into webhook configurations (cert-manager's injector). What stands there
   * is then left alone. Defaults to false.
   */
  readonly isExternal?: boolean
}

/** A certificate that is handed in and stays. */
export function fixedCertificate(pair: KeyPair, authorities: string): CertificateSource {
  return { current: async () => pair, authorities, onChange: () => () => {} }
}
