import {
  canSign,
  createAuthority,
  isKeyPair,
  isSignedBy,
  issueCertificate,
  type KeyPair,
  needsRenewal,
  readCertificate,
  splitCertificates,
} from '@outrigger/certificates'

/** What the replicas of one manager share: authority, server pair, and the authorities callers may trust. */
export interface StoredCertificates {
  /** Signs the next server pair; the present one may still be of the authority before. */
  readonly authority: KeyPair
  readonly server: KeyPair
  /** PEM of the authority and, after it changed, of the ones before. */
  readonly bundle: string
}

export interface RenewalOptions {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Names the server pair must hold. */
  readonly dnsNames: readonly string[]
  /** Milliseconds a new authority is published before a pair of its own is shown. */
  readonly overlap: number
}

const authorityName = 'webhook-cert-ca'
const authorityDays = 3650
const serverDays = 365
/** What authorities are kept in the bundle: the present one and two before. */
const maxAuthorities = 3
/** Certificates are dated back so far (see `issueCertificate`). */
const backdate = 5 * 60 * 1000

/** Whether everything can be read, belongs together, and callers who trust the bundle accept the server pair. */
export function isUsable({ authority, server, bundle }: StoredCertificates): boolean {
  return (
    isKeyPair(authority) &&
    isKeyPair(server) &&
    splitCertificates(bundle).some((trusted) => isSignedBy(server.certificate, trusted))
  )
}

/**
 * The certificates themselves while they are good, others when something is missing, old or misnamed.
 *
 * An authority with less than a third of its life left gets a successor, which is first only published beside it. The
 * server pair of the old one is shown on until every caller has had time to learn of the new one; who changed both
 * at once would be refused wherever the bundle arrives late.
 */
export async function renewCertificates(
  stored: StoredCertificates | undefined,
  options: RenewalOptions,
): Promise<StoredCertificates> {
  const { now, dnsNames } = options
  const newAuthority = () => createAuthority({ commonName: authorityName, now, validDays: authorityDays })
  const keepsAuthority =
    stored !== undefined && isKeyPair(stored.authority) && !isStale(stored.authority, now)
  let authority = keepsAuthority ? stored.authority : await newAuthority()
  let server = stored?.server
  if (server === undefined || !servesOn(server, authority, stored?.bundle ?? '', options)) {
    if (!canSign(authority)) authority = await newAuthority()
    server = await issueCertificate(authority, {
      commonName: dnsNames[0] ?? 'localhost',
      dnsNames,
      usages: ['server'],
      validDays: serverDays,
      now,
    })
  }
  if (stored !== undefined && stored.authority === authority) {
    const isPublished = splitCertificates(stored.bundle).includes(authority.certificate.trim())
    if (isPublished && stored.server === server) return stored
    if (isPublished) return { authority, server, bundle: stored.bundle }
  }
  return { authority, server, bundle: bundleOf(authority, stored, now) }
}

/** Whether callers accept the pair, and it is not time for another. */
function servesOn(
  server: KeyPair,
  authority: KeyPair,
  bundle: string,
  { now, dnsNames, overlap }: RenewalOptions,
): boolean {
  if (!isKeyPair(server)) return false
  const facts = readCertificate(server.certificate)
  if (!dnsNames.every((name) => facts.dnsNames.includes(name))) return false
  if (isSignedBy(server.certificate, authority.certificate)) return !isStale(server, now)
  const age = now - readCertificate(authority.certificate).notBefore - backdate
  const isTrusted = splitCertificates(bundle).some((trusted) => isSignedBy(server.certificate, trusted))
  return isTrusted && age < overlap && facts.notBefore <= now && now < facts.notAfter
}

function bundleOf(authority: KeyPair, stored: StoredCertificates | undefined, now: number): string {
  const known = [authority.certificate, stored?.authority.certificate ?? '', stored?.bundle ?? '']
  const certificates = new Set(known.flatMap(splitCertificates))
  const living = [...certificates].filter((certificate) => now < readCertificate(certificate).notAfter)
  return living
    .slice(0, maxAuthorities)
    .map((certificate) => `${certificate}\n`)
    .join('')
}

function isStale({ certificate }: KeyPair, now: number): boolean {
  try {
    return needsRenewal(certificate, now)
  } catch {
    return true
  }
}
