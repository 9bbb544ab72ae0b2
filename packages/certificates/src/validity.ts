import { X509Certificate } from 'node:crypto'

/**
 * Whether less than `fraction` of the certificate's life is left at `now` (milliseconds since 1970).
 * Defaults to a third. True also before its beginning. Reads PEM with node:crypto alone.
 *
 * @throws Error when `pem` holds no certificate.
 */
export function needsRenewal(pem: string, now: number, fraction = 1 / 3): boolean {
  const certificate = new X509Certificate(pem)
  const begin = Date.parse(certificate.validFrom)
  const end = Date.parse(certificate.validTo)
  return now < begin || end - now < (end - begin) * fraction
}

/** What a certificate says about itself, for deciding whether it still fits. */
export interface CertificateFacts {
  readonly commonName: string
  readonly organizations: readonly string[]
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
}

/** Reads subject, names and life of a PEM certificate. @throws Error when there is none. */
export function readCertificate(pem: string): CertificateFacts {
  const certificate = new X509Certificate(pem)
  const attributes = certificate.subject.split('\n').map((line) => {
    const equals = line.indexOf('=')
    return { type: line.slice(0, equals), value: unescapeValue(line.slice(equals + 1)) }
  })
  const names = (certificate.subjectAltName ?? '').split(', ').filter((text) => text !== '')
  const withPrefix = (prefix: string) =>
    names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
  return {
    commonName: attributes.find(({ type }) => type === 'CN')?.value ?? '',
    organizations: attributes.filter(({ type }) => type === 'O').map(({ value }) => value),
    dnsNames: withPrefix('DNS:'),
    ipAddresses: withPrefix('IP Address:').map(normalizeAddress),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  }
}

/** One spelling for each IP address, so that two lists of them can be compared. */
export function normalizeAddress(address: string): string {
  if (!address.includes(':')) return address
  try {
    return new URL(`http://[${address}]`).hostname.slice(1, -1)
  } catch {
    return address.toLowerCase()
  }
}

/** node:crypto prints subjects by RFC 2253, which escapes a few characters. */
function unescapeValue(text: string): string {
  return text.replace(/\\([,+"\\<>;=# ])/g, '$1')
}
