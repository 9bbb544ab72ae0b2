/** A certificate and the key that proves it, both PEM. Never log the key. */
export interface KeyPair {
  /** One certificate. */
  readonly certificate: string
  /** PKCS #8. */
  readonly privateKey: string
}
