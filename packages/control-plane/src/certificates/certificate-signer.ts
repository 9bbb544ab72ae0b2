/** What a certificate signing request asks to be called. */
export interface RequestedNames {
  readonly commonName: string
  readonly organizations: readonly string[]
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  /** Names of any other sort, such as mail addresses and URIs, in words. */
  readonly otherNames: readonly string[]
}

/**
 * Reads and signs requests with the cluster's authority. Handed in, because only who runs the cluster
 * holds its key.
 */
export interface CertificateSigner {
  /** Reads a PEM request and checks that it was signed with the key it carries. @throws Error when it is none. */
  read(request: string): Promise<RequestedNames>
  /** Signs the request's key and names for a server; PEM. Never longer than the authority lives. */
  sign(request: string, validSeconds: number): Promise<string>
}
