import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { KeyPair } from './key-pair.ts'

const day = 24 * 60 * 60 * 1000
/** Certificates begin a little in the past, so that machines whose clocks lag accept them. */
const backdate = 5 * 60 * 1000
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const

export interface AuthorityOptions {
  readonly commonName: string
  /** Milliseconds since 1970. */
  readonly now: number
  /** Defaults to 3650. */
  readonly validDays?: number
}

export interface CertificateOptions {
  readonly commonName: string
  /** Become the O attributes: groups, when the certificate names a user. */
  readonly organizations?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly usages: readonly ('server' | 'client')[]
  /** Defaults to 365. A certificate never outlives its authority. */
  readonly validDays?: number
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Makes a certificate authority: EC P-256, self-signed, may sign leaves only. */
export async function createAuthority(options: AuthorityOptions): Promise<KeyPair> {
  const x509 = await loadX509()
  const keys = await createKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [options.commonName] }],
      notBefore: new Date(options.now - backdate),
      notAfter: new Date(options.now + (options.validDays ?? 3650) * day),
      signingAlgorithm,
      keys: keys.web,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.web.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  )
  return { certificate: `${certificate.toString('pem')}\n`, privateKey: keys.privateKey }
}

/**
 * Signs a new key for a server, a client or both. EC P-256.
 *
 * @throws TypeError when an entry of `ipAddresses` is not an address.
 */
export async function issueCertificate(authority: KeyPair, options: CertificateOptions): Promise<KeyPair> {
  const keys = await createKeys()
  const certificate = await signCertificate(authority, keys.web.publicKey, options)
  return { certificate, privateKey: keys.privateKey }
}

/** Signs somebody's public key; the certificate in PEM. For this room. @throws as `issueCertificate` */
export async function signCertificate(
  authority: KeyPair,
  publicKey: webcrypto.CryptoKey,
  options: CertificateOptions,
): Promise<string> {
  const x509 = await loadX509()
  const issuer = new x509.X509Certificate(authority.certificate)
  const issuerKey = createPrivateKey(authority.privateKey)
  const { subject, alternatives } = subjectNames(options)
  const usages = options.usages.map((usage) =>
    usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
  )
  const notAfter = Math.min(options.now + (options.validDays ?? 365) * day, issuer.notAfter.getTime())
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: issuer.subjectName,
      notBefore: new Date(options.now - backdate),
      notAfter: new Date(notAfter),
      signingAlgorithm,
      publicKey,
      signingKey: await importSigner(issuerKey),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
        ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...alternatives])]),
      ],
    },
    webcrypto,
  )
  return `${certificate.toString('pem')}\n`
}

/** Subject and alternative names as the certificate writer takes them. For this room. @throws TypeError */
export function subjectNames(
  options: Pick<CertificateOptions, 'commonName' | 'organizations' | 'dnsNames' | 'ipAddresses'>,
) {
  const alternatives = [
    ...(options.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(options.ipAddresses ?? []).map((value) => {
      if (isIP(value) === 0) throw new TypeError(`${JSON.stringify(value)} is not an IP address`)
      return { type: 'ip' as const, value }
    }),
  ]
  const subject = [
    ...(options.organizations ?? []).map((organization) => ({ O: [organization] })),
    { CN: [options.commonName] },
  ]
  return { subject, alternatives }
}

/**
 * The certificate writer takes 180 ms to load and is needed about once a year, so it is loaded when
 * something is to be made. It demands the metadata polyfill first.
 */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata')
  return await import('@peculiar/x509')
}

export async function createKeys(): Promise<{
  readonly web: webcrypto.CryptoKeyPair
  readonly privateKey: string
}> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  const publicKey = createPublicKey(privateKey)
  const web = {
    privateKey: await importSigner(privateKey),
    publicKey: await webcrypto.subtle.importKey(
      'spki',
      publicKey.export({ type: 'spki', format: 'der' }),
      { name: 'ECDSA', namedCurve: 'P-256' },
      true,
      ['verify'],
    ),
  }
  return { web, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

function importSigner(key: KeyObject): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey(
    'pkcs8',
    key.export({ type: 'pkcs8', format: 'der' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  )
}
